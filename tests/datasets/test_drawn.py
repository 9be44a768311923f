"""Drawn faces: the same seed the same face, a set that survives an interruption."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animegan.core.errors import UsageError
from animegan.datasets.drawn.draw import draw_face, draw_set


def test_same_seed_same_face_and_the_size_asked_for() -> None:
    face = draw_face(7, 64)
    assert face.mode == "RGB"
    assert face.size == (64, 64)
    assert face.tobytes() == draw_face(7, 64).tobytes()


def test_two_thousand_faces_are_all_distinct() -> None:
    faces = np.stack([np.asarray(draw_face(seed, 16), dtype=np.int32) for seed in range(2000)])
    flat = faces.reshape(len(faces), -1)
    squares = (flat**2).sum(1)
    distance = squares[:, None] + squares[None] - 2 * flat @ flat.T
    np.fill_diagonal(distance, distance.max())
    # a mean difference of 4 of 255 levels is one the eye sees at once
    assert distance.min() > 4**2 * flat.shape[1]


def test_faces_fill_the_picture_and_use_many_colours() -> None:
    faces = np.stack([np.asarray(draw_face(seed, 32), dtype=np.float64) for seed in range(100)])
    middle_of_cheek = faces[:, 20:24, 11:21].mean(axis=(1, 2))
    assert (middle_of_cheek[:, 0] > middle_of_cheek[:, 2]).mean() > 0.9  # skin: more red than blue
    assert faces[:, 2:6, 12:20].mean(axis=(1, 2)).std(axis=0).min() > 30  # hair: of all colours


def test_set_is_written_once_and_completed_after_an_interruption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "faces"
    draw_set(folder, 5, 16, seed=3)
    files = sorted(folder.glob("*.jpg"))
    assert [f.name for f in files] == [f"{i:06d}.jpg" for i in range(5)]
    with Image.open(files[0]) as face:
        assert face.size == (16, 16)
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in files}
    capsys.readouterr()

    draw_set(folder, 5, 16, seed=3)
    assert capsys.readouterr().err == ""  # nothing to do
    files[2].unlink()
    draw_set(folder, 5, 16, seed=3)
    assert files[2].read_bytes() == before[files[2]][0]
    assert files[1].stat().st_mtime_ns == before[files[1]][1]
    captured = capsys.readouterr()
    assert "drawing faces" in captured.err
    assert captured.out == ""


def test_workers_draw_the_same_files(tmp_path: Path) -> None:
    draw_set(tmp_path / "one", 3, 16, seed=1)
    draw_set(tmp_path / "two", 3, 16, seed=1, workers=2)
    for name in ("000000.jpg", "000002.jpg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_set_keeps_out_of_folders_that_are_not_its_own(tmp_path: Path) -> None:
    draw_set(tmp_path / "set", 1, 16, seed=0)
    with pytest.raises(UsageError, match="another drawn set"):
        draw_set(tmp_path / "set", 1, 32, seed=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="not empty"):
        draw_set(tmp_path / "mine", 1, 16, seed=0)
