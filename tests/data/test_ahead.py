import mmap

import numpy as np
import pytest

from animegan.data.batches import Batches, read_ahead
from animegan.data.face_set import FaceSet


@pytest.fixture
def images(tmp_path):
    """20 pictures in a file, each of three tenths of a page: none begins where a page does."""
    pixels = np.arange(20 * 20 * 20 * 3, dtype=np.int64).astype(np.uint8)
    pixels.tofile(tmp_path / "images.bin")
    return np.memmap(tmp_path / "images.bin", np.uint8, "r", shape=(20, 20, 20, 3))


def test_the_pages_of_just_these_rows_are_asked_for(images, monkeypatch):
    asked = []

    class Map(mmap.mmap):
        def madvise(self, advice, start=0, length=0, /):
            asked.append((advice, start, start + length))
            super().madvise(advice, start, length)

    with open(images.filename, "rb") as file:
        kept = Map(file.fileno(), 0, access=mmap.ACCESS_READ)
    again = np.ndarray(images.shape, np.uint8, buffer=kept)
    read_ahead(again, np.array([7, 0]))
    assert asked == [
        (mmap.MADV_WILLNEED, 8400 - 8400 % mmap.PAGESIZE, 9600),
        (mmap.MADV_WILLNEED, 0, 1200),
    ]


def test_it_changes_nothing_and_takes_arrays_in_memory(images):
    before = np.array(images)
    read_ahead(images, np.arange(20))
    read_ahead(before, np.arange(20))
    assert np.array_equal(images, before)


def test_each_step_expects_the_next_one_up_to_the_epochs_end(images, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "animegan.data.batches.read_ahead", lambda images, rows: asked.append(rows.tolist())
    )
    batches = Batches(FaceSet(images, np.zeros(20, np.int64), ("a",), ("",) * 20, ()), 5, seed=0)
    for step in range(6):
        batches.images(step)
    assert asked == [batches.rows(step).tolist() for step in range(6 + 1)]
    batches.images(9)
    assert asked[7:] == [batches.rows(9).tolist(), batches.rows(10).tolist()]
