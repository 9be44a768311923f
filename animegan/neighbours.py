"""Is the generator copying? Samples' nearest training pictures, beside those of unseen reals."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from animegan.metrics import Features, squared_distances

_QUANTILE = 0.01


class Nearest(NamedTuple):
    """For each query the nearest row of a base: distances float64 [n] and rows int64 [n]."""

    distances: NDArray[np.float64]
    rows: NDArray[np.int64]


class Copying(NamedTuple):
    """How near samples come to the training set, and how near real pictures it never saw come."""

    samples: Nearest
    unseen: NDArray[np.float64]  # distances
    unseen_are: str  # where the unseen reals come from, for the report
    near: float  # the distance below which 1 % of the unseen reals lie
    copied: float  # share of samples below it: about 0.01 where nothing is copied


def nearest(queries: Features, base: Features, *, without_self: bool = False) -> Nearest:
    """Each query's nearest row of base by Euclidean distance, in flat memory.

    without_self: queries are the base itself, and a row is not its own neighbour.
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

    Without unseen reals each training picture is measured against the others, which stands in for
    one left out.
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
    """Queries to look at: the first half those closest to the base, the rest spread evenly."""
    order = np.argsort(found.distances, kind="stable")
    if len(order) <= count:
        return [int(i) for i in order]
    first = count // 2
    rest = np.linspace(first, len(order) - 1, count - first).round().astype(int)
    return [int(i) for i in (*order[:first], *order[rest])]
