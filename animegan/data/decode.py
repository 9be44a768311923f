"""Decode image files to upright RGB or grey, and resize them to squares."""

import io
import os
import struct
import warnings
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageColor, UnidentifiedImageError

from animegan.core.errors import UsageError, reason
from animegan.core.files import open_regular
from animegan.data.formats import HEAD, RARER, format_of_suffix, readable_formats, why_unreadable

RULES = ("crop", "pad", "native")
MAX_PIXELS = 89_478_485  # 256 MB as RGB; Pillow's own decompression bomb limit

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # the chunks of a PNG that its pixels need
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
    """A file that cannot be decoded; the message is the reason, on one line."""


@lru_cache
def parse_background(background: str) -> tuple[int, int, int]:
    """Parse a Pillow colour ("white", "#ff8800", "rgb(1, 2, 3)") to red, green, blue in 0-255.

    Raises:
        UsageError: not a colour, or not opaque.
    """
    try:
        colour = ImageColor.getrgb(background)
    except ValueError:
        colour = (0, 0, 0, 0)
    if len(colour) == 4:  # has an alpha value
        raise UsageError(
            f"--background {background}: not an opaque colour; use a name (white) or #rrggbb"
        )
    return colour


def decode(
    source: str | Path | BinaryIO,
    channels: int = 3,
    background: str = "white",
    *,
    at_least: int = 0,
    name: str = "",
) -> Image.Image:
    """Decode an image (the first frame of several) as mode RGB (3 channels) or L (1).

    Applies the EXIF orientation, composites transparency over `background`, scales 16-bit grey to 8
    bits (65535 -> 255), converts CMYK without a colour profile, and RGB to grey by ITU-R 601 luma.

    Common formats are recognised by their content (`formats.FORMATS`), rare ones by their suffix.
    Metadata that Pillow refuses (huge texts, damaged profiles) do not make a PNG broken.

    Pillow's warnings are suppressed. Warning filters are global, so callers with several threads
    must wrap all of them in one `warnings.catch_warnings()`.

    Args:
        source: path or binary file.
        channels: 3 for RGB, 1 for grey.
        background: colour laid under transparent pixels.
        at_least: if not 0, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, with sides no
            shorter than this. libjpeg then drops high frequencies instead of averaging pixels. At
            four times the final size, the result differs from full decoding by 0.4 grey levels on
            average and 7 at most (sharp drawings, 768 to 96 pixels); at twice the size, 1.4 and 13.
        name: the file's name, if `source` is not a path.

    Raises:
        BrokenPicture: the file is unreadable, damaged, truncated, larger than MAX_PIXELS, or of a
            type whose white level is unknown (floats, 32-bit integers).
        UsageError: `background` is not a colour.
    """
    assert channels in (1, 3)
    colour = parse_background(background)
    head = b""
    try:
        opened = open_regular(source) if isinstance(source, (str, Path)) else nullcontext(source)
        with warnings.catch_warnings(), opened as file:
            warnings.simplefilter("ignore")
            head = file.read(HEAD)
            file.seek(0)
            rarer = format_of_suffix().get(_suffix(name or source))
            try:
                picture = _pixels(file, readable_formats(), at_least, colour)
            except UnidentifiedImageError:
                if rarer not in RARER:
                    raise
                file.seek(0)
                picture = _pixels(file, (rarer,), at_least, colour)
    except BrokenPicture:
        raise
    except UnidentifiedImageError as error:
        raise BrokenPicture(why_unreadable(head)) from error
    except Exception as error:  # Pillow raises almost anything on damaged files
        raise BrokenPicture(reason(error)) from error
    return picture if channels == 3 else picture.convert("L")


def _suffix(source: str | Path | BinaryIO) -> str:
    return os.path.splitext(source)[1].lower() if isinstance(source, (str, Path)) else ""


def _pixels(
    file: BinaryIO, formats: tuple[str, ...], at_least: int, colour: tuple[int, int, int]
) -> Image.Image:
    """Decode an open file as one of `formats`, upright and without transparency."""
    try:
        return _load(file, formats, at_least, colour)
    except BrokenPicture:
        raise
    except Exception:
        file.seek(0)
        if file.read(len(_PNG)) != _PNG:
            raise
        return _load(io.BytesIO(_PNG + _without_metadata(file)), formats, at_least, colour)


def _load(
    file: BinaryIO, formats: tuple[str, ...], at_least: int, colour: tuple[int, int, int]
) -> Image.Image:
    with Image.open(file, formats=formats) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise BrokenPicture(f"{width}x{height} is more than {MAX_PIXELS:,} pixels")
        if at_least:
            image.draft(image.mode, (at_least, at_least))
        image.load()
        return _flat(_upright(image), colour)


def _without_metadata(file: BinaryIO) -> bytes:
    """Return the chunks of a PNG, read from behind its signature, that its pixels need.

    The orientation of a small EXIF chunk is kept. Texts, profiles and the like are where Pillow
    stops at what is too large or damaged.
    """
    kept = []
    while len(head := file.read(8)) == 8:
        (length,), kind = struct.unpack(">I", head[:4]), head[4:]
        if kind in _PIXELS or (kind == b"eXIf" and length < 2**16):
            kept.append(head + file.read(length + 4))
        else:
            file.seek(length + 4, os.SEEK_CUR)
        if kind == b"IEND":
            break
    return b"".join(kept)


def fit(image: Image.Image, size: int, rule: str = "crop") -> NDArray[np.uint8]:
    """Turn an image of mode RGB or L into uint8 [size, size, C].

    Args:
        image: the image.
        size: target side in pixels.
        rule: "crop" resizes the short side (Lanczos, antialiased) and crops the centre; "pad"
            centres the unscaled image on black; "native" only accepts images of exactly this size.

    Raises:
        BrokenPicture: larger than `size` with "pad", or not `size` with "native".
    """
    width, height = image.size
    if rule == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # with `box`, the filter also sees pixels outside, as if the whole image were resized
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
    except Exception:  # damaged EXIF, but the pixels may be fine
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _flat(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Convert any mode to RGB without transparency."""
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
    """Convert 16-bit grey to L, or to LA if one grey value means transparent."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise BrokenPicture("32-bit pixels, whose white level is unknown")
    grey = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is not None:
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey
