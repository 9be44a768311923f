"""Plot panels: which scalars share one, their legend names, and series of points."""

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np


@dataclass(frozen=True)
class Panel:
    """Curves that share one pair of axes. `name` is also the window id in visdom; keep it."""

    name: str
    title: str
    labels: Mapping[str, str]  # scalar's key -> its name in the legend


PANELS = (
    Panel("losses", "losses", {"loss_d": "discriminator", "loss_g": "generator"}),
    Panel("scores", "D(x) and D(G(z)), probability or score", {"d_x": "D(x)", "d_g_z": "D(G(z))"}),
    Panel("labels", "loss of the labels", {"aux_x": "reals", "aux_g_z": "fakes"}),
    Panel("kid", "KID x 1000", {"kid_x1000": "KID x 1000"}),
    Panel("fd", "Fréchet distance", {"fd": "FD"}),
    Panel("images_per_second", "images per second", {"images_per_second": "images/s"}),
)
_PANEL_OF = {key: panel for panel in PANELS for key in panel.labels}
KNOWN_KEYS = frozenset(_PANEL_OF)


def panel_of(key: str) -> Panel:
    """Return the panel of a scalar; a key not in `PANELS` gets a panel of its own."""
    return _PANEL_OF.get(key) or Panel(key, key, {key: key})


class Series:
    """Points (step, value) in increasing order of step.

    Adding a step that is already there drops it and every later point, so a run resumed from an
    earlier state overwrites what it repeats.
    """

    def __init__(self) -> None:
        self._steps = array("q")
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def last_step(self) -> int:
        """The step of the last point, or -1 if there is none."""
        return self._steps[-1] if self._steps else -1

    def add(self, step: int, value: float) -> None:
        """Append a point. Non-finite values become NaN, a gap in the curve."""
        while self._steps and self._steps[-1] >= step:
            self._steps.pop()
            self._values.pop()
        self._steps.append(step)
        self._values.append(value if math.isfinite(value) else math.nan)

    def after(self, step: int) -> Iterable[tuple[int, float]]:
        """Return the points after `step`, in order."""
        start = int(np.searchsorted(np.array(self._steps), step, side="right"))
        return list(zip(self._steps[start:], self._values[start:], strict=True))

    def points(self, limit: int | None = None) -> tuple[list[int], list[float]]:
        """Return steps and values, averaged down to at most `limit` points.

        Each mean covers a run of consecutive points, ignores NaN, and is placed at the last step.
        """
        steps, values = np.array(self._steps), np.array(self._values)
        if limit is None or len(steps) <= limit:
            return steps.tolist(), values.tolist()
        width = -(-len(steps) // limit)
        starts = np.arange(0, len(steps), width)
        ends = np.append(starts[1:], len(steps))
        finite = np.isfinite(values)
        sums = np.add.reduceat(np.where(finite, values, 0.0), starts)
        counts = np.add.reduceat(finite.astype(np.int64), starts)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)
        return steps[ends - 1].tolist(), means.tolist()


def collect(
    records: Iterable[Mapping[str, object]], keys: Iterable[str] | None = None
) -> dict[str, Series]:
    """Turn records of `metrics.jsonl` into one series per key.

    Args:
        records: the records; those without a finite "step" are skipped.
        keys: the keys to collect; None collects every numeric one.
    """
    wanted = None if keys is None else frozenset(keys)
    series: dict[str, Series] = {}
    for record in records:
        step = record.get("step")
        if not _is_number(step) or not math.isfinite(step):
            continue
        for key, value in record.items():
            if key != "step" and _is_number(value) and (wanted is None or key in wanted):
                series.setdefault(key, Series()).add(int(step), float(value))
    return series


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
