"""Measures tell sharp from blurred, coloured from grey, real from enlarged; limits drop by them."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from animegan.datasets.quality import (
    NO_DETAIL,
    Limits,
    measure,
    why_dropped,
)
from tests.support.piles import art

GOOD = measure(art(5))


def why(picture: Image.Image, size: int = 96, score: float = 1.0) -> str | None:
    return why_dropped(size, score, measure(picture), Limits())


def test_a_good_picture_is_kept() -> None:
    assert why(art(5)) is None


@pytest.mark.parametrize("sigma", [2.0, 3.0])
def test_blurred(sigma: float) -> None:
    assert why(art(5).filter(ImageFilter.GaussianBlur(sigma))) == "blurred"


def test_sharpness_does_not_depend_on_contrast() -> None:
    dim = Image.fromarray((np.asarray(art(5)) // 3 + 60).astype(np.uint8))
    assert measure(dim).sharpness == pytest.approx(GOOD.sharpness, rel=0.1)


def test_uniform_and_grey() -> None:
    assert why(Image.new("RGB", (96, 96), (200, 30, 30))) == "uniform"
    assert why(art(5).convert("L").convert("RGB")) == "grey"
    assert measure(art(5).convert("L")).colour == 0


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("how", [Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
def test_upscaled(factor: int, how: Image.Resampling) -> None:
    noisy = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8))
    assert measure(noisy).detail > -37.5
    assert measure(noisy.resize((48 * factor, 48 * factor), how)).detail < -20


def test_upscaled_by_repeating_pixels() -> None:
    small = art(5, 48)
    assert measure(small.resize((96, 96), Image.Resampling.NEAREST)).detail == NO_DETAIL
    assert measure(small).detail > NO_DETAIL


def test_size_and_score_come_first() -> None:
    assert why(art(5), size=95) == "too small"
    assert why(art(5), score=0.1) == "low score"


def test_mirrored_hash_is_that_of_the_mirrored_picture() -> None:
    mirrored = measure(art(5).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert mirrored.phash == GOOD.mirrored
    assert len(GOOD.phash) == 64


def test_digest_is_of_pixels() -> None:
    assert measure(art(5).copy()).digest == GOOD.digest
    changed = art(5)
    changed.putpixel((0, 0), (1, 2, 3))
    assert measure(changed).digest != GOOD.digest


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (15, 15)])
def test_tiny_pictures_are_measured_too(size: tuple[int, int]) -> None:
    assert measure(Image.new("RGB", size, "red")).spread == 0
