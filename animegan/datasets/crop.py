"""Crop a face from the full-resolution picture as a square, optionally rotated upright."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from animegan.datasets.faces.detector import Box, Face, Point

_MOST_TILT = 35.0  # degrees; beyond it, misdetected eyes are more likely than a tilted head


@dataclass(frozen=True)
class Square:
    """The square of a crop, in pixels of the picture, and its rotation."""

    x: int  # left edge
    y: int  # upper edge
    side: int
    tilt: float = 0.0  # degrees by which the line of the eyes falls to the right


def around(face: Face, width: int, height: int, margin: float, upright: bool = False) -> Square:
    """Return the square around a face, extended by `margin` box widths on every side.

    A square that crosses the picture's edge is moved inside, and shrunk only if the picture is
    smaller, so that no padding is needed.
    """
    x0, y0, x1, y1 = face.box
    side = round(max(x1 - x0, y1 - y0) * (1 + 2 * margin))
    side = max(1, min(side, width, height))
    x = min(max(round((x0 + x1 - side) / 2), 0), width - side)
    y = min(max(round((y0 + y1 - side) / 2), 0), height - side)
    return Square(x, y, side, tilt_of(face) if upright else 0.0)


def centre(width: int, height: int) -> Square:
    """Return the largest centred square, for use without a detector."""
    side = min(width, height)
    return Square((width - side) // 2, (height - side) // 2, side)


def tilt_of(face: Face) -> float:
    """Return the degrees by which the line of the eyes falls to the right; 0 if implausible."""
    if face.eyes is None or not _plausible(face.eyes, face.box):
        return 0.0
    (ax, ay), (bx, by) = face.eyes
    tilt = math.degrees(math.atan2(by - ay, bx - ax))
    return tilt if abs(tilt) <= _MOST_TILT else 0.0


def cut(picture: Image.Image, square: Square, size: int | None) -> Image.Image:
    """Crop a square and resize it to `size` px (Lanczos); None keeps its own size."""
    box = (square.x, square.y, square.x + square.side, square.y + square.side)
    if square.tilt == 0.0:
        side = size or square.side
        if side == square.side:
            return picture.crop(box)
        return picture.resize((side, side), Image.Resampling.LANCZOS, box=box)
    crop = _turned(picture, square)
    if size and size != square.side:
        crop = crop.resize((size, size), Image.Resampling.LANCZOS)
    return crop


def _turned(picture: Image.Image, square: Square) -> Image.Image:
    """Rotate a square about its centre at full resolution; pixels outside repeat the edge."""
    spare = math.ceil(square.side * 0.21) + 1  # half the diagonal minus half the side
    wide = square.side + 2 * spare
    left, top = square.x - spare, square.y - spare
    inner = (
        max(left, 0),
        max(top, 0),
        min(left + wide, picture.width),
        min(top + wide, picture.height),
    )
    pixels = np.asarray(picture.crop(inner))
    edges = [
        (inner[1] - top, top + wide - inner[3]),
        (inner[0] - left, left + wide - inner[2]),
        (0, 0),
    ]
    pixels = np.pad(pixels, edges[: pixels.ndim], mode="edge")
    turned = Image.fromarray(pixels).rotate(square.tilt, Image.Resampling.BICUBIC)
    return turned.crop((spare, spare, spare + square.side, spare + square.side))


def _plausible(eyes: tuple[Point, Point], box: Box) -> bool:
    width = box[2] - box[0]
    inside = all(box[0] <= x <= box[2] and box[1] <= y <= box[3] for x, y in eyes)
    apart = math.dist(eyes[0], eyes[1])
    return inside and 0.2 * width <= apart <= 0.9 * width
