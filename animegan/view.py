"""What netd sees of a picture: augmented, and noisy at first; alike for reals and fakes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from animegan import policy, runtime
from animegan.augment import AdaptiveAugment, Augment, draw
from animegan.runtime import Runtime

if TYPE_CHECKING:
    from config import Config

See = Callable[[Tensor], Tensor]


class View:
    """Makes, for a step and a side, the function that pictures pass before netd sees them."""

    def __init__(self, config: "Config", on: Runtime) -> None:
        self.config = config
        self.seed = config.seed
        self._on = on
        parts = policy.parse(config.augment)
        self._augment = Augment(parts) if parts else None
        self._adaptive = AdaptiveAugment().to(on.device) if config.augment == "auto" else None

    def at(self, step: int, side: str, rows: slice) -> See:
        """The view of some rows of a batch; called twice it does the same, as penalties want.

        Numbers are drawn for the whole batch, however many pieces and processes share it.
        """
        source = runtime.generator(self.seed, f"view-{side}-0", step)
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
        """Of the instance noise: falls in a line to zero (Arjovsky & Bottou 2017, section 3)."""
        seen = step * self.config.batch_size
        left = max(0.0, 1 - seen / self.config.instance_noise_pictures)
        return self.config.instance_noise * left

    @property
    def adapts(self) -> bool:
        """Whether the augmentation adapts, and wants `watch`."""
        return self._adaptive is not None

    def watch(self, real_logits: Tensor, boundary: Tensor | float) -> None:
        """Let `--augment auto` see how sure the discriminator is of the reals."""
        assert self._adaptive is not None
        self._adaptive.watch(real_logits, boundary)

    def adapt(self, update: int, batch_size: int) -> None:
        """Move the probability after every fourth update of netd, counted from 0."""
        if self._adaptive is not None and (update + 1) % 4 == 0:
            self._adaptive.adapt(4 * batch_size, self._on.ranks.mean_of)

    def counts(self) -> list[Tensor]:
        """What each process has counted for itself since the last move."""
        return [] if self._adaptive is None else [self._adaptive.signs]

    def state_dict(self) -> dict[str, Any]:
        return {} if self._adaptive is None else self._adaptive.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._adaptive is not None and state:  # empty where the run had no `auto`
            self._adaptive.load_state_dict(state)
