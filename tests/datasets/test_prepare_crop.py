"""Squares about faces: where they lie, that no pixel is invented, and that they come upright."""

import math

import numpy as np
import pytest
from PIL import Image

from animegan.datasets.crop import Square, around, centre, cut, tilt_of
from animegan.datasets.faces.detector import Face
from tests.support.piles import art


def test_square_is_centred_and_wider_by_the_margin() -> None:
    face = Face((100, 120, 200, 220), 1.0)
    assert around(face, 1000, 1000, 0.25) == Square(75, 95, 150)
    assert around(face, 1000, 1000, 0.0) == Square(100, 120, 100)


def test_square_moves_into_the_picture_and_shrinks_only_if_it_must() -> None:
    assert around(Face((-10, 0, 90, 100), 1.0), 300, 200, 0.2) == Square(0, 0, 140)
    assert around(Face((250, 150, 350, 250), 1.0), 300, 200, 0.2) == Square(160, 60, 140)
    assert around(Face((100, 50, 200, 150), 1.0), 300, 120, 0.5) == Square(90, 0, 120)


def test_centre_is_the_largest_square_in_the_middle() -> None:
    assert centre(300, 200) == Square(50, 0, 200)
    assert centre(5, 9) == Square(0, 2, 5)


def test_cut_takes_the_very_pixels_at_native_size() -> None:
    picture = art(3, 200)
    crop = cut(picture, Square(20, 30, 64), None)
    assert np.array_equal(np.asarray(crop), np.asarray(picture)[30:94, 20:84])
    assert np.array_equal(np.asarray(cut(picture, Square(20, 30, 64), 64)), np.asarray(crop))


def test_cut_resizes_from_full_resolution() -> None:
    crop = cut(art(3, 200), Square(20, 30, 128), 64)
    expected = art(3, 200).crop((20, 30, 148, 158)).resize((64, 64), Image.Resampling.LANCZOS)
    assert crop.size == (64, 64)
    inner = (slice(4, -4), slice(4, -4))  # at the edge `cut` sees the pixels outside, too
    assert np.array_equal(np.asarray(crop)[inner], np.asarray(expected)[inner])


def tilted(degrees: float) -> Face:
    dx, dy = 20 * math.cos(math.radians(degrees)), 20 * math.sin(math.radians(degrees))
    return Face((50, 50, 150, 150), 1.0, ((100 - dx, 90 - dy), (100 + dx, 90 + dy)))


@pytest.mark.parametrize("degrees", [-30.0, -5.0, 0.0, 12.0])
def test_tilt_is_that_of_the_eyes(degrees: float) -> None:
    assert tilt_of(tilted(degrees)) == pytest.approx(degrees)


def test_eyes_that_cannot_be_are_not_trusted() -> None:
    assert tilt_of(tilted(60.0)) == 0
    assert tilt_of(Face((50, 50, 150, 150), 1.0, None)) == 0
    assert tilt_of(Face((50, 50, 150, 150), 1.0, ((90, 90), (100, 95)))) == 0  # too close
    assert tilt_of(Face((50, 50, 150, 150), 1.0, ((10, 90), (60, 95)))) == 0  # outside


@pytest.mark.parametrize("degrees", [10.0, -20.0])
def test_upright_turns_the_eyes_level(degrees: float) -> None:
    picture = Image.new("RGB", (200, 200), "white")
    face = tilted(degrees)
    assert face.eyes is not None
    for x, y in face.eyes:
        picture.paste((0, 0, 0), (round(x) - 3, round(y) - 3, round(x) + 3, round(y) + 3))
    crop = np.asarray(cut(picture, around(face, 200, 200, 0.2, upright=True), None).convert("L"))
    left, right = np.nonzero(crop[:, : crop.shape[1] // 2] < 99), np.nonzero(crop < 99)
    assert left[0].mean() == pytest.approx(right[0].mean(), abs=1.0)


def test_upright_at_the_edge_repeats_it_instead_of_black() -> None:
    picture = Image.new("RGB", (120, 120), "white")
    crop = cut(picture, Square(0, 0, 120, 20.0), 60)
    assert np.asarray(crop).min() > 250
