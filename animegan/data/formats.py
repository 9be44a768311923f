"""Which files are pictures, by their content: the one rule of every command.

A file with a known suffix is taken for a picture, and decoding it tells what it really is. Of any
other file, the first bytes decide.
"""

import os
from collections.abc import Mapping
from functools import lru_cache

from PIL import Image

from animegan.core.files import open_regular

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "HEIF")
"""Recognised by content, whatever the file is called; AVIF and HEIF only where Pillow can."""

# Read if the suffix says so, since some of them (TGA) have no signature. Excluded on purpose: EPS
# runs Ghostscript, WMF calls Windows; Pillow only identifies PDF, MPEG, GRIB, HDF5 and BUFR.
RARER = frozenset(
    {"BLP", "CUR", "DCX", "DDS", "DIB", "FITS", "FLI", "FTEX", "GBR", "ICNS", "ICO", "IM", "MPO"}
    | {"MSP", "PCD", "PCX", "PIXAR", "PSD", "QOI", "SGI", "SUN", "TGA", "XBM", "XPM"}
)
HEIC_SUFFIXES = (".heic", ".heif", ".hif")
HEAD = 32  # bytes of a file that tell its format
_HALF = (".part", ".tmp", ".crdownload", ".partial", ".download", ".aria2")  # unfinished downloads
_HEADS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
}
_UNKNOWN = "not a supported picture format"
_STRANGE = {  # not read, but worth a name
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"<svg": "SVG",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"%PDF": "PDF",
    b"PK\x03\x04": "a zip archive",
    b"8BPS": "PSD",
    b"version https://git-lfs": "a pointer of Git LFS",
}


@lru_cache(maxsize=1)
def with_heic() -> bool:
    """Whether HEIC can be read: registers the optional package's reader with Pillow."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


@lru_cache(maxsize=1)
def readable_formats() -> tuple[str, ...]:
    """Return those of FORMATS that this Pillow reads, in their order."""
    with_heic()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@lru_cache(maxsize=1)
def format_of_suffix() -> Mapping[str, str]:
    """Return Pillow's name of the format of each suffix: in lower case, with the dot."""
    with_heic()
    known = Image.registered_extensions()
    ours = {suffix: name for suffix, name in known.items() if name in RARER.union(FORMATS)}
    return ours | dict.fromkeys(HEIC_SUFFIXES, "HEIF")


def has_picture_suffix(name: str) -> bool:
    """Whether the name ends like that of a picture."""
    return os.path.splitext(name)[1].lower() in format_of_suffix()


def kind_of(head: bytes) -> str | None:
    """Return the format that the first `HEAD` bytes of a file belong to: one of FORMATS, or None.

    HEIF is named whether or not its optional package is installed.
    """
    for start, kind in _HEADS.items():
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "BMP"
    if head[:2] in (b"P5", b"P6") and head[2:3] in (b"\n", b" ", b"\r", b"\t"):
        return "PPM"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, len(head), 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}:
            return "HEIF"
    return None


def why_unreadable(head: bytes) -> str:
    """Return why a file that begins with `head` is no picture that can be read."""
    kind = kind_of(head)
    if kind == "HEIF":
        return 'is HEIC, which needs one more package: pip install ".[heic]", or convert it'
    if kind == "AVIF":
        return "is AVIF, which this Pillow does not read: pip install -U pillow, or convert it"
    if kind is not None:
        return f"{_UNKNOWN}, though it begins like {kind}"
    if not head:
        return f"{_UNKNOWN}: the file is empty"
    if not any(head):
        return f"{_UNKNOWN}: it is filled with zeros"
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for known, name in _STRANGE.items():
        if start.startswith(known.lower()):
            return f"{_UNKNOWN}: it is {name}"
    return _UNKNOWN


def is_picture(path: str, name: str | None = None) -> bool:
    """Whether a regular file is a picture by its suffix, or otherwise by its first bytes.

    Raises OSError if the bytes are needed and cannot be read.
    """
    name = os.path.basename(path) if name is None else name
    if has_picture_suffix(name):
        return True
    if name.lower().endswith(_HALF):
        return False
    with open_regular(path) as file:
        return kind_of(file.read(HEAD)) is not None
