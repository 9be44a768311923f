"""The discriminator's view of an image: augmentation and instance noise, for reals and fakes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from animegan.config import values
from animegan.runtime import seeds
from animegan.runtime.device import Runtime
from animegan.training.step.augment import AdaptiveAugment, Augment, draw

if TYPE_CHECKING:
    from animegan.config.config import Config

See = Callable[[Tensor], Tensor]


class View:
    """Creates the function that is applied to images before netd sees them."""

    def __init__(self, config: "Config", on: Runtime) -> None:
        self.config = config
        self.seed = config.seed
        self._on = on
        parts = values.parse(config.augment)
        self._augment = Augment(parts) if parts else None
        self._adaptive = AdaptiveAugment().to(on.device) if config.augment == "auto" else None

    def at(self, step: int, side: str, rows: slice) -> See:
        """Return the view of some rows of a batch, a function of images [B, C, S, S] in [-1, 1].

        Repeated calls apply the same transform, which penalties rely on. Random numbers are drawn
        for the whole batch, so they do not depend on the number of pieces or processes.

        Args:
            step: the training step.
            side: name of the random stream: "x" for reals, "z" for fakes, ...
            rows: the images' rows in the whole batch.
        """
        source = seeds.generator(self.seed, f"view-{side}-0", step)
        whole = self.config.batch_size
        numbers: dict[int, Tensor] = {}
        noise: dict[torch.Size, Tensor] = {}
        deviation = self._deviation(step)

        def see(images: Tensor) -> Tensor:
            if self._augment is not None:
                if not numbers:
                    numbers[0] = self._on.place(draw(whole, source)[rows])
                p = 1.0 if self._adaptive is None else self._adaptive.p
                images = self._augment(images, numbers[0], p)
            if deviation:
                if images.shape not in noise:
                    drawn = torch.randn(whole, *images.shape[1:], generator=source)
                    noise[images.shape] = self._on.place(drawn[rows])
                images = images + deviation * noise[images.shape]
            return images

        return see

    def _deviation(self, step: int) -> float:
        """Return the std of the instance noise (Arjovsky & Bottou 2017, section 3).

        It decays linearly to 0 over `instance_noise_pictures` images.
        """
        seen = step * self.config.batch_size
        left = max(0.0, 1 - seen / self.config.instance_noise_pictures)
        return self.config.instance_noise * left

    @property
    def adapts(self) -> bool:
        """Whether the augmentation is adaptive and needs `watch`."""
        return self._adaptive is not None

    def watch(self, real_logits: Tensor, boundary: Tensor | float) -> None:
        """Record the logits of reals, from which `--augment auto` estimates overfitting."""
        assert self._adaptive is not None
        self._adaptive.watch(real_logits, boundary)

    def adapt(self, update: int, batch_size: int) -> None:
        """Adjust the augmentation probability after every fourth update of netd."""
        if self._adaptive is not None and (update + 1) % 4 == 0:
            self._adaptive.adapt(4 * batch_size, self._on.ranks.mean_of)

    def counts(self) -> list[Tensor]:
        """Return this process's counts since the last adjustment, to be averaged over processes."""
        return [] if self._adaptive is None else [self._adaptive.signs]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the adaptive augmentation, empty without one."""
        return {} if self._adaptive is None else self._adaptive.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._adaptive is not None and state:  # empty if the run did not use `auto`
            self._adaptive.load_state_dict(state)
