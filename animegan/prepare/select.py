"""Which of the faces in the journal are kept, and why the others are not."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animegan.prepare.checks import Limits, why_dropped
from animegan.prepare.duplicates import (
    Indices,
    choose,
    equal_to_earlier,
    groups,
    pairs_within,
)
from animegan.prepare.manifest import SourceRecord

REASONS = (
    "broken", "refused", "other file", "no face", "too small", "low score", "uniform", "grey",
    "blurred", "upscaled", "exact duplicate", "near duplicate",
)  # fmt: skip
OF_FACES = REASONS[4:]
_LINKED = 56  # bits of 256: pictures this close may not lie on both sides of the split
_KEPT = -1


@dataclass(frozen=True)
class Selection:
    """Faces are numbered in the order of the records, within a record as they stand there."""

    source: NDArray[np.int64]  # [F]: number of the record that a face belongs to
    reason: NDArray[np.int64]  # [F]: index of REASONS, -1: kept
    instead: Indices  # [F]: the face that a duplicate is a duplicate of, else -1
    family: Indices  # [S]: equal for records that share a picture or a near-duplicate

    @property
    def kept(self) -> Indices:
        """The numbers of the kept faces."""
        return np.flatnonzero(self.reason == _KEPT)

    def why(self, face: int) -> str | None:
        """The reason's name, None for a kept face."""
        code = int(self.reason[face])
        return None if code == _KEPT else REASONS[code]


def select(records: Iterable[SourceRecord], limits: Limits) -> Selection:
    """Apply the limits, then look for duplicates among what passed. Needs ~100 bytes a face."""
    source, reason, side = array("q"), array("q"), array("d")
    hashes, mirrored = bytearray(), bytearray()
    digests: list[bytes] = []
    passed = array("q")
    number = -1
    for number, record in enumerate(records):
        for face in record.faces:
            why = why_dropped(face.square.side, face.score, face.measures, limits)
            if why is None:
                passed.append(len(source))
                hashes += bytes.fromhex(face.measures.phash)
                mirrored += bytes.fromhex(face.measures.mirrored)
                digests.append(bytes.fromhex(face.measures.digest))
            source.append(number)
            side.append(face.square.side)
            reason.append(_KEPT if why is None else REASONS.index(why))
    return _without_duplicates(
        _numbers(source), _numbers(reason), np.frombuffer(side, np.float64), number + 1,
        _numbers(passed), _hashes(hashes), _hashes(mirrored), digests, limits.near,
    )  # fmt: skip


def _without_duplicates(
    source: NDArray[np.int64],
    reason: NDArray[np.int64],
    side: NDArray[np.float64],
    sources: int,
    passed: Indices,
    hashes: NDArray[np.uint8],
    mirrored: NDArray[np.uint8],
    digests: list[bytes],
    near: int,
) -> Selection:
    instead = np.full(len(source), -1, dtype=np.int64)
    twin = equal_to_earlier(digests)
    copies = np.flatnonzero(twin >= 0)
    reason[passed[copies]] = REASONS.index("exact duplicate")
    instead[passed[copies]] = passed[twin[copies]]
    links = list(zip(source[passed[copies]], source[passed[twin[copies]]], strict=True))

    single = np.flatnonzero(twin < 0)
    pairs = pairs_within(hashes[single], mirrored[single], max(near, _LINKED))
    faces = passed[single]
    links += zip(source[faces[pairs.first]], source[faces[pairs.second]], strict=True)
    if near:
        better = choose(len(faces), pairs.within(near), side[faces])
        worse = np.flatnonzero(better >= 0)
        reason[faces[worse]] = REASONS.index("near duplicate")
        instead[faces[worse]] = faces[better[worse]]
        further = instead[instead[passed[copies]]]  # a copy of one that fell out itself
        instead[passed[copies]] = np.where(further >= 0, further, instead[passed[copies]])
    return Selection(source, reason, instead, groups(sources, _plain(links)))


def _plain(links: list[tuple[np.int64, np.int64]]) -> Iterator[tuple[int, int]]:
    return ((int(a), int(b)) for a, b in links)


def _numbers(values: "array[int]") -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _hashes(packed: bytearray) -> NDArray[np.uint8]:
    return np.frombuffer(bytes(packed), dtype=np.uint8).reshape(-1, 32)
