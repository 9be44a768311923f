import pytest
import torch
from PIL import Image

from animegan.core import images
from animegan.runs import samples

SIDE = 6  # of a face; a grid of 8 x 8 of them is 66 pixels wide


def draw(folder, epoch, step, level=None, side=SIDE, count=64):
    """A grid whose faces have the grey level (default: the epoch) in the first row, then 200."""
    faces = torch.full((count, 3, side, side), 200, dtype=torch.uint8)
    faces[:8] = epoch if level is None else level
    path = folder / samples.grid_name(epoch, step)
    folder.mkdir(exist_ok=True)
    images.save_picture(images.grid(faces), path)
    return path


def rows_of(strip):
    """The grey level at the middle of each row's first face."""
    with Image.open(strip) as picture:
        height = SIDE + 4
        return [picture.getpixel((5, top + 5))[0] for top in range(0, picture.height, height)]


def test_names_are_read_back_in_the_order_of_steps(tmp_path):
    for epoch, step in [(10, 1000), (2, 200), (12000, 123456789)]:
        draw(tmp_path, epoch, step, level=0)
    for other in ["fake_e1_sx.png", "real_e0001_s00000001.png", ".1.fake_e0001_s00000001.png"]:
        (tmp_path / other).write_bytes(b"")
    assert [(one.epoch, one.step) for one in samples.sheets(tmp_path)] == [
        (2, 200), (10, 1000), (12000, 123456789)
    ]  # fmt: skip


def test_a_folder_that_is_not_there_has_no_grids(tmp_path):
    away = tmp_path / "away"
    assert samples.sheets(away) == []
    samples.forget_after(away, 0)
    samples.write_strip(away, tmp_path / "strip.png")
    samples.write_timelapse(away, tmp_path / "timelapse.webp")
    assert list(tmp_path.iterdir()) == []


def test_grids_beyond_a_step_are_forgotten(tmp_path):
    for step in (10, 20, 30):
        draw(tmp_path, 1, step)
    (tmp_path / "mine.png").write_bytes(b"kept")
    (tmp_path / ".fake_e0001_s00000040.png.77.tmp").write_bytes(b"of a killed process")
    samples.forget_after(tmp_path, 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fake_e0001_s00000010.png", "fake_e0001_s00000020.png", "mine.png"
    ]  # fmt: skip


def test_the_strip_shows_the_right_epochs_and_the_last(tmp_path):
    for epoch in (1, 2, 9, 10, 11, 20, 30, 40, 50):
        draw(tmp_path, epoch, epoch * 100)
    draw(tmp_path, 10, 1050, level=99)  # by the clock, in the midst of epoch 11
    draw(tmp_path, 50, 5025, level=111)
    samples.write_strip(tmp_path, tmp_path / "strip.png")
    assert rows_of(tmp_path / "strip.png") == [1, 10, 20, 30, 40, 111]


def test_the_strip_names_the_last_grid_once(tmp_path):
    draw(tmp_path, 1, 100)
    draw(tmp_path, 10, 1000)
    samples.write_strip(tmp_path, tmp_path / "strip.png")
    assert rows_of(tmp_path / "strip.png") == [1, 10]


def test_a_run_stopped_within_its_first_epoch_has_a_strip(tmp_path):
    draw(tmp_path, 0, 7, level=33)
    samples.write_strip(tmp_path, tmp_path / "strip.png")
    with Image.open(tmp_path / "strip.png") as picture:
        assert picture.size == (8 * (SIDE + 2) + 2, SIDE + 4)
        assert picture.getpixel((5, 1)) == (0, 0, 0)  # a line above ...
        assert picture.getpixel((5, SIDE + 3)) == (0, 0, 0)  # ... and below
    assert rows_of(tmp_path / "strip.png") == [33]


def timelapse(path):
    """(grey level, milliseconds) of each frame."""
    with Image.open(path) as picture:
        seen = []
        for k in range(picture.n_frames):
            picture.seek(k)
            level = picture.convert("RGB").getpixel((5, 5))[0]
            seen.append((level, picture.info["duration"]))
        return seen


def test_the_timelapse_shows_every_grid_and_holds_the_last(tmp_path):
    for k in range(4):
        draw(tmp_path, k, k, level=60 * k)
    samples.write_timelapse(tmp_path, tmp_path / "timelapse.webp", milliseconds=150)
    seen = timelapse(tmp_path / "timelapse.webp")
    assert [time for _, time in seen] == [150, 150, 150, 2000]
    assert [level for level, _ in seen] == pytest.approx([0, 60, 120, 180], abs=6)  # lossy


def test_a_long_timelapse_is_thinned_out_to_fit_the_memory_and_ends_with_the_last(
    tmp_path, monkeypatch
):
    for k in range(11):
        draw(tmp_path, k, k, level=20 * k)
    monkeypatch.setattr(samples, "MOST_PIXELS", 4 * 66 * 66)  # four frames
    samples.write_timelapse(tmp_path, tmp_path / "timelapse.webp")
    levels = [level for level, _ in timelapse(tmp_path / "timelapse.webp")]
    assert levels == pytest.approx([20, 80, 140, 200], abs=6)  # every third, counted from the last


def test_grids_of_another_size_in_the_folder_are_left_out(tmp_path):
    draw(tmp_path, 0, 0, level=60, side=9)
    draw(tmp_path, 1, 1, level=120)
    draw(tmp_path, 2, 2, level=180)
    samples.write_timelapse(tmp_path, tmp_path / "timelapse.webp")
    assert len(timelapse(tmp_path / "timelapse.webp")) == 2


def test_one_grid_is_no_timelapse(tmp_path):
    draw(tmp_path, 1, 1)
    samples.write_timelapse(tmp_path, tmp_path / "timelapse.webp")
    assert not (tmp_path / "timelapse.webp").exists()


def test_nothing_is_left_beside_what_is_written(tmp_path):
    grids = tmp_path / "grids"
    draw(grids, 1, 1)
    draw(grids, 2, 2)
    samples.write_strip(grids, tmp_path / "strip.png")
    samples.write_timelapse(grids, tmp_path / "timelapse.webp")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "grids", "strip.png", "timelapse.webp"
    ]  # fmt: skip
