"""Every format that Pillow can write is read again; what is not a picture is told."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animegan.data.decode import BrokenPicture
from animegan.datasets import pictures
from animegan.datasets.pictures import looks_like_picture, picture_suffixes, read_picture
from tests.support.piles import art


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
    assert suffix in picture_suffixes()
    picture = read_picture(f"x{suffix}", encoded(format_name))
    assert picture.mode == "RGB"
    seen = np.asarray(picture.resize((64, 64)), dtype=np.int64)
    assert np.abs(seen - np.asarray(art(1, 64), dtype=np.int64)).mean() < 20


def test_the_content_decides_among_the_common_ones(tmp_path: Path) -> None:
    (tmp_path / "really.png").write_bytes(encoded("JPEG"))
    assert read_picture("really.png", tmp_path / "really.png").size == (64, 64)


def test_transparency_of_a_rare_format_is_laid_over_the_background() -> None:
    clear = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    assert read_picture("x.tga", encoded("TGA", clear), 3, "#ff8000").getpixel((3, 3)) == (
        255, 128, 0,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["x.png", "x.tga", "x.eps", "x.avif", "x"])
def test_what_is_no_picture_is_broken(name: str) -> None:
    with pytest.raises(BrokenPicture):
        read_picture(name, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_rare_formats_are_held_to_the_pixel_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1000)
    with pytest.raises(BrokenPicture, match="1,000 pixels"):
        read_picture("x.tga", encoded("TGA"))


def test_formats_that_start_programs_are_left_out() -> None:
    assert not picture_suffixes() & {".eps", ".ps", ".wmf", ".emf", ".pdf", ".mpg"}


def test_heads() -> None:
    for format_name in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        assert looks_like_picture(encoded(format_name)[:32])
    assert not looks_like_picture(b"RIFF1234WAVEfmt ")
    assert not looks_like_picture(b"")
