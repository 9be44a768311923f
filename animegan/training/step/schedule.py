"""Cosine schedules for learning rates, beta2 and penalty weights.

Huang et al. 2024 (R3GAN, arXiv:2501.05441, appendix) call the scheduled phase the burn-in. Their
20 million images become a share of the images that the run was planned to see when it started.
"""

import math
from typing import TYPE_CHECKING, Any

import torch

from animegan.config.values import parse_schedule

if TYPE_CHECKING:
    from animegan.config.config import Config


class Schedule:
    """Scheduled values at a step; a pure function of the options and the planned steps."""

    def __init__(self, config: "Config", planned: int) -> None:
        """Create a schedule; `planned` is the number of steps of the whole run."""
        self.config = config
        self.ends = parse_schedule(config.schedule)
        self.planned = planned

    @property
    def end(self) -> float:
        """The step from which all values stay constant."""
        return self.ends.until * self.planned

    def remaining(self, step: int) -> float:
        """Return (1 + cos(pi t)) / 2: 1 at step 0, 0 from the end of the burn-in on."""
        part = min(1.0, step / self.end)
        return (1 + math.cos(math.pi * part)) / 2

    def _between(self, start: float, end: float, step: int) -> float:
        return start if start == end else end + (start - end) * self.remaining(step)

    def rate(self, lr: float, step: int) -> float:
        """Return the learning rate at a step, given its initial value `lr`."""
        return self._between(lr, lr * self.ends.lr, step)

    def beta2(self, step: int) -> float:
        """Return Adam's beta2 at a step."""
        end = self.ends.beta2
        return self._between(self.config.beta2, self.config.beta2 if end is None else end, step)

    def penalty(self, step: int) -> float:
        """Return the factor by which penalty weights are multiplied at a step, 1 at step 0."""
        return self._between(1.0, self.ends.penalty, step)

    def set(self, optimizer: torch.optim.Optimizer, lr: float, step: int) -> None:
        """Set the optimizer's learning rate and betas for a step."""
        for group in optimizer.param_groups:
            group["lr"] = self.rate(lr, step)
            if "betas" in group:
                group["betas"] = (self.config.beta1, self.beta2(step))

    def state_dict(self) -> dict[str, Any]:
        return {"planned": self.planned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the planned number of steps, so an extended run keeps its original schedule.

        Raises ValueError unless it is one.
        """
        planned = state["planned"]
        if not isinstance(planned, int) or planned < 1:
            raise ValueError("its planned number of steps is none")
        self.planned = planned
