"""A batch in pieces, whose gradients add up: by --accumulate, or where memory runs out."""

from typing import TYPE_CHECKING

from torch import nn

from animegan import models
from animegan.errors import TrainingStopped
from animegan.losses import Objective
from animegan.ranks import Ranks

if TYPE_CHECKING:
    from config import Config


class Pieces:
    """How this process's `share` of a batch is cut. `same`: the mean of the pieces' losses is the
    loss of the batch, since no picture sees another one; only then does want of memory cut it.
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
        """A piece's rows of the whole batch."""
        size = self.share // self.count
        start = self._ranks.rank * self.share + piece * size
        return slice(start, start + size)

    def cut(self, step: int, said: str) -> None:
        """Smaller ones, for want of memory, of which the device `said` this; or training ends."""
        more = self._allowed(self.count * 2, self.share + 1)
        if self.same and more:
            self.count = more
            return
        fits = max(2, self.share // self.count // 2) * self._ranks.size
        why = ("its pictures see each other through BatchNorm or the loss, so pieces would not be "
               "the same") if more else "it cannot be cut smaller"  # fmt: skip
        text = (
            f"out of memory at step {step:,} ({said}); the batch was not cut, since {why}: try "
            f"--batch-size {fits}"
        )
        raise self._ranks.stopped(text) if self.same else TrainingStopped(text)

    def resume(self, count: int) -> None:
        """At least as many as a training had that goes on: it may have run out of memory."""
        self.count = self._allowed(max(self.count, count), self.share) or self.share

    def _allowed(self, least: int, end: int) -> int | None:
        """The first number in the range by which the share divides."""
        return next((n for n in range(least, end) if self.share % n == 0), None)
