"""Memorisation check: distances from samples and from unseen reals to the training set."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from animegan.evaluation.measure import Measured
from animegan.evaluation.metrics import SAME_RMS, mirrored_thumbnails, squared_distances

QUANTILE = 0.01

Rows = NDArray[np.floating] | NDArray[np.uint8]  # features or thumbnails, [n, d]


class Nearest(NamedTuple):
    """The nearest row of a base set for each of n queries."""

    distances: NDArray[np.float64]  # [n]
    rows: NDArray[np.int64]  # [n], rows of the base
    mirrored: NDArray[np.bool_]  # [n], whether the query's mirror image is the closer one


class Copying(NamedTuple):
    """Distances to the training set, from samples and from reals outside it."""

    samples: Nearest
    unseen: NDArray[np.float64]  # distances, without those left out
    unseen_are: str  # source of the unseen reals, as named in the report
    left_out: int  # number of unseen reals with a near-identical training picture
    near: float | None  # 1st percentile of the unseen reals' distances; None if all are left out
    copied: float | None  # share of samples within `near`; about 0.01 if nothing is copied


def nearest(queries: Rows, base: Rows, own: NDArray[np.int64] | None = None) -> Nearest:
    """Return the nearest row of `base` for each query, by Euclidean distance.

    Distances are computed in chunks, so memory does not grow with len(queries) * len(base).

    Args:
        queries: features or thumbnails [n, d].
        base: the same of other pictures, [m, d].
        own: if the queries are rows of `base` themselves, their row numbers [n]; a row does not
            count as its own neighbour.
    """
    distances, rows = [], []
    for start, squares in squared_distances(torch.from_numpy(queries), torch.from_numpy(base)):
        if own is not None:
            themselves = torch.from_numpy(own[start : start + len(squares)])
            squares[torch.arange(len(squares)), themselves] = torch.inf
        least = squares.min(dim=1)
        distances.append(least.values.sqrt().numpy())
        rows.append(least.indices.numpy())
    straight = np.zeros(len(queries), dtype=np.bool_)
    return Nearest(np.concatenate(distances), np.concatenate(rows), straight)


def nearest_either_way(
    queries: Rows, mirrored: Rows, base: Rows, own: NDArray[np.int64] | None = None
) -> Nearest:
    """Return the nearest row of `base` for each query or its mirror image, whichever is nearer.

    A query that mirrors a picture of the base has a mirror image that equals it, so the mirror
    images of the base need not be measured. Arguments as for `nearest`; `mirrored` [n, d] are the
    mirror images of the queries.
    """
    plain, flipped = nearest(queries, base, own), nearest(mirrored, base, own)
    nearer = flipped.distances < plain.distances
    return Nearest(
        np.where(nearer, flipped.distances, plain.distances),
        np.where(nearer, flipped.rows, plain.rows),
        nearer,
    )


def copying(
    samples: Measured, train: Measured, unseen: Measured, unseen_are: str,
    own: NDArray[np.int64] | None = None,
) -> Copying:  # fmt: skip
    """Compare samples and unseen reals by their distance to the training set.

    Each picture counts with its own distance or its mirror image's, whichever is smaller. Unseen
    reals with a near-identical training picture (`SAME_RMS`, mirrored or not) are left out: they
    are not unseen, and 1 % of them would bring the threshold down to 0.

    Args:
        samples: n samples, all with the features of their mirror images.
        train: the training set.
        unseen: reals outside the training set, all with the features of their mirror images.
        unseen_are: source of the unseen reals, for the report.
        own: if `unseen` are training pictures, their row numbers in `train`; each is compared with
            the others instead (leave-one-out).
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


def closest_first(neighbours: Nearest, count: int) -> list[int]:
    """Choose `count` queries to show: half the closest, the rest evenly spaced by distance."""
    order = np.argsort(neighbours.distances, kind="stable")
    if len(order) <= count:
        return [int(i) for i in order]
    first = count // 2
    rest = np.linspace(first, len(order) - 1, count - first).round().astype(int)
    return [int(i) for i in (*order[:first], *order[rest])]
