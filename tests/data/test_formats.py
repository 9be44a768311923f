"""Every format that Pillow can write is read again; what is not a picture is told."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animegan.data import decode as decoding
from animegan.data.decode import BrokenPicture, decode
from animegan.data.formats import HEAD, format_of_suffix, is_picture, kind_of
from tests.support.piles import art


def read(name: str, content: bytes, *how: object) -> Image.Image:
    return decode(io.BytesIO(content), *how, name=name)  # type: ignore[arg-type]


def encoded(format_name: str, picture: Image.Image | None = None) -> bytes:
    file = io.BytesIO()
    (picture or art(1, 64)).save(file, format_name)
    return file.getvalue()


@pytest.mark.parametrize(
    ("suffix", "format_name"),
    [
        (".tga", "TGA"), (".ico", "ICO"), (".icns", "ICNS"), (".pcx", "PCX"), (".sgi", "SGI"),
        (".dds", "DDS"), (".qoi", "QOI"), (".jp2", "JPEG2000"), (".avif", "AVIF"),
        (".png", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP"), (".gif", "GIF"), (".tiff", "TIFF"),
        (".bmp", "BMP"), (".ppm", "PPM"), (".dib", "DIB"),
    ],
)  # fmt: skip
def test_reads_the_format(suffix: str, format_name: str) -> None:
    Image.init()
    if format_name not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {format_name}")
    assert suffix in format_of_suffix()
    picture = read(f"x{suffix}", encoded(format_name))
    assert picture.mode == "RGB"
    seen = np.asarray(picture.resize((64, 64)), dtype=np.int64)
    assert np.abs(seen - np.asarray(art(1, 64), dtype=np.int64)).mean() < 20


def test_the_content_decides_among_the_common_ones(tmp_path: Path) -> None:
    (tmp_path / "really.png").write_bytes(encoded("JPEG"))
    assert decode(tmp_path / "really.png").size == (64, 64)


def test_transparency_of_a_rare_format_is_laid_over_the_background() -> None:
    clear = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    assert read("x.tga", encoded("TGA", clear), 3, "#ff8000").getpixel((3, 3)) == (
        255, 128, 0,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["x.png", "x.tga", "x.eps", "x.avif", "x"])
def test_what_is_no_picture_is_broken(name: str) -> None:
    with pytest.raises(BrokenPicture):
        read(name, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_rare_formats_are_held_to_the_pixel_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 1000)
    with pytest.raises(BrokenPicture, match="1,000 pixels"):
        read("x.tga", encoded("TGA"))


def test_formats_that_start_programs_are_left_out() -> None:
    assert not set(format_of_suffix()) & {".eps", ".ps", ".wmf", ".emf", ".pdf", ".mpg"}


def test_heads() -> None:
    for format_name in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM"):
        assert kind_of(encoded(format_name)[:HEAD]) == format_name
    for nothing in (b"RIFF1234WAVEfmt ", b"", b"BMW and others, a list", b"P6", b"plain text"):
        assert kind_of(nothing) is None


@pytest.mark.parametrize("format_name", ["AVIF", "JPEG2000", "WEBP", "PNG"])
def test_the_content_decides_whatever_the_suffix_says(tmp_path: Path, format_name: str) -> None:
    for name in ("x.jpg", "x", "x.dat"):
        (tmp_path / name).write_bytes(encoded(format_name))
        assert is_picture(str(tmp_path / name))
        assert decode(tmp_path / name).size == (64, 64)


def test_half_a_download_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.jpg.part").write_bytes(encoded("JPEG")[:300])
    assert not is_picture(str(tmp_path / "x.jpg.part"))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", r"\[heic\]"),
        (b"\xff\x0a\0\0\0\0", "JPEG XL"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"", "empty"),
        (bytes(100), "zeros"),
    ],
)
def test_what_else_it_is_is_named(content: bytes, named: str) -> None:
    with pytest.raises(BrokenPicture, match=named):
        read("x.jpg", content)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"iTXt", b"XML\0\1\0\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"iCCP", b"p\0\0" + b"no zlib stream"),
        chunk(b"tEXt", b"x\0" + bytes(100))[:-1] + b"?",  # a wrong checksum
        chunk(b"eXIf", b"nonsense" * 20_000),
    ],
    ids=["zTXt", "iTXt", "iCCP", "bad iCCP", "bad CRC", "eXIf"],
)
def test_metadata_do_not_break_a_picture(odd: bytes) -> None:
    png = encoded("PNG")
    assert read("x.png", png[:33] + odd + png[33:]).tobytes() == read("x.png", png).tobytes()


def test_damaged_pixels_do() -> None:
    png = bytearray(encoded("PNG"))
    png[len(png) // 2] ^= 1
    with pytest.raises(BrokenPicture):
        read("x.png", bytes(png))
