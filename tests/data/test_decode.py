import struct
import warnings
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from animegan.core.errors import UsageError
from animegan.data.decode import MAX_PIXELS, BrokenPicture, decode, fit, parse_background

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, format: str, **how: object) -> BytesIO:
    stream = BytesIO()
    image.save(stream, format=format, **how)
    stream.seek(0)
    return stream


def png(ihdr: tuple[int, int, int, int], rows: bytes, *more: tuple[bytes, bytes]) -> BytesIO:
    """A PNG by hand: (width, height, bits, colour type), filtered rows, chunks before them."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *ihdr, 0, 0, 0))
    between = b"".join(chunk(kind, body) for kind, body in more)
    tail = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return BytesIO(b"\x89PNG\r\n\x1a\n" + head + between + tail)


def drawing(size: int = 64) -> Image.Image:
    """Smooth colours that every lossy format keeps within a few levels."""
    x, y = np.meshgrid(np.linspace(0, 255, size), np.linspace(0, 255, size))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))


def pixels(image: Image.Image) -> list[Any]:
    """Row by row: numbers for grey, triples for colour."""
    array = np.asarray(image)
    return [tuple(pixel) if array.ndim == 3 else pixel for row in array.tolist() for pixel in row]


# --- formats


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_formats(format: str) -> None:
    how = {"quality": 98} if format in ("JPEG", "WEBP") else {}
    image = decode(saved(drawing(), format, **how))
    assert image.mode == "RGB"
    error = np.abs(np.asarray(image).astype(int) - np.asarray(drawing()).astype(int))
    assert error.max() <= (10 if how else 0)


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    drawing().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "b.jpg")
    assert decode(tmp_path / "b.jpg").size == (64, 64)
    assert decode(str(tmp_path / "b.jpg")).size == (64, 64)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_several(format: str) -> None:
    how = {"lossless": True} if format == "WEBP" else {}
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE, WHITE)]
    stream = saved(frames[0], format, save_all=True, append_images=frames[1:], **how)
    with Image.open(stream) as image:
        assert image.n_frames == 3
    assert set(pixels(decode(stream))) == {RED}


# --- modes


def test_grey_kinds_become_both_channels() -> None:
    for source in (
        Image.new("L", (4, 4), 90),
        Image.new("RGB", (4, 4), (90, 90, 90)),
        Image.new("P", (4, 4), 0),
    ):
        if source.mode == "P":
            source.putpalette([90, 90, 90])
        assert set(pixels(decode(saved(source, "PNG"), 1))) == {90}
        assert set(pixels(decode(saved(source, "PNG"), 3))) == {(90, 90, 90)}


def test_colour_to_grey_by_luma() -> None:
    assert set(pixels(decode(saved(Image.new("RGB", (4, 4), RED), "PNG"), 1))) == {76}


def test_one_bit() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert pixels(decode(saved(image, "PNG"), 1)) == [0, 255]


def half_clear(kind: str) -> BytesIO:
    """Two pixels: a red (or grey 100) one, and a transparent one."""
    if kind == "I;16, key":
        rows = b"\0" + struct.pack(">HH", 100 * 257, 7)
        return png((2, 1, 16, 0), rows, (b"tRNS", struct.pack(">H", 7)))
    made: dict[str, Any] = {
        "P, one entry": ("P", 0, 1, "PNG", {"transparency": 1}),
        "P, bytes": ("P", 0, 1, "PNG", {"transparency": b"\xff\x00"}),
        "GIF": ("P", 0, 1, "GIF", {"transparency": 1}),
        "RGB, key": ("RGB", RED, (0, 255, 0), "PNG", {"transparency": (0, 255, 0)}),
        "L, key": ("L", 100, 7, "PNG", {"transparency": 7}),
        "LA": ("LA", (100, 255), (0, 0), "PNG", {}),
        "RGBA PNG": ("RGBA", (*RED, 255), (0, 255, 0, 0), "PNG", {}),
        "RGBA WEBP": ("RGBA", (*RED, 255), (0, 255, 0, 0), "WEBP", {"lossless": True}),
        "RGBA TIFF": ("RGBA", (*RED, 255), (0, 255, 0, 0), "TIFF", {}),
    }
    mode, opaque, clear, format, how = made[kind]
    image = Image.new(mode, (2, 1), opaque)
    if mode == "P":
        image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), clear)
    return saved(image, format, **how)


CLEAR = ("P, one entry", "P, bytes", "GIF", "RGB, key", "L, key", "I;16, key", "LA",
         "RGBA PNG", "RGBA WEBP", "RGBA TIFF")  # fmt: skip


@pytest.mark.parametrize("kind", CLEAR)
@pytest.mark.parametrize(("background", "seen"), [("white", WHITE), ("#0000ff", BLUE)])
def test_transparency_over_the_background(
    kind: str, background: str, seen: tuple[int, int, int]
) -> None:
    opaque = (100, 100, 100) if kind[0] in "LI" else RED
    assert pixels(decode(half_clear(kind), 3, background)) == [opaque, seen]


def test_half_transparency_is_mixed() -> None:
    image = Image.new("RGBA", (1, 1), (200, 0, 0, 128))
    ((red, green, blue),) = pixels(decode(saved(image, "PNG"), 3, "white"))
    assert abs(red - 227) <= 1
    assert abs(green - 127) <= 1
    assert abs(blue - 127) <= 1


def test_cmyk() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = pixels(decode(saved(image, "JPEG", quality=95)))[0]
    assert red > 245
    assert max(green, blue) < 10
    assert pixels(decode(saved(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "TIFF"), 1))[0] == 0


def test_16_bits_are_scaled_not_clipped() -> None:
    levels = np.array([[0, 257, 128, 129, 100 * 257, 65535]], np.uint16)
    expected = [0, 1, 0, 1, 100, 255]
    rows = b"\0" + levels.astype(">u2").tobytes()
    assert pixels(decode(png((6, 1, 16, 0), rows), 1)) == expected
    pgm = BytesIO(b"P5 6 1 65535\n" + levels.astype(">u2").tobytes())
    assert pixels(decode(pgm, 1)) == expected
    for order in ("<u2", ">u2"):
        tiff = saved(Image.fromarray(levels.astype(order)), "TIFF")
        assert pixels(decode(tiff, 1)) == expected
    assert pixels(decode(png((6, 1, 16, 0), rows), 3))[4] == (100, 100, 100)


def test_16_bits_a_colour() -> None:
    rows = b"\0" + struct.pack(">HHH", 65535, 128 * 257, 0)
    assert pixels(decode(png((1, 1, 16, 2), rows))) == [(255, 128, 0)]
    rows = b"\0" + struct.pack(">HHHH", 65535, 128 * 257, 0, 65535)
    assert pixels(decode(png((1, 1, 16, 6), rows))) == [(255, 128, 0)]
    rows = b"\0" + struct.pack(">HH", 100 * 257, 65535)
    assert pixels(decode(png((1, 1, 16, 4), rows), 1)) == [100]


def test_unknown_white_levels_are_refused() -> None:
    floats = saved(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF")
    with pytest.raises(BrokenPicture, match="white level"):
        decode(floats)
    integers = saved(Image.fromarray(np.full((2, 2), 1_000_000, np.int32)), "TIFF")
    with pytest.raises(BrokenPicture, match="white level"):
        decode(integers)


# --- EXIF


# Where the first stored row and column are seen, from the EXIF standard (tag 0x0112).
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored_as(seen: np.ndarray, orientation: int) -> Image.Image:
    row_side, column_side = SIDES[orientation]
    stored = seen if row_side in ("top", "bottom") else seen.transpose(1, 0, 2)
    if row_side in ("bottom", "right"):
        stored = stored[::-1]
    if column_side in ("bottom", "right"):
        stored = stored[:, ::-1]
    return Image.fromarray(np.ascontiguousarray(stored))


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG", "TIFF"])
def test_exif_rotation(format: str, orientation: int) -> None:
    seen = np.zeros((32, 48, 3), np.uint8)
    seen[:16, :16], seen[:16, 32:], seen[16:, :16] = RED, BLUE, WHITE
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    how: dict[str, Any] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}
    image = decode(saved(stored_as(seen, orientation), format, exif=exif, **how.get(format, {})))
    assert image.size == (48, 32)
    error = np.abs(np.asarray(image).astype(int) - seen.astype(int))
    assert error.mean() <= (1 if format == "JPEG" else 0)


def test_exif_rotation_of_a_reduced_jpeg() -> None:
    seen = np.zeros((320, 480, 3), np.uint8)
    seen[:, :160] = RED
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = decode(saved(stored_as(seen, 6), "JPEG", exif=exif), at_least=80)
    assert image.size == (120, 80)
    assert np.asarray(image)[:, :35].mean((0, 1))[0] > 250
    assert np.asarray(image)[:, 45:].mean() < 5


def test_damaged_exif_does_not_spoil_the_picture() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff" * 3
    assert decode(saved(drawing(), "JPEG", exif=exif)).size == (64, 64)


def test_unknown_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 99
    assert decode(saved(drawing(), "PNG", exif=exif)).size == (64, 64)


# --- damage


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated(format: str, share: float) -> None:
    whole = saved(Image.effect_noise((64, 64), 80).convert("RGB"), format).getvalue()
    with pytest.raises(BrokenPicture) as caught:
        decode(BytesIO(whole[: int(share * len(whole))]))
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_gives_a_picture_or_a_reason(seed: int) -> None:
    random = np.random.default_rng(seed)
    formats = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
    how = {"exif": Image.Exif()} if seed % 2 else {}
    body = bytearray(saved(drawing(32), formats[seed % 6], **how).getvalue())
    for place in random.integers(0, len(body), 6):
        body[place] = random.integers(256)
    with suppress(BrokenPicture):
        assert decode(BytesIO(bytes(body))).mode == "RGB"


@pytest.mark.parametrize("body", [b"", b"<html>404 Not Found</html>", b"\0" * 5000, b"GIF89a"])
def test_no_pictures(body: bytes) -> None:
    with pytest.raises(BrokenPicture, match="not a supported picture format"):
        decode(BytesIO(body))


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(BrokenPicture, match="No such file"):
        decode(tmp_path / "gone.png")
    with pytest.raises(BrokenPicture):
        decode(tmp_path)
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(BrokenPicture):
        decode(tmp_path / "loop.png")


def test_other_formats_are_not_started() -> None:
    eps = saved(drawing(), "EPS")
    with pytest.raises(BrokenPicture, match="not a supported picture format"):
        decode(eps)


@pytest.mark.parametrize("side", [9_460, 14_000, 60_000])
def test_bombs(side: int) -> None:
    assert side**2 > MAX_PIXELS
    bomb = png((side, side, 1, 0), b"\0" * 1000)
    with pytest.raises(BrokenPicture, match="pixels"):
        decode(bomb)


def test_warnings_stay_inside_and_filters_as_they_were() -> None:
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(BrokenPicture):
            decode(png((9_460, 9_460, 1, 0), b"\0"))
        decode(half_clear("P, bytes"))
    assert not seen
    assert warnings.filters == before


def test_streams_are_left_open_and_files_closed(tmp_path: Path) -> None:
    stream = saved(drawing(), "PNG")
    decode(stream)
    assert not stream.closed
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(BrokenPicture):  # a file left open would be a warning, so an error here
        decode(tmp_path / "bad.png")


# --- smaller JPEGs


def test_at_least_keeps_close_to_the_full_picture() -> None:
    random = np.random.default_rng(0)
    patches = Image.fromarray(random.integers(0, 256, (48, 48, 3), np.uint8))
    stream = saved(patches.resize((768, 768), Image.Resampling.NEAREST), "JPEG", quality=92)
    whole, reduced = decode(stream), decode(stream, at_least=384)
    assert whole.size == (768, 768)
    assert reduced.size == (384, 384)
    error = np.abs(fit(whole, 96).astype(int) - fit(reduced, 96).astype(int))
    assert error.mean() < 1
    assert error.max() < 16


def test_at_least_is_a_lower_bound_and_leaves_other_formats() -> None:
    stream = saved(Image.new("RGB", (1000, 700)), "JPEG")
    assert decode(stream, at_least=400).size == (1000, 700)
    assert decode(stream, at_least=350).size == (500, 350)
    assert decode(stream, at_least=1).size == (125, 88)
    assert decode(saved(Image.new("RGB", (100, 70)), "PNG"), at_least=1).size == (100, 70)
    grey = decode(saved(Image.new("L", (100, 70), 50), "JPEG"), 1, at_least=10)
    assert set(pixels(grey)) == {50}


# --- background


@pytest.mark.parametrize("name", ["white", "#fff", "#FFFFFF", "rgb(255, 255, 255)", "White"])
def test_backgrounds(name: str) -> None:
    assert parse_background(name) == WHITE


@pytest.mark.parametrize("name", ["whyte", "", "#ff", "#ffffff80", "#gggggg", "x" * 200])
def test_wrong_backgrounds(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        decode(saved(drawing(), "PNG"), 3, name)
    assert caught.value.problems[0].startswith(f"--background {name}: ")


# --- fit


@pytest.mark.parametrize("size", [(96, 96), (97, 96), (96, 131), (300, 96)])
def test_crop_of_the_right_short_side_interpolates_nothing(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    left, top = (size[0] - 96) // 2, (size[1] - 96) // 2
    expected = noise[top : top + 96, left : left + 96]
    assert np.array_equal(fit(Image.fromarray(noise), 96), expected)


@pytest.mark.parametrize("size", [(200, 100), (120, 480), (40, 20), (64, 64), (1000, 128)])
def test_crop_equals_resize_then_centre_crop(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(noise)
    scale = 32 / min(size)
    whole = image.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.LANCZOS)
    left, top = (whole.width - 32) // 2, (whole.height - 32) // 2
    expected = np.asarray(whole.crop((left, top, left + 32, top + 32))).astype(int)
    assert np.abs(fit(image, 32).astype(int) - expected).max() <= 1


def test_crop_is_antialiased() -> None:
    checks = np.indices((256, 256)).sum(0) % 2 * 255
    small = fit(Image.fromarray(checks.astype(np.uint8)), 32)
    assert small.shape == (32, 32, 1)
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_crop_of_a_ribbon() -> None:
    assert fit(Image.new("RGB", (50_000, 2), RED), 16).shape == (16, 16, 3)
    assert fit(Image.new("L", (1, 3000)), 16).shape == (16, 16, 1)


@pytest.mark.parametrize(
    ("size", "left", "top"), [((28, 28), 2, 2), ((32, 5), 0, 13), ((1, 1), 15, 15)]
)
def test_pad_puts_zeros_around_and_interpolates_nothing(
    size: tuple[int, int], left: int, top: int
) -> None:
    noise = np.random.default_rng(0).integers(1, 256, (size[1], size[0]), np.uint8)
    padded = fit(Image.fromarray(noise), 32, "pad")
    assert padded.shape == (32, 32, 1)
    assert np.array_equal(padded[top : top + size[1], left : left + size[0], 0], noise)
    assert np.count_nonzero(padded) == noise.size


def test_pad_refuses_larger_pictures() -> None:
    with pytest.raises(BrokenPicture, match="33x20 is larger than 32x32"):
        fit(Image.new("RGB", (33, 20)), 32, "pad")


def test_native_takes_only_its_size() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    assert np.array_equal(fit(Image.fromarray(noise), 28, "native"), noise)
    with pytest.raises(BrokenPicture, match="28x28 is not 32x32"):
        fit(Image.fromarray(noise), 32, "native")


def test_unknown_rule() -> None:
    with pytest.raises(ValueError, match="stretch"):
        fit(Image.new("L", (4, 4)), 4, "stretch")
