"""Gradient penalties of a training: which ones, at which steps, with which weights."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from animegan.config.derived import penalised
from animegan.losses import penalties
from animegan.losses.objectives import Objective
from animegan.runtime import seeds
from animegan.runtime.device import Runtime
from animegan.training.step.conditioning import Given
from animegan.training.step.view import See

if TYPE_CHECKING:
    from animegan.config.config import Config


class Regularizer:
    """The objective's own penalty, plus R1 on reals and R2 on fakes, as configured."""

    def __init__(
        self, config: "Config", objective: Objective, netd: nn.Module, on: Runtime
    ) -> None:
        self.config = config
        self.objective = objective
        self.seed = config.seed
        self._netd = netd
        self._on = on

    def due(self, step: int) -> bool:
        """Whether a penalty is due at this step: every `penalty_every`-th update of netd."""
        every = self.config.d_every * self.config.penalty_every
        return penalised(self.config) and (step + 1) % every == 0

    def penalty(
        self,
        step: int,
        rows: slice,
        images: tuple[Tensor, Tensor],
        see: tuple[See, See],
        given: tuple[Given, Given],
    ) -> Tensor:
        """Return the weighted sum of the penalties, a scalar.

        Gradients are taken at the raw images, through the augmentation. Pairs are (real, fake);
        interpolates of the two use the view and labels of the reals.

        Args:
            step: the training step, which seeds the random numbers.
            rows: the images' rows in the whole batch, for which random numbers are drawn.
            images: [B, C, S, S] each, in [-1, 1].
            see: augmentation of each.
            given: labels of each.
        """
        config = self.config
        real, fake = images
        at_real, at_fake = (self._critic(*pair) for pair in zip(see, given, strict=True))
        total = torch.zeros((), device=self._on.device)
        source = seeds.generator(self.seed, "penalty-0", step)
        if self.objective.penalty and config.gp:
            whole = config.batch_size
            mix = self._on.place(torch.rand(whole, 1, 1, 1, generator=source)[rows])
            if self.objective.penalty == "gp":
                found = penalties.gradient_penalty(at_real, real, fake, mix)
            else:
                drawn = torch.rand(whole, *real.shape[1:], generator=source)
                noise = self._on.place(drawn[rows])
                found = penalties.dragan(at_real, real, noise, mix, self._on.ranks.batch_mean)
            total = total + config.gp * found
        if config.r1:
            total = total + config.r1 * penalties.zero_centred(at_real, real)
        if config.r2:
            total = total + config.r2 * penalties.zero_centred(at_fake, fake)
        return total

    def _critic(self, see: See, given: Given) -> Callable[[Tensor], Tensor]:
        return lambda images: self._netd(see(images), *given)
