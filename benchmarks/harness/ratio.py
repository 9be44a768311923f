"""Compare the speed of several sides by the median of their ratios over rounds.

A machine's speed drifts, but hardly within a moment. So each round times every side once, and
ratios are taken within a round.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum over rounds."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        """Summarise at least one value."""
        return Spread(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def in_turn(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each side in each round: name -> [rounds].

    Every other round runs in reverse order, so that no side always follows the same one. The caller
    must warm up the sides.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            begun = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """Return the ratio of `slow` to `fast` over rounds."""
    return Spread.of([one / other for one, other in zip(slow, fast, strict=True)])
