"""Is the generator copying? Samples' nearest training pictures, beside those of unseen reals."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from animegan.measure import Measured
from animegan.metrics import SAME_RMS, mirrored_thumbnails, squared_distances

QUANTILE = 0.01

Rows = NDArray[np.floating] | NDArray[np.uint8]  # features or thumbnails, [n, d]


class Nearest(NamedTuple):
    """For each of n queries, the nearest row of a base."""

    distances: NDArray[np.float64]  # [n]
    rows: NDArray[np.int64]  # [n], rows of the base
    mirrored: NDArray[np.bool_]  # [n], whether it is the query's mirror image that is so near


class Copying(NamedTuple):
    """How near samples come to the training set, and how near real pictures it never saw come."""

    samples: Nearest
    unseen: NDArray[np.float64]  # distances of the unseen reals that count
    unseen_are: str  # where the unseen reals come from, for the report
    left_out: int  # unseen reals that do not count, as the training set has a near-identical one
    near: float | None  # within this distance lie 1 % of the unseen reals; None if none count
    copied: float | None  # share of samples within it: about 0.01 where nothing is copied


def nearest(queries: Rows, base: Rows, own: NDArray[np.int64] | None = None) -> Nearest:
    """Find each query's nearest row of base by Euclidean distance, in flat memory.

    own: for queries [n, d] that are rows of the base themselves, which rows they are, [n]. A row is
    not its own neighbour.
    """
    distances, rows = [], []
    for start, squares in squared_distances(torch.from_numpy(queries), torch.from_numpy(base)):
        if own is not None:
            here = torch.from_numpy(own[start : start + len(squares)])
            squares[torch.arange(len(squares)), here] = torch.inf
        least = squares.min(dim=1)
        distances.append(least.values.sqrt().numpy())
        rows.append(least.indices.numpy())
    straight = np.zeros(len(queries), dtype=np.bool_)
    return Nearest(np.concatenate(distances), np.concatenate(rows), straight)


def nearest_either_way(
    queries: Rows, mirrored: Rows, base: Rows, own: NDArray[np.int64] | None = None
) -> Nearest:
    """Find the nearest row of base to each query or to its mirror image, whichever is nearer.

    This also finds pictures that mirror one of the base, without the base's mirror images.
    """
    one, other = nearest(queries, base, own), nearest(mirrored, base, own)
    nearer = other.distances < one.distances
    return Nearest(
        np.where(nearer, other.distances, one.distances),
        np.where(nearer, other.rows, one.rows),
        nearer,
    )


def copying(
    samples: Measured, train: Measured, unseen: Measured, unseen_are: str,
    own: NDArray[np.int64] | None = None,
) -> Copying:  # fmt: skip
    """Compare samples and unseen reals by their distance to the training set.

    A picture's distance is that of its nearer side: itself or its mirror image. Both `samples` and
    `unseen` need the features of their mirror images. Unseen reals that have a near-identical
    training picture (`SAME_RMS`, mirrored or not) do not count: the training set holds them, so
    their distances do not tell how near an unseen picture comes.

    own: for unseen reals [n, d] that are training pictures, which stand in for unseen ones by
    leaving each out of the training set in turn, their rows there, [n].
    """
    of_samples = nearest_either_way(samples.features, samples.mirrored, train.features)
    of_unseen = nearest_either_way(unseen.features, unseen.mirrored, train.features, own)
    small = nearest_either_way(unseen.thumbs, mirrored_thumbnails(unseen.thumbs), train.thumbs, own)
    twins = small.distances < SAME_RMS * unseen.thumbs.shape[1] ** 0.5
    counting = of_unseen.distances[~twins]
    near = copied = None
    if len(counting):
        near = float(np.quantile(counting, QUANTILE))
        copied = float((of_samples.distances <= near).mean())
    return Copying(of_samples, counting, unseen_are, int(twins.sum()), near, copied)


def closest_first(found: Nearest, count: int) -> list[int]:
    """Choose `count` queries to show: half the closest, the rest evenly spaced by distance."""
    order = np.argsort(found.distances, kind="stable")
    if len(order) <= count:
        return [int(i) for i in order]
    first = count // 2
    rest = np.linspace(first, len(order) - 1, count - first).round().astype(int)
    return [int(i) for i in (*order[:first], *order[rest])]
