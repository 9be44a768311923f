"""Read any of Pillow's image formats: common ones by `decode`, rare ones converted to PNG first."""

import io
import os
import warnings
from functools import lru_cache
from pathlib import Path

from PIL import Image

from animegan.core.errors import reason
from animegan.data.decode import FORMATS, MAX_PIXELS, BrokenPicture, decode

# Excluded on purpose: EPS runs Ghostscript, WMF calls Windows; Pillow only identifies PDF, MPEG,
# GRIB, HDF5 and BUFR.
_RARER = frozenset(
    {"AVIF", "BLP", "CUR", "DCX", "DDS", "DIB", "FITS", "FLI", "FTEX", "GBR", "ICNS", "ICO", "IM"}
    | {"JPEG2000", "MPO", "MSP", "PCD", "PCX", "PIXAR", "PSD", "QOI", "SGI", "SUN", "TGA", "XBM"}
    | {"XPM"}
)
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")
_HEADS = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
)  # fmt: skip


@lru_cache(maxsize=1)
def _formats() -> dict[str, str]:
    """Return the format of each supported suffix."""
    known = Image.registered_extensions()
    return {suffix: name for suffix, name in known.items() if name in _RARER.union(FORMATS)}


@lru_cache(maxsize=1)
def picture_suffixes() -> frozenset[str]:
    """Return the suffixes of all supported formats, in lower case, with the dot."""
    return frozenset(_formats())


def looks_like_picture(head: bytes) -> bool:
    """Whether the first 32 bytes of a file are those of a common image format."""
    return head.startswith(_HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def read_picture(
    name: str, source: Path | bytes, channels: int = 3, background: str = "white"
) -> Image.Image:
    """Read a picture upright as mode RGB or L, like `decode`. Raises BrokenPicture.

    Common formats are detected from the content. Rare ones are tried only if the suffix of `name`
    says so, since some of them (TGA) have no signature.
    """
    try:
        return decode(_stream(source), channels, background)
    except BrokenPicture:
        rarer = _formats().get(os.path.splitext(name.lower())[1])
        if rarer not in _RARER:
            raise
    return decode(io.BytesIO(_as_png(source, rarer)), channels, background)


def _stream(source: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _as_png(source: Path | bytes, format_name: str) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(_stream(source), formats=[format_name]) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    size = f"{opened.width}x{opened.height}"
                    raise BrokenPicture(f"{size} is more than {MAX_PIXELS:,} pixels")
                opened.load()
                picture: Image.Image = opened
                if opened.mode not in _PNG_MODES:
                    picture = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
                file = io.BytesIO()
                picture.save(file, "PNG", compress_level=1, exif=opened.getexif())
    except BrokenPicture:
        raise
    except Exception as error:  # Pillow raises almost anything on damaged files
        raise BrokenPicture(reason(error)) from error
    return file.getvalue()
