"""One picture file of any kind -> upright pixels; a picture -> a square of the asked size."""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageColor, UnidentifiedImageError

from animegan.errors import UsageError, reason

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
    | {".ppm", ".pgm"}
)
RULES = ("crop", "pad", "native")
MAX_PIXELS = 89_478_485  # 256 MB as RGB: where Pillow, too, begins to suspect a bomb

# The content decides, not the suffix; formats that would start other programs (EPS) stay out.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BrokenPicture(ValueError):  # noqa: N818  (what is broken is the picture)
    """A file that gives no usable picture; the message is the reason, on one line."""


@lru_cache
def parse_background(background: str) -> tuple[int, int, int]:
    """A colour as Pillow knows it ("white", "#ff8800", "rgb(1, 2, 3)") -> red, green, blue 0-255.

    Raises:
        UsageError: no such colour, or one with transparency.
    """
    try:
        colour = ImageColor.getrgb(background)
    except ValueError:
        colour = (0, 0, 0, 0)
    if len(colour) == 4:  # with transparency
        raise UsageError(
            f"--background {background}: not an opaque colour; take a name (white) or #rrggbb"
        )
    return colour


def decode(
    source: str | Path | BinaryIO,
    channels: int = 3,
    background: str = "white",
    *,
    at_least: int = 0,
) -> Image.Image:
    """Read one picture, the first frame of several, as mode RGB (3 channels) or L (1).

    EXIF rotation is applied, transparency laid over `background`, 16-bit greys scaled to 8 bits
    (65535 -> 255), CMYK converted by its numbers (no colour profile), colour made grey by
    ITU-R 601 luma.

    Args:
        at_least: not 0: a JPEG may come out smaller by 2, 4 or 8, its sides no shorter than this.
            libjpeg then leaves out the high frequencies instead of averaging pixels. With four
            times the final size the result differs from the full one by 0.4 grey levels in the
            mean and 7 at most (768 pixels of sharp drawings to 96); twice the size gives 1.4, 13.

    Raises:
        BrokenPicture: unreadable, damaged, truncated, more than MAX_PIXELS pixels, or of a kind
            whose white level is unknown (floats, 32-bit integers).
        UsageError: `background` is no colour.

    Warnings of Pillow are muted. Python's filters belong to the process: who calls this from
    several threads holds one `warnings.catch_warnings()` around them all.
    """
    assert channels in (1, 3)
    colour = parse_background(background)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise BrokenPicture(f"{width}x{height} is over {MAX_PIXELS} pixels")
                if at_least:
                    image.draft(image.mode, (at_least, at_least))
                image.load()
                picture = _flat(_upright(image), colour)
    except BrokenPicture:
        raise
    except UnidentifiedImageError as error:
        raise BrokenPicture("not a picture of a known format") from error
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise BrokenPicture(reason(error)) from error
    return picture if channels == 3 else picture.convert("L")


def fit(image: Image.Image, size: int, rule: str = "crop") -> NDArray[np.uint8]:
    """Mode RGB or L -> uint8 [size, size, C].

    Rules: "crop" resizes the short side (Lanczos, antialiased) and cuts out the centre; "pad"
    centres the picture on zeros, untouched; "native" only takes pictures of that very size.

    Raises:
        BrokenPicture: larger than `size` under "pad", other than `size` under "native".
    """
    width, height = image.size
    if rule == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # Pillow's box: the filter still sees what lies outside, as if all had been resized.
        box = (left, top, left + side, top + side)
        image = image.resize((size, size), Image.Resampling.LANCZOS, box=box)
    elif rule == "pad":
        if max(width, height) > size:
            raise BrokenPicture(f"{width}x{height} is larger than {size}x{size} (--resize pad)")
        canvas = Image.new(image.mode, (size, size))
        canvas.paste(image, ((size - width) // 2, (size - height) // 2))
        image = canvas
    elif rule == "native":
        if image.size != (size, size):
            raise BrokenPicture(f"{width}x{height} is not {size}x{size} (--resize native)")
    else:
        raise ValueError(f"no such rule: {rule}")
    return np.array(image).reshape(size, size, -1)


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged EXIF does not spoil the pixels
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _flat(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Any mode -> RGB without transparency."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    elif image.mode == "F":
        raise BrokenPicture("floating-point pixels, whose white level is unknown")
    if not image.has_transparency_data:
        return image.convert("RGB")
    canvas = Image.new("RGBA", image.size, (*background, 255))
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey -> L, or LA where one grey stands for transparent."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise BrokenPicture("32-bit pixels, whose white level is unknown")
    grey = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is not None:
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey
