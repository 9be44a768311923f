"""Records of source pictures and their faces, and the journal that stores them.

`OUT/.prepare/journal.jsonl` has one line per source, flushed immediately. A later line about a
source replaces earlier ones. Each line ends with a checksum, and one that is damaged counts as
missing, so that its source is examined again. A last line truncated by an interruption is dropped.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from animegan.datasets.crop import Square
from animegan.datasets.faces.detector import Box, Face, Point
from animegan.datasets.quality import Measures


@dataclass(frozen=True)
class FaceRecord:
    """A detected face and the measures of its crop."""

    box: Box
    score: float
    eyes: tuple[Point, Point] | None
    square: Square
    measures: Measures
    file: str  # the crop, relative to OUT/.prepare/crops

    @property
    def face(self) -> Face:
        """The face as the detector returned it."""
        return Face(self.box, self.score, self.eyes)


@dataclass(frozen=True)
class SourceRecord:
    """A source picture; `problem` is (reason, detail) if it has no faces."""

    key: str
    folder: str
    stamp: str
    search: str  # fingerprint of Searching
    smallest: int  # px, smallest box that was searched for
    cutting: str  # fingerprint of Cutting
    size: tuple[int, int] = (0, 0)  # width, height in pixels
    phash: str = ""  # of the whole picture; see Measures
    mirrored: str = ""
    problem: tuple[str, str] | None = None
    faces: tuple[FaceRecord, ...] = field(default=())

    def place(self, face: FaceRecord) -> tuple[float, float, float, float]:
        """Return a face's box relative to the picture's size: x0, y0, x1, y1 in [0, 1]."""
        width, height = self.size
        x0, y0, x1, y1 = face.box
        return x0 / width, y0 / height, x1 / width, y1 / height

    def to_json(self) -> str:
        """Return the record as one line of ASCII with a checksum, without the newline."""
        text = json.dumps(asdict(self), separators=(",", ":"))
        return f"{text}#{zlib.crc32(text.encode('ascii')):08x}"

    @staticmethod
    def from_json(line: str | bytes) -> "SourceRecord":
        """Parse `to_json`'s output. Raises ValueError, KeyError or TypeError for anything else.

        Lines of older versions have no checksum.
        """
        raw: dict[str, Any] = _parse(line if isinstance(line, bytes) else line.encode())
        faces = tuple(
            FaceRecord(
                box=tuple(face["box"]),
                score=face["score"],
                eyes=_eyes(face["eyes"]),
                square=Square(**face["square"]),
                measures=Measures(**face["measures"]),
                file=face["file"],
            )
            for face in raw["faces"]
        )
        problem = raw["problem"] and (raw["problem"][0], raw["problem"][1])
        size = (raw["size"][0], raw["size"][1])
        return SourceRecord(**(raw | {"faces": faces, "problem": problem, "size": size}))


def _parse(line: bytes) -> dict[str, Any]:
    text, mark, check = line.rstrip(b"\n").rpartition(b"}#")
    if mark and check != b"%08x" % zlib.crc32(text + b"}"):
        raise ValueError("its checksum is wrong")
    try:
        raw = json.loads(text + b"}" if mark else line)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(raw, dict):
        raise TypeError("not a record")
    return raw


def _eyes(raw: list[list[float]] | None) -> tuple[Point, Point] | None:
    return None if raw is None else ((raw[0][0], raw[0][1]), (raw[1][0], raw[1][1]))


def key_hash(key: str) -> int:
    """Return a 64-bit hash of a key, which represents it in memory and in crop names."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class Journal:
    """The journal, open for reading and appending. It keeps two numbers per source in memory."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = open(path, "a+b")  # noqa: SIM115
        self._where: dict[int, int] = {}
        self._load()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._where)

    def get(self, key: str) -> SourceRecord | None:
        """Return the newest record of a source, or None."""
        return self.at(key_hash(key))

    def at(self, hashed_key: int) -> SourceRecord | None:
        """Return the newest record for a `key_hash`, or None."""
        offset = self._where.get(hashed_key)
        if offset is None:
            return None
        self._file.seek(offset)
        return SourceRecord.from_json(self._file.readline())

    def add(self, record: SourceRecord) -> None:
        """Append a record and flush it."""
        self._where[key_hash(record.key)] = self._file.seek(0, os.SEEK_END)
        self._file.write(record.to_json().encode("ascii") + b"\n")
        self._file.flush()

    def _load(self) -> None:
        good = 0
        self._file.seek(0)
        for line in self._lines():
            try:
                record = SourceRecord.from_json(line)
            except (ValueError, KeyError, TypeError, IndexError):
                good += len(line)  # damaged, or of a version with other fields
                continue
            self._where[key_hash(record.key)] = good
            good += len(line)
        self._file.truncate(good)

    def _lines(self) -> Iterator[bytes]:
        for line in self._file:
            if line.endswith(b"\n"):
                yield line
