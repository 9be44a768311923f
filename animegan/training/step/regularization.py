"""Gradient penalties of a training: which ones, at which steps, with which weights."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from animegan.config.derived import penalised
from animegan.losses import penalties
from animegan.losses.objectives import Objective
from animegan.runtime.device import Runtime
from animegan.runtime.seeds import Streams
from animegan.training.step.inputs import Shown

if TYPE_CHECKING:
    from animegan.config.config import Config


class Regularizer:
    """The objective's own penalty, plus R1 on reals and R2 on fakes, as configured."""

    def __init__(
        self,
        config: "Config",
        objective: Objective,
        nets: Mapping[str, nn.Module],
        streams: Streams,
        runtime: Runtime,
    ) -> None:
        self.config = config
        self.objective = objective
        self._nets = nets
        self._streams = streams
        self._runtime = runtime

    def due(self, step: int) -> bool:
        """Whether a penalty is due at this step: every `penalty_every`-th update of netd."""
        every = self.config.d_every * self.config.penalty_every
        return penalised(self.config) and (step + 1) % every == 0

    def penalty(self, step: int, rows: slice, real: Shown, fake: Shown) -> Tensor:
        """Return the weighted sum of the penalties, a scalar.

        Gradients are taken at the raw images, through the augmentation; interpolates of reals and
        fakes use the view and labels of the reals.

        Args:
            step: the training step, which seeds the random numbers.
            rows: the images' rows in the whole batch, for which random numbers are drawn.
            real: reals, as the loss has shown them.
            fake: as many fakes.
        """
        config, place = self.config, self._runtime.place
        total = torch.zeros((), device=self._runtime.device)
        if self.objective.penalty and config.gp:
            source = self._streams.generator("penalty-0", step)
            whole = config.batch_size
            mix = place(torch.rand(whole, 1, 1, 1, generator=source)[rows])
            if self.objective.penalty == "gp":
                value = penalties.gradient_penalty(
                    self._critic(real), real.images, fake.images, mix
                )
            else:
                noise = place(torch.rand(whole, *real.images.shape[1:], generator=source)[rows])
                mean = self._runtime.group.batch_mean
                value = penalties.dragan(self._critic(real), real.images, noise, mix, mean)
            total = total + config.gp * value
        if config.r1:
            total = total + config.r1 * penalties.zero_centred(self._critic(real), real.images)
        if config.r2:
            total = total + config.r2 * penalties.zero_centred(self._critic(fake), fake.images)
        return total

    def _critic(self, shown: Shown) -> Callable[[Tensor], Tensor]:
        netd = self._nets["netd"]
        return lambda images: netd(shown.see(images), shown.labels)
