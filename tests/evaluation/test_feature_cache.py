"""Kept arrays: found by content, never trusted when broken."""

from pathlib import Path

import numpy as np
import pytest

from animegan.evaluation.feature_cache import fingerprint, keep, read


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANIMEGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


ANY = (np.float64, (None,))


def test_found_again_under_its_recipe_and_source_only() -> None:
    array = np.arange(4, dtype=np.float32)
    kind = (np.float32, (4,))
    assert read("lite0 v1", "abc", *kind) is None
    keep("lite0 v1", "abc", array)
    cached = read("lite0 v1", "abc", *kind)
    assert cached is not None
    np.testing.assert_array_equal(cached, array)
    assert cached.dtype == np.float32
    assert read("lite0 v1", "abd", *kind) is None
    assert read("lite0 v2", "abc", *kind) is None


@pytest.mark.parametrize("cut", [0, 31, 60, 500])
def test_a_truncated_file_counts_as_none(folder: Path, cut: int) -> None:
    keep("a", "b", np.ones(1000))
    [path] = folder.iterdir()  # nothing but the array is left behind
    path.write_bytes(path.read_bytes()[:cut])
    assert read("a", "b", *ANY) is None
    keep("a", "b", np.zeros(2))
    assert read("a", "b", *ANY) is not None


def test_a_single_flipped_bit_anywhere_is_noticed(folder: Path, said: list[str]) -> None:
    keep("a", "b", np.ones(10))
    [path] = folder.iterdir()
    whole = path.read_bytes()
    places = range(0, len(whole), 7)
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert read("a", "b", *ANY) is None
    assert len(said) == len(places)
    path.write_bytes(whole)
    assert read("a", "b", *ANY) is not None


def test_a_file_without_a_checksum_is_not_trusted(folder: Path) -> None:
    keep("a", "b", np.ones(10))
    [path] = folder.iterdir()
    np.save(path, np.ones(10))
    assert read("a", "b", *ANY) is None


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [(np.float32, (3, None)), (np.float64, (4, None)), (np.float64, (3,)), (np.float64, (3, 3))],
)
def test_another_type_or_shape_than_asked_counts_as_none(
    dtype: type[np.generic], shape: tuple[int | None, ...]
) -> None:
    keep("a", "b", np.ones((3, 2)))
    assert read("a", "b", np.float64, (3, None)) is not None
    assert read("a", "b", dtype, shape) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_neither_kept_nor_used(folder: Path, bad: float) -> None:
    keep("a", "b", np.array([1.0, bad]))
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ANIMEGAN_CACHE", str(tmp_path / "file"))
    keep("a", "b", np.ones(3))
    assert read("a", "b", *ANY) is None


def test_fingerprint_is_of_content_and_shape() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 3), dtype=np.uint8)
    whole = fingerprint([pixels])
    assert whole == fingerprint([pixels[:7], pixels[7:]])
    assert whole == fingerprint([np.asfortranarray(pixels)])
    assert whole != fingerprint([pixels.reshape(600, 2, 8, 3)])
    other = pixels.copy()
    other[599, 3, 3, 2] ^= 1
    assert whole != fingerprint([other])
    assert whole != fingerprint([pixels[::-1]])
