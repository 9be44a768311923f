"""Measure a picture of an existing set as training would see it. Runs in worker processes."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from animegan.core.files import open_regular
from animegan.data.decode import BrokenPicture, decode
from animegan.datasets.crop import centre, cut
from animegan.datasets.quality import Measures, measure

THUMB = 8  # px, side of the thumbnails used to find outliers


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept in memory about a picture, some 1 KB."""

    key: str
    problem: str = ""  # why it cannot be decoded
    mode: str = ""  # Pillow's, of the file
    width: int = 0
    height: int = 0
    measures: Measures | None = None  # of the central square
    thumb: bytes = b""  # uint8 [THUMB, THUMB, 3]

    @property
    def side(self) -> int:
        """The shorter side in pixels."""
        return min(self.width, self.height)


@dataclass(frozen=True)
class Task:
    """A picture to measure."""

    key: str
    path: Path


_size: int | None = None
_background = "white"


def begin(size: int | None, background: str) -> None:
    """Set this process's image size (None keeps each short side) and background."""
    global _size, _background
    _size, _background = size, background


def look(task: Task) -> Seen:
    """Decode a picture, crop the central square and measure it."""
    try:
        mode = _mode(task.path)
        picture = decode(task.path, 3, _background)
    except BrokenPicture as error:
        return Seen(task.key, str(error))
    width, height = picture.size
    square = centre(width, height)
    seen = cut(picture, square, min(square.side, _size or square.side))
    thumb = np.asarray(seen.resize((THUMB, THUMB), Image.Resampling.BOX), dtype=np.uint8)
    return Seen(task.key, "", mode, width, height, measure(seen), thumb.tobytes())


def crashed(task: Task) -> Seen:
    """Return the result for a picture that crashed its process twice."""
    return Seen(task.key, "the process that read it died")


def _mode(path: Path) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_regular(path) as file, Image.open(file) as opened:
                return opened.mode
    except Exception:  # `decode` will report it
        return "?"
