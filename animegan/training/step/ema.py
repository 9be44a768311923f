"""An exponential moving average of the generator's weights, used for samples, files and metrics.

Its half-life is in pictures rather than steps, so that it does not depend on the batch size. Early
in a run it is limited to a share of the pictures seen, so that the initial weights are forgotten
quickly (Karras et al. 2020, StyleGAN2-ADA; Huang et al. 2024).
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

HALF_LIFE = 10_000.0  # pictures, as in StyleGAN2-ADA
WARM_UP = 0.05  # largest half-life, as a share of the pictures seen


def decay_at(
    pictures_seen: int, batch_size: int, half_life: float = HALF_LIFE, warm_up: float = WARM_UP
) -> float:
    """Return the decay factor of the average at the update after `pictures_seen` pictures.

    0.5 ^ (batch_size / min(half_life, warm_up · pictures_seen)); 0 at the very start.
    """
    life = min(half_life, warm_up * pictures_seen)
    return float(0.5 ** (batch_size / life)) if life > 0 else 0.0


class Ema:
    """The moving average of a network, in `net`: a copy in eval mode without gradients.

    Floating-point buffers (BatchNorm's statistics) are averaged like the weights, because the
    statistics of the latest weights would not fit the averaged ones. Counters are copied.
    """

    def __init__(
        self, net: nn.Module, half_life: float = HALF_LIFE, warm_up: float = WARM_UP
    ) -> None:
        self.half_life, self.warm_up = half_life, warm_up
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, pictures_seen: int, batch_size: int) -> None:
        """Move the average towards `net`; `pictures_seen` includes this batch."""
        kept = decay_at(pictures_seen, batch_size, self.half_life, self.warm_up)
        ours, theirs = self._tensors(self.net), self._tensors(net)
        pairs = list(zip(ours, theirs, strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([own for own, _ in floats], [new for _, new in floats], 1 - kept)
        for own, new in pairs:
            if not own.is_floating_point():
                own.copy_(new)

    @staticmethod
    def _tensors(net: nn.Module) -> list[Tensor]:
        return [*net.parameters(), *net.buffers()]

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and buffers; there is no other state."""
        return self.net.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state)
