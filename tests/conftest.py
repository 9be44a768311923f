"""Small pictures, what the tool says, and a cache folder of each test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.said import forget, heard


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ANIMEGAN_CACHE: a fresh folder outside `tmp_path`."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ANIMEGAN_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def make_faces() -> Callable[..., list[Path]]:
    """`make_faces(folder, n=8, size=32)` writes n differing RGB pictures 000.png, 001.png, ..."""

    def make(folder: Path, n: int = 8, size: int = 32) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{index:03}.png" for index in range(n)]
        for index, file in enumerate(files):
            spots = np.random.default_rng(index).integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(spots).resize((size, size)).save(file)
        return files

    return make


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to run in, as a fresh clone would be: data/faces/*.png and checkpoints/."""
    place = tmp_path_factory.mktemp("place")
    (place / "data" / "faces").mkdir(parents=True)
    (place / "checkpoints").mkdir()
    random = np.random.default_rng(0)
    for k in range(10):
        pixels = random.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(place / "data" / "faces" / f"{k}.png")
    return place


@pytest.fixture
def said() -> list[str]:
    """What the tool says during the test."""
    return heard()


@pytest.fixture(autouse=True)
def nothing_heard() -> Iterator[None]:
    """Detach what a test listened with."""
    yield
    forget()
