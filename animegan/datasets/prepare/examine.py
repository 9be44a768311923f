"""Find the faces of a picture, crop and measure them. Runs in worker processes."""

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageOps

from animegan.core.files import aside, sha256
from animegan.data.decode import BrokenPicture, decode
from animegan.datasets.crop import Square, around, centre, cut
from animegan.datasets.faces.detector import CascadeDetector, Detector, Face, FaceDetector
from animegan.datasets.prepare.manifest import FaceRecord, SourceRecord, key_hash
from animegan.datasets.quality import measure, perceptual_hash

_VERSION = 1  # increase it whenever the same picture would give different crops or measures


@dataclass(frozen=True)
class Cutting:
    """How faces are cropped. Changing it requires new crops, but no new detection."""

    size: int | None = 96  # None keeps each crop's own size
    margin: float = 0.2
    upright: bool = False
    channels: int = 3
    background: str = "white"

    @property
    def fingerprint(self) -> str:
        """Identifies the settings and the version of the code."""
        values = [_VERSION, self.size, self.margin, self.upright, self.channels, self.background]
        return json.dumps(values)


@dataclass(frozen=True)
class Searching:
    """How faces are detected."""

    detect: bool = True
    cascade: str | None = None
    smallest: int = 44  # px, smallest box

    @property
    def fingerprint(self) -> str:
        """Identifies the search, apart from `smallest`."""
        if not self.detect:
            return "none"
        if self.cascade is None:
            return "animeface 2.0.3"
        return "cascade " + sha256(Path(self.cascade))[:16]

    def detector(self) -> Detector | None:
        """Create the detector, or None without detection. Raises UsageError if it is unusable."""
        if not self.detect:
            return None
        return FaceDetector() if self.cascade is None else CascadeDetector(self.cascade)


@dataclass(frozen=True)
class Job:
    """A source picture, and its record of an earlier run, if any."""

    key: str
    folder: str
    stamp: str
    source: Path | bytes
    known: SourceRecord | None = None  # its faces are reused


class Examiner:
    """Processes jobs; one per worker process."""

    def __init__(self, searching: Searching, cutting: Cutting, crops: Path) -> None:
        self.searching, self.cutting, self.crops = searching, cutting, crops
        self.detector = searching.detector()
        self.search = searching.fingerprint

    def __call__(self, job: Job) -> SourceRecord:
        try:
            source = io.BytesIO(job.source) if isinstance(job.source, bytes) else job.source
            picture = decode(source, self.cutting.channels, self.cutting.background, name=job.key)
        except BrokenPicture as error:
            return self.record(job, problem=("broken", str(error)))
        record = replace(self.record(job), size=picture.size)
        places = self._faces(job, picture)
        if not places:
            return replace(record, problem=("no face", f"{picture.width}x{picture.height}"))
        faces = tuple(self._face(job, picture, i, face, at) for i, (face, at) in enumerate(places))
        phash, mirrored = perceptual_hash(picture), perceptual_hash(ImageOps.mirror(picture))
        return replace(record, faces=faces, phash=phash, mirrored=mirrored)

    def record(self, job: Job, problem: tuple[str, str] | None = None) -> SourceRecord:
        """Return a record without what only the picture can tell."""
        smallest = self.searching.smallest if job.known is None else job.known.smallest
        return SourceRecord(
            job.key, job.folder, job.stamp, self.search, smallest, self.cutting.fingerprint,
            problem=problem,
        )  # fmt: skip

    def _faces(self, job: Job, picture: Image.Image) -> list[tuple[Face, Square]]:
        width, height = picture.size
        if self.detector is None:
            square = centre(width, height)
            box = (square.x, square.y, square.x + square.side, square.y + square.side)
            return [(Face(box, 1.0), square)]
        if job.known is not None:
            faces = [known.face for known in job.known.faces]
        else:
            faces = self.detector.find(picture.convert("RGB"), self.searching.smallest)
        margin, upright = self.cutting.margin, self.cutting.upright
        return [(face, around(face, width, height, margin, upright)) for face in faces]

    def _face(
        self, job: Job, picture: Image.Image, index: int, face: Face, square: Square
    ) -> FaceRecord:
        size = self.cutting.size or square.side
        seen = cut(picture, square, min(size, square.side))
        crop = seen  # measured before it is enlarged
        if size > square.side:
            crop = seen.resize((size, size), Image.Resampling.LANCZOS)
        name = f"{key_hash(job.key):016x}_{index}.png"
        path = self.crops / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as half:
            crop.save(half, format="PNG")
        score = round(face.score, 4)
        return FaceRecord(face.box, score, face.eyes, square, measure(seen), f"{name[:2]}/{name}")


_examiner: Examiner | None = None


def begin(searching: Searching, cutting: Cutting, crops: Path) -> None:
    """Create this process's Examiner."""
    global _examiner
    _examiner = Examiner(searching, cutting, crops)


def examine(job: Job) -> SourceRecord:
    """Process a job with this process's Examiner."""
    assert _examiner is not None
    return _examiner(job)
