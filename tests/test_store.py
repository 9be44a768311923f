"""Kept arrays: computed once, found by content, never trusted when broken."""

from pathlib import Path

import numpy as np
import pytest

from animegan.store import fingerprint, kept


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANIMEGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def test_computed_once_for_each_recipe_and_source() -> None:
    calls: list[int] = []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.arange(4, dtype=np.float32)

    first = kept("lite0 v1", "abc", compute)
    again = kept("lite0 v1", "abc", compute)
    np.testing.assert_array_equal(first, again)
    assert again.dtype == np.float32
    assert len(calls) == 1
    kept("lite0 v1", "abd", compute)
    kept("lite0 v2", "abc", compute)
    assert len(calls) == 3


def test_a_broken_file_is_computed_anew(folder: Path) -> None:
    kept("a", "b", lambda: np.ones(1000))
    [path] = folder.iterdir()
    path.write_bytes(path.read_bytes()[:500])
    np.testing.assert_array_equal(kept("a", "b", lambda: np.full(3, 7.0)), np.full(3, 7.0))
    np.testing.assert_array_equal(kept("a", "b", lambda: np.zeros(3)), np.full(3, 7.0))
    path.write_bytes(b"")
    np.testing.assert_array_equal(kept("a", "b", lambda: np.zeros(3)), np.zeros(3))


def test_a_folder_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ANIMEGAN_CACHE", str(tmp_path / "file"))
    np.testing.assert_array_equal(kept("a", "b", lambda: np.ones(3)), np.ones(3))


def test_fingerprint_is_of_content_and_shape(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 3), dtype=np.uint8)
    same = pixels.copy()
    assert fingerprint(pixels) == fingerprint(same)
    assert fingerprint(pixels) == fingerprint(np.asfortranarray(pixels))
    assert fingerprint(pixels) != fingerprint(pixels.reshape(600, 2, 8, 3))
    same[599, 3, 3, 2] ^= 1
    assert fingerprint(pixels) != fingerprint(same)
