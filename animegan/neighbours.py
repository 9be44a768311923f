"""Memorisation check: distances from samples and from unseen reals to the training set."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from animegan.metrics import Features, squared_distances

_QUANTILE = 0.01


class Nearest(NamedTuple):
    """The nearest row of a base set for each query: distances float64 [n] and rows int64 [n]."""

    distances: NDArray[np.float64]
    rows: NDArray[np.int64]


class Copying(NamedTuple):
    """Distances to the training set, from samples and from reals outside it."""

    samples: Nearest
    unseen: NDArray[np.float64]  # distances
    unseen_are: str  # source of the unseen reals, as named in the report
    near: float  # 1st percentile of the unseen reals' distances
    copied: float  # share of samples closer than `near`; about 0.01 if nothing is copied


def nearest(queries: Features, base: Features, *, without_self: bool = False) -> Nearest:
    """Return the nearest row of `base` for each query, by Euclidean distance.

    Distances are computed in chunks, so memory does not grow with len(queries) * len(base).

    Args:
        queries: features [n, d].
        base: features [m, d].
        without_self: `queries` is `base` itself; a row does not count as its own neighbour.
    """
    distances, rows = [], []
    for start, squares in squared_distances(torch.from_numpy(queries), torch.from_numpy(base)):
        if without_self:
            own = torch.arange(len(squares))
            squares[own, own + start] = torch.inf
        least = squares.min(dim=1)
        distances.append(least.values.sqrt().numpy())
        rows.append(least.indices.numpy())
    return Nearest(np.concatenate(distances), np.concatenate(rows))


def copying(
    samples: Features, train: Features, unseen: Features | None, unseen_are: str
) -> Copying:
    """Compare samples and unseen reals by their distance to the training set.

    If `unseen` is None, each training picture is compared with the others instead (leave-one-out).
    """
    of_samples = nearest(samples, train)
    if unseen is None:
        of_unseen = nearest(train, train, without_self=True)
    else:
        of_unseen = nearest(unseen, train)
    near = float(np.quantile(of_unseen.distances, _QUANTILE))
    copied = float((of_samples.distances < near).mean())
    return Copying(of_samples, of_unseen.distances, unseen_are, near, copied)


def closest_first(found: Nearest, count: int) -> list[int]:
    """Choose `count` queries to show: half the closest, the rest evenly spaced by distance."""
    order = np.argsort(found.distances, kind="stable")
    if len(order) <= count:
        return [int(i) for i in order]
    first = count // 2
    rest = np.linspace(first, len(order) - 1, count - first).round().astype(int)
    return [int(i) for i in (*order[:first], *order[rest])]
