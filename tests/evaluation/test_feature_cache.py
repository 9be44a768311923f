"""Kept arrays: found by content, never trusted when broken."""

from pathlib import Path

import numpy as np
import pytest

from animegan.evaluation.feature_cache import fingerprint, keep, read


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANIMEGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def test_found_again_under_its_recipe_and_source_only() -> None:
    array = np.arange(4, dtype=np.float32)
    assert read("lite0 v1", "abc") is None
    keep("lite0 v1", "abc", array)
    found = read("lite0 v1", "abc")
    assert found is not None
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.float32
    assert read("lite0 v1", "abd") is None
    assert read("lite0 v2", "abc") is None


@pytest.mark.parametrize("cut", [0, 60, 500])
def test_a_broken_file_counts_as_none(folder: Path, cut: int) -> None:
    keep("a", "b", np.ones(1000))
    [path] = folder.iterdir()  # nothing but the array is left behind
    path.write_bytes(path.read_bytes()[:cut])
    assert read("a", "b") is None
    keep("a", "b", np.zeros(2))
    assert read("a", "b") is not None


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ANIMEGAN_CACHE", str(tmp_path / "file"))
    keep("a", "b", np.ones(3))
    assert read("a", "b") is None


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
