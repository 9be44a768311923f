"""What changes in the course of a training: rates, beta2 and penalties, by a cosine to their ends.

Huang et al. 2024 (R3GAN, appendix) call the time until then the burn-in. Their 20 million pictures
are scaled: it is a share of the pictures that a run was planned to see when it began.
"""

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from config import Config


class Schedule:
    """Values for a step, from the options and the planned number of steps alone."""

    def __init__(self, config: "Config", planned: int) -> None:
        """`planned`: the steps of the whole run, as told when it began."""
        self.config = config
        self.planned = planned

    @property
    def end(self) -> float:
        """The step from which nothing moves any more."""
        return self.config.burn_in * self.planned

    def remaining(self, step: int) -> float:
        """1 at step 0, 0 from the end of the burn-in on: (1 + cos(pi t)) / 2 between."""
        part = min(1.0, step / self.end)
        return (1 + math.cos(math.pi * part)) / 2

    def _between(self, start: float, end: float, step: int) -> float:
        return start if start == end else end + (start - end) * self.remaining(step)

    def rate(self, lr: float, step: int) -> float:
        """A learning rate that starts at `lr`."""
        return self._between(lr, lr * self.config.lr_end, step)

    def beta2(self, step: int) -> float:
        end = self.config.beta2_end
        return self._between(self.config.beta2, self.config.beta2 if end is None else end, step)

    def penalty(self, step: int) -> float:
        """What the weights of the penalties are multiplied by."""
        return self._between(1.0, self.config.penalty_end, step)

    def set(self, optimizer: torch.optim.Optimizer, lr: float, step: int) -> None:
        """Give the optimizer the rate and betas of this step."""
        for group in optimizer.param_groups:
            group["lr"] = self.rate(lr, step)
            if "betas" in group:
                group["betas"] = (self.config.beta1, self.beta2(step))

    def state_dict(self) -> dict[str, Any]:
        return {"planned": self.planned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """A run that is prolonged keeps the end it was planned with."""
        self.planned = state["planned"]


def planned_steps(config: "Config", per_epoch: int) -> int:
    """Batches that the options ask for in all."""
    steps = config.max_epoch * per_epoch
    return steps if config.max_steps is None else min(steps, config.max_steps)
