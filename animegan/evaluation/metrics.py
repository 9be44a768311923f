"""Distances between two sets of pictures, as pure functions of their feature arrays.

Everything except KID's kernel is computed in float64, and distance matrices in chunks of rows, so
that 10,000 against 10,000 pictures only need the memory of 1,000 rows. The conventions are those of
torch-fidelity 0.4, against which the tests check; it is not used directly because the features are
cached and shared by all metrics.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

ROWS = 1000  # rows of a distance matrix in memory at once
NEAREST = 3  # k of precision and recall
NAEEM_NEAREST = 5  # k of density and coverage
KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000
_THUMB = 16  # side length of a thumbnail in pixels
SAME_RMS = 14.0  # thumbnails closer than this count as the same (root mean square, 255 levels)

Features = NDArray[np.floating]


def frechet(real: Features, fake: Features) -> float:
    """Return the Fréchet distance of Gaussians fitted to [N, d] and [M, d] (Heusel et al. 2017).

    ``|m1 - m2|² + tr(S1 + S2 - 2 sqrt(S1 S2))``. The trace of the root is computed from two
    symmetric eigenproblems, which also works for fewer pictures than features. Biased: decreases
    with N.
    """
    mean_1, cov_1 = _gaussian(real)
    mean_2, cov_2 = _gaussian(fake)
    values, vectors = torch.linalg.eigh(cov_1)
    root = vectors * values.clamp(min=0).sqrt()  # root @ root.T = cov_1
    inner = root.T @ cov_2 @ root
    cross = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp(min=0).sqrt().sum()
    gap = (mean_1 - mean_2).square().sum()
    # rounding can make it slightly negative for equal sets
    return max(0.0, float(gap + cov_1.trace() + cov_2.trace() - 2 * cross))


def _gaussian(features: Features) -> tuple[Tensor, Tensor]:
    x = torch.from_numpy(features.astype(np.float64))
    mean = x.mean(0)
    x -= mean
    return mean, x.T @ x / (len(x) - 1)


def subset_size(count: int) -> int:
    """Return the size of KID's subsets: the usual 1,000, or half of a set smaller than 2,000."""
    return min(KID_SUBSET_SIZE, max(2, count // 2))


def kid(
    real: Features, fake: Features, *, norm_scaled: bool, subsets: int = KID_SUBSETS,
    size: int | None = None, seed: int = 0,
) -> tuple[float, float]:  # fmt: skip
    """Return the kernel distance (Bińkowski et al. 2018): mean and standard deviation over subsets.

    The unbiased squared maximum mean discrepancy with kernel ``(x·y / d + 1)³``, between `subsets`
    pairs of random subsets of `size` pictures (default: `subset_size`). The mean does not depend on
    N, and is about 0, of either sign, for two sets from the same source.

    norm_scaled: scale each vector to norm sqrt(d) first, so that the kernel lies between 1 and 8.
    Lite0's unscaled vectors have x·x / d of about 0.2, where the cube is nearly linear and KID
    would measure little more than the means. With scaling, only directions count, not lengths.
    """
    size = size or subset_size(min(len(real), len(fake)))
    x, y = _kernel_input(real, norm_scaled), _kernel_input(fake, norm_scaled)
    source = np.random.RandomState(seed)  # draws the same subsets as torch-fidelity
    values = np.empty(subsets)
    for k in range(subsets):
        b = y[source.choice(len(y), size, replace=False)]
        a = x[source.choice(len(x), size, replace=False)]
        values[k] = _mmd(a, b)
    return float(values.mean()), float(values.std())


def kid_of_all(real: Features, fake: Features, *, norm_scaled: bool) -> float:
    """Return the same distance between whole sets of equal size: less noisy for few pictures."""
    assert len(real) == len(fake)
    return _mmd(_kernel_input(real, norm_scaled), _kernel_input(fake, norm_scaled))


def _kernel_input(features: Features, norm_scaled: bool) -> Tensor:
    x = torch.from_numpy(features.astype(np.float32))
    if norm_scaled:
        x *= x.shape[1] ** 0.5 / x.norm(dim=1, keepdim=True)
    return x


def _mmd(x: Tensor, y: Tensor) -> float:
    m = len(x)
    within = _kernel_sum(x, x) + _kernel_sum(y, y)
    within -= _kernel_diagonal(x) + _kernel_diagonal(y)
    return within / (m * (m - 1)) - 2 * _kernel_sum(x, y) / m**2


def _kernel_sum(x: Tensor, y: Tensor) -> float:
    total = 0.0
    for rows in torch.split(x, ROWS):
        kernel = (rows @ y.T).div_(x.shape[1]).add_(1).pow_(3)
        total += float(kernel.sum(dtype=torch.float64))
    return total


def _kernel_diagonal(x: Tensor) -> float:
    squares = x.square().sum(1).div_(x.shape[1]).add_(1).pow_(3)
    return float(squares.sum(dtype=torch.float64))


class Prdc(NamedTuple):
    """Precision, recall, density and coverage; all but density are in [0, 1]."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: Features, fake: Features) -> Prdc:
    """Return precision and recall, density and coverage for features [N, d] and [M, d].

    Each picture has a ball that reaches to its k-th nearest neighbour in the same set. Precision is
    the share of fakes in some real's ball, recall the share of reals in some fake's ball
    (Kynkäänniemi et al. 2019, k = 3). Density is the average number of real balls that contain a
    fake, divided by k (above 1 where fakes are crowded); coverage is the share of real balls that
    contain a fake (Naeem et al. 2020, k = 5).
    """
    x, y = (torch.from_numpy(f.astype(np.float64)) for f in (real, fake))
    around_real = radii(x, NEAREST, NAEEM_NEAREST)
    around_fake = radii(y, NEAREST)
    precise, dense = 0.0, 0.0
    recalled = torch.zeros(len(x), dtype=torch.bool)
    covered = torch.zeros(len(x), dtype=torch.bool)
    for start, squares in squared_distances(y, x):  # rows: fakes
        precise += float((squares <= around_real[0]).any(1).sum())
        inside = squares <= around_real[1]
        dense += float(inside.sum()) / NAEEM_NEAREST
        covered |= inside.any(0)
        recalled |= (squares <= around_fake[0, start : start + len(squares), None]).any(0)
    return Prdc(
        precise / len(y), float(recalled.double().mean()), dense / len(y),
        float(covered.double().mean()),
    )  # fmt: skip


def radii(x: Tensor, *nearest: int) -> Tensor:
    """Return squared distances [len(nearest), N] to the k-th nearest other row, for each k."""
    most = max(nearest) + 1  # each row's nearest is itself
    parts = [
        squares.topk(most, dim=1, largest=False).values[:, list(nearest)]
        for _, squares in squared_distances(x, x)
    ]
    return torch.cat(parts).T.contiguous()


def squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield (start, squared distances) from ROWS rows of x, beginning at `start`, to all rows of y.

    The distances are float64 [ROWS, M]. Values within rounding error are set to 0, so that equal
    rows have distance 0.
    """
    x, y = x.double(), y.double()
    of_x, of_y = x.square().sum(1, keepdim=True), y.square().sum(1)
    nothing = 1e-12 * float(of_y.max())
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        squares = torch.addmm(of_y[None], x[rows], y.T, alpha=-2).add_(of_x[rows])
        yield start, squares.masked_fill_(squares < nothing, 0)


def thumbnails(pixels: Tensor) -> Tensor:
    """Average uint8 [n, C, H, W] down to 16 x 16 and flatten to uint8 [n, C * 256]."""
    small = F.interpolate(pixels.float(), size=(_THUMB, _THUMB), mode="area")
    return small.round_().to(torch.uint8).flatten(1)


def mirrored_thumbnails(thumbs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the thumbnails [n, C * 256] of the pictures' mirror images."""
    rows = thumbs.reshape(len(thumbs), -1, _THUMB)
    return np.ascontiguousarray(rows[:, :, ::-1]).reshape(thumbs.shape)


def near_identical(thumbs: NDArray[np.uint8]) -> int:
    """Return how many pictures have a near-identical earlier one, and so could be dropped.

    Pictures are near-identical if their thumbnails [N, p] differ by less than SAME_RMS levels (root
    mean square). Among 10,000 anime faces cropped from illustrations, nearest neighbours are
    typically 44 levels apart; of the pairs below 14, all fifteen that were inspected were the same
    drawing.
    """
    x = torch.from_numpy(thumbs.astype(np.float64))
    limit = SAME_RMS**2 * x.shape[1]
    count = 0
    for start, squares in squared_distances(x, x):
        earlier = torch.ones_like(squares, dtype=torch.bool).tril_(start - 1)
        count += int(((squares < limit) & earlier).any(1).sum())
    return count
