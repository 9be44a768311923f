"""Gradient accumulation: split a batch by --accumulate, or further after running out of memory."""

from typing import TYPE_CHECKING

from torch import nn

from animegan import models
from animegan.core.errors import TrainingStopped
from animegan.losses.objectives import Objective
from animegan.runtime.distributed import Ranks

if TYPE_CHECKING:
    from animegan.config.config import Config


class Pieces:
    """How this process's `share` of a batch is split into pieces.

    `same` says whether splitting leaves the loss unchanged, i.e. no image influences another
    (through BatchNorm or the loss). Only then is a batch split after running out of memory.
    """

    def __init__(
        self, config: "Config", objective: Objective, nets: tuple[nn.Module, ...], ranks: Ranks
    ) -> None:
        self.count = config.accumulate
        self.share = config.batch_size // ranks.size  # pictures
        self.same = (
            not any(models.has_batch_norm(net) for net in nets)
            and objective.name != "ra-hinge"
            and objective.penalty != "dragan"
        )
        self._ranks = ranks

    def rows(self, piece: int) -> slice:
        """Return the rows of a piece within the whole batch."""
        size = self.share // self.count
        start = self._ranks.rank * self.share + piece * size
        return slice(start, start + size)

    def cut(self, step: int, said: str) -> None:
        """Split the batch further after running out of memory.

        Args:
            step: the step that failed.
            said: the device's error message.

        Raises:
            TrainingStopped: the batch cannot be split (on processes other than the main: `Ended`).
        """
        more = self._allowed(self.count * 2, self.share + 1)
        if self.same and more:
            self.count = more
            return
        fits = max(2, self.share // self.count // 2) * self._ranks.size
        why = ("BatchNorm or the loss mixes its images, so splitting would change the "
               "result") if more else "it is already as small as it gets"  # fmt: skip
        text = (
            f"out of memory at step {step:,} ({said}); the batch was not split, since {why}: try "
            f"--batch-size {fits}"
        )
        raise self._ranks.stopped(text) if self.same else TrainingStopped(text)

    def resume(self, count: int) -> None:
        """Use at least the `count` pieces of a resumed run, which may have run out of memory."""
        self.count = self._allowed(max(self.count, count), self.share) or self.share

    def _allowed(self, least: int, end: int) -> int | None:
        """Return the first divisor of the share in range(least, end), or None."""
        return next((n for n in range(least, end) if self.share % n == 0), None)
