"""Select the faces to keep, and record why the others are dropped."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animegan.datasets.duplicates import (
    Indices,
    Pairs,
    choose,
    equal_to_earlier,
    groups,
    joined,
    pairs_within,
)
from animegan.datasets.faces.detector import overlap_of
from animegan.datasets.prepare.manifest import SourceRecord
from animegan.datasets.quality import Limits, why_dropped

REASONS = (
    "broken", "refused", "other file", "no face", "too small", "low score", "uniform", "grey",
    "blurred", "upscaled", "exact duplicate", "near duplicate",
)  # fmt: skip
OF_FACES = REASONS[4:]
_LINKED = 64  # bits of 256; faces this close go to the same side of the split
_SAME_PAGE = 20  # bits of 256; whole pictures this close are one, recompressed or resized
_SAME_FACE = 0.5  # overlap above which boxes in two such pictures are the same face
_KEPT = -1


@dataclass(frozen=True)
class Selection:
    """The selected faces. Faces are numbered by record, then by their order within it."""

    source: NDArray[np.int64]  # [F]: index of the face's record
    reason: NDArray[np.int64]  # [F]: index into REASONS, or -1 if kept
    instead: Indices  # [F]: the face that a duplicate repeats, or -1
    family: Indices  # [S]: equal for records linked by (near) duplicates

    @property
    def kept(self) -> Indices:
        """Indices of the kept faces."""
        return np.flatnonzero(self.reason == _KEPT)

    def why(self, face: int) -> str | None:
        """Return the reason for dropping a face, or None if it is kept."""
        code = int(self.reason[face])
        return None if code == _KEPT else REASONS[code]


def select(records: Iterable[SourceRecord], limits: Limits) -> Selection:
    """Apply the limits, then find duplicates among the remaining faces (about 250 bytes per face).

    Two faces are duplicates if their crops look alike, possibly mirrored, or if they are at the
    same place in two pictures that look alike. The largest of the duplicates is kept.
    """
    gathered = _Gathered()
    for record in records:
        gathered.add(record, limits)
    return gathered.settle(limits.near)


class _Gathered:
    """Compact columns collected in one pass over the records."""

    def __init__(self) -> None:
        self.sources = 0
        self.source, self.reason, self.side = array("q"), array("q"), array("d")
        self.passed = array("q")  # faces within the limits; the next four describe them
        self.hashes, self.mirrored = bytearray(), bytearray()
        self.digests: list[bytes] = []
        self.places = array("d")  # four numbers per face: `SourceRecord.place`
        self.pages = array("q")  # records with such faces; the next two describe them
        self.page_hashes, self.page_mirrored = bytearray(), bytearray()

    def add(self, record: SourceRecord, limits: Limits) -> None:
        """Add the faces of a record."""
        before = len(self.passed)
        for face in record.faces:
            why = why_dropped(face.square.side, face.score, face.measures, limits)
            if why is None:
                self.passed.append(len(self.source))
                self.hashes += bytes.fromhex(face.measures.phash)
                self.mirrored += bytes.fromhex(face.measures.mirrored)
                self.digests.append(bytes.fromhex(face.measures.digest))
                self.places.extend(record.place(face))
            self.source.append(self.sources)
            self.side.append(face.square.side)
            self.reason.append(_KEPT if why is None else REASONS.index(why))
        if len(self.passed) > before:
            self.pages.append(self.sources)
            self.page_hashes += bytes.fromhex(record.phash)
            self.page_mirrored += bytes.fromhex(record.mirrored)
        self.sources += 1

    def settle(self, near: int) -> Selection:
        """Find duplicates among the faces within the limits."""
        source, reason, passed = (
            np.array(column, dtype=np.int64) for column in (self.source, self.reason, self.passed)
        )
        instead = np.full(len(source), -1, dtype=np.int64)
        twin = equal_to_earlier(self.digests)
        copies = np.flatnonzero(twin >= 0)
        reason[passed[copies]] = REASONS.index("exact duplicate")
        instead[passed[copies]] = passed[twin[copies]]

        single = np.flatnonzero(twin < 0)
        faces = passed[single]
        alike = pairs_within(
            _unpack(self.hashes)[single], _unpack(self.mirrored)[single], max(near, _LINKED)
        )
        pages = self._pages_alike()
        if near:
            placed = self._same_place(pages, source[faces], single)
            better = choose(len(faces), joined(alike.within(near), placed), self._sides(faces))
            worse = np.flatnonzero(better >= 0)
            reason[faces[worse]] = REASONS.index("near duplicate")
            instead[faces[worse]] = faces[better[worse]]
            further = instead[instead[passed[copies]]]  # a copy of one that was itself dropped
            instead[passed[copies]] = np.where(further >= 0, further, instead[passed[copies]])
        links = np.concatenate(
            [
                np.stack([source[passed[copies]], source[passed[twin[copies]]]], axis=1),
                np.stack([source[faces[alike.first]], source[faces[alike.second]]], axis=1),
                np.stack([pages.first, pages.second], axis=1),
            ]
        )
        family = groups(self.sources, ((a, b) for a, b in links.tolist()))
        return Selection(source, reason, instead, family)

    def _sides(self, faces: Indices) -> NDArray[np.float64]:
        return np.array(self.side, dtype=np.float64)[faces]

    def _pages_alike(self) -> Pairs:
        """Return pairs of records (by index) whose whole pictures look alike."""
        numbers = np.array(self.pages, dtype=np.int64)
        pairs = pairs_within(_unpack(self.page_hashes), _unpack(self.page_mirrored), _SAME_PAGE)
        first, second = numbers[pairs.first], numbers[pairs.second]
        return Pairs(first, second, pairs.distance, pairs.mirrored)

    def _same_place(self, pages: Pairs, owner: Indices, single: Indices) -> Pairs:
        """Return pairs of faces (indices into `single`) at the same place in matching pictures."""
        members: dict[int, list[int]] = {int(number): [] for number in pages.first}
        members |= {int(number): [] for number in pages.second}
        for index, number in enumerate(owner.tolist()):
            if number in members:
                members[number].append(index)
        places = np.array(self.places).reshape(-1, 4)[single]
        pairs = [
            (i, j, flipped)
            for a, b, flipped in zip(
                pages.first.tolist(), pages.second.tolist(), pages.mirrored.tolist(), strict=True
            )
            for i in members[a]
            for j in members[b]
            if overlap_of(tuple(places[i]), _flipped(places[j]) if flipped else tuple(places[j]))
            > _SAME_FACE
        ]
        columns = np.array([(min(i, j), max(i, j), 0, f) for i, j, f in pairs], dtype=np.int64)
        first, second, distance, mirrored = columns.reshape(-1, 4).T
        return Pairs(first, second, distance, mirrored.astype(bool))


def _flipped(place: NDArray[np.float64]) -> tuple[float, ...]:
    x0, y0, x1, y1 = place.tolist()
    return 1 - x1, y0, 1 - x0, y1


def _unpack(packed: bytearray) -> NDArray[np.uint8]:
    return np.frombuffer(bytes(packed), dtype=np.uint8).reshape(-1, 32)
