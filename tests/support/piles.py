"""Pictures for the tests of prepare and doctor: drawn "art", and pages with a drawn face."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from animegan.datasets.faces.detector import Box, Face, drawn_face


def _colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    red, green, blue = rng.integers(low, high, 3).tolist()
    return red, green, blue


def art(seed: int, size: int = 96, height: int | None = None) -> Image.Image:
    """A sharp colourful picture that no other seed gives: rectangles and ellipses."""
    rng = np.random.default_rng(seed)
    tall = height or size
    picture = Image.new("RGB", (size, tall), _colour(rng))
    pen = ImageDraw.Draw(picture)
    for number in range(max(24, size * tall // 300)):
        x, y = int(rng.integers(-size // 4, size)), int(rng.integers(-tall // 4, tall))
        w, h = int(rng.integers(6, min(size, 96) // 2)), int(rng.integers(6, min(tall, 96) // 2))
        fill = _colour(rng)
        shape = pen.ellipse if number % 2 else pen.rectangle
        shape((x, y, x + w, y + h), fill=fill)
    return picture


def page(seed: int, at: tuple[int, int] | None = (60, 40), side: int = 160) -> Image.Image:
    """400 x 300 px of one colour with a drawn face at `at`, or without one."""
    rng = np.random.default_rng(seed)
    sheet = Image.new("RGB", (400, 300), _colour(rng, 60, 200))
    if at is not None:
        sheet.paste(drawn_face(side), at)
    return sheet


class Finder:
    """A detector that finds what it is told, without looking."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self.faces = list(faces)

    def find(self, image: Image.Image, smallest: int = 44) -> list[Face]:
        return self.faces


def face(box: Box, score: float = 1.0) -> Face:
    return Face(box, score, ((box[0] + 10.0, box[1] + 20.0), (box[2] - 10.0, box[1] + 20.0)))


def save_all(folder: Path, pictures: dict[str, Image.Image]) -> Path:
    """Write name -> picture below `folder`, making folders."""
    for name, picture in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name)
    return folder
