"""Drawing primitives for the demo's faces: smooth curves and colours in the unit square."""

import colorsys
import math
from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

INK = (52, 36, 48)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Convert HSV to 8-bit RGB. Hue wraps around at 1; the others are clamped to [0, 1]."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return round(r * 255), round(g * 255), round(b * 255)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Interpolate from `a` (share 0) to `b` (share 1)."""
    r, g, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, blue


def smooth(points: Sequence[Point], closed: bool = True, steps: int = 8) -> list[Point]:
    """Return a Catmull-Rom spline through the points, sampled `steps` times per segment."""
    n = len(points)
    out: list[Point] = []
    for i in range(n if closed else n - 1):
        window = [points[j % n if closed else min(max(j, 0), n - 1)] for j in range(i - 1, i + 3)]
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = window
        for k in range(steps):
            t = k / steps
            p, q = t * t, t * t * t
            wa, wb, wc, wd = -t + 2 * p - q, 2 - 5 * p + 3 * q, t + 4 * p - 3 * q, q - p
            out.append(
                ((wa * ax + wb * bx + wc * cx + wd * dx) / 2,
                 (wa * ay + wb * by + wc * cy + wd * dy) / 2)
            )  # fmt: skip
    return out if closed else [*out, points[-1]]


class Pen:
    """Draws in the unit square (y down), rotated by `tilt` degrees and scaled by `zoom`."""

    def __init__(self, canvas: Image.Image, tilt: float, zoom: float) -> None:
        self._draw = ImageDraw.Draw(canvas)
        self._side = canvas.width
        self._cos = math.cos(math.radians(tilt)) * zoom
        self._sin = math.sin(math.radians(tilt)) * zoom

    def _place(self, points: Iterable[Point]) -> list[Point]:
        side, cos, sin = self._side, self._cos, self._sin
        return [
            ((0.5 + (x - 0.5) * cos - (y - 0.55) * sin) * side,
             (0.55 + (x - 0.5) * sin + (y - 0.55) * cos) * side)
            for x, y in points
        ]  # fmt: skip

    def fill(self, points: Sequence[Point], colour: Colour, ink: Colour | None = None) -> None:
        """Draw a filled polygon, outlined in `ink` if given."""
        placed = self._place(points)
        self._draw.polygon(placed, fill=colour)
        if ink:
            self._draw.line([*placed, placed[0]], fill=ink, width=max(2, self._side // 110))

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Draw an open line; `width` is a fraction of the canvas side."""
        pixels = max(1, round(width * self._side))
        self._draw.line(self._place(points), fill=colour, width=pixels, joint="curve")

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Draw a filled ellipse with centre (x, y) and radii rx, ry."""
        turns = [2 * math.pi * k / 28 for k in range(28)]
        self.fill([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in turns], colour)
