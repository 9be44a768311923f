"""Find near duplicates, including mirrored ones, by the Hamming distance of perceptual hashes.

All pairs are compared, through blocked matrix products of hashes as +1 and -1: seconds for 20,000
pictures. An index (BK-tree, buckets of equal words) would not help: at a radius of 56 of 256 bits,
a search visits almost everything.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint8]  # [N, 32]
Indices = NDArray[np.int64]
_BLOCK = 2048  # 16 MB for the distances of one block of pairs


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures `first[k]` and `second[k]`; all arrays are [K]."""

    first: Indices
    second: Indices
    distance: Indices  # Hamming distance in bits
    mirrored: NDArray[np.bool_]  # the first matches the mirrored second

    def within(self, distance: int) -> "Pairs":
        """Return the pairs with at most this distance."""
        near = self.distance <= distance
        return Pairs(self.first[near], self.second[near], self.distance[near], self.mirrored[near])


def pack(hexadecimal: list[str]) -> Hashes:
    """Convert hexadecimal hashes of equal length to uint8 [N, bytes]."""
    packed = np.frombuffer(bytes.fromhex("".join(hexadecimal)), dtype=np.uint8)
    return packed.reshape(len(hexadecimal), -1 if hexadecimal else 32)


def pairs_within(hashes: Hashes, mirrored: Hashes, within: int) -> Pairs:
    """Return all pairs of a set, first < second, with a distance of at most `within` bits.

    `mirrored` holds the hashes of the mirrored pictures. A pair that matches both ways is returned
    once.
    """
    return _gather(
        [
            (i[i < j], j[i < j], d[i < j], flipped)
            for flipped, others in ((False, hashes), (True, mirrored))
            for i, j, d in _close(hashes, others, within, upper=True)
        ]
    )


def pairs_between(hashes: Hashes, others: Hashes, others_mirrored: Hashes, within: int) -> Pairs:
    """Return all pairs across two sets with a distance of at most `within` bits."""
    return _gather(
        [
            (i, j, d, flipped)
            for flipped, right in ((False, others), (True, others_mirrored))
            for i, j, d in _close(hashes, right, within, upper=False)
        ]
    )


def joined(some: Pairs, more: Pairs) -> Pairs:
    """Concatenate pairs."""
    return Pairs(
        np.concatenate([some.first, more.first]),
        np.concatenate([some.second, more.second]),
        np.concatenate([some.distance, more.distance]),
        np.concatenate([some.mirrored, more.mirrored]),
    )


def choose(count: int, pairs: Pairs, worth: NDArray[np.float64]) -> Indices:
    """Choose which of `count` pictures to keep: -1 if kept, else the kept one that replaces it.

    Pictures are visited in order of decreasing `worth` (ties: by index); each is kept unless it is
    paired with a kept one. So none is dropped because of a picture that is itself dropped.
    """
    order = np.lexsort((np.arange(count), -worth))
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    swap = rank[pairs.first] > rank[pairs.second]
    better = np.where(swap, pairs.second, pairs.first)
    worse = np.where(swap, pairs.first, pairs.second)
    instead = np.full(count, -1, dtype=np.int64)
    for k in np.lexsort((pairs.distance, rank[better], rank[worse])):
        if instead[better[k]] < 0 and instead[worse[k]] < 0:
            instead[worse[k]] = better[k]
    return instead


def equal_to_earlier(digests: Sequence[Hashable]) -> Indices:
    """Return for each picture the first earlier one with the same digest, or -1."""
    first: dict[Hashable, int] = {}
    where = [first.setdefault(digest, index) for index, digest in enumerate(digests)]
    return np.array([-1 if at == i else at for i, at in enumerate(where)], dtype=np.int64)


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> Indices:
    """Return the connected component of each of `count` items, named by its smallest index."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        a, b = root(a), root(b)
        parent[max(a, b)] = min(a, b)
    return np.array([root(i) for i in range(count)], dtype=np.int64)


def _close(
    left: Hashes, right: Hashes, within: int, upper: bool
) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Yield rows, columns and distances of close pairs by block; `upper` skips the lower blocks."""
    bits = left.shape[1] * 8 if len(left) else 0
    for top in range(0, len(left), _BLOCK):
        rows = _signs(left[top : top + _BLOCK])
        for start in range(top if upper else 0, len(right), _BLOCK):
            product = rows @ _signs(right[start : start + _BLOCK]).T  # bits - 2 * distance
            i, j = np.nonzero(product >= bits - 2 * within)
            distance = ((bits - product[i, j]) / 2).astype(np.int64)
            yield i + top, j + start, distance


def _signs(hashes: Hashes) -> NDArray[np.float32]:
    return np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1


def _gather(blocks: list[tuple[Indices, Indices, Indices, bool]]) -> Pairs:
    empty = np.zeros(0, dtype=np.int64)
    first, second, distance = (
        np.concatenate([empty, *(block[column] for block in blocks)]) for column in (0, 1, 2)
    )
    flipped = np.concatenate([empty, *(np.full(len(b[0]), b[3]) for b in blocks)]).astype(bool)
    order = np.lexsort((flipped, distance, second, first))
    first, second, distance, flipped = (a[order] for a in (first, second, distance, flipped))
    once = np.ones(len(first), dtype=bool)
    once[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return Pairs(first[once], second[once], distance[once], flipped[once])
