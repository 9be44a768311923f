"""The picture of the curves."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animegan.monitor.curves import draw_curves
from animegan.runs.folder import read_records

BLUE, ORANGE = (31, 119, 180), (255, 127, 14)


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def count(picture: Path, colour: tuple[int, int, int]) -> int:
    """Pixels close to a colour."""
    with Image.open(picture) as file:
        pixels = np.asarray(file.convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(axis=2) < 40).sum())


def losses(steps: range, **more: float) -> list[dict[str, float]]:
    return [{"step": n, "loss_d": 1 / n, "loss_g": 2.0 - 1 / n, **more} for n in steps]


def test_both_losses_are_drawn_in_one_panel(tmp_path: Path) -> None:
    out = tmp_path / "run" / "curves.png"
    draw_curves(write(tmp_path / "metrics.jsonl", *losses(range(1, 100))), out)
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.size == (800, 260)
    assert count(out, BLUE) > 500
    assert count(out, ORANGE) > 500
    assert [path.name for path in out.parent.iterdir()] == ["curves.png"]  # nothing left aside


def test_each_panel_with_points_has_a_row(tmp_path: Path) -> None:
    records = losses(range(1, 9), d_x=0.6, d_g_z=0.4, images_per_second=9.5, epoch=1.0)
    records[3]["kid"] = 0.02
    out = tmp_path / "curves.png"
    draw_curves(write(tmp_path / "metrics.jsonl", *records), out)
    with Image.open(out) as picture:
        assert picture.size == (800, 4 * 260)


def test_gaps_a_line_cut_off_and_a_run_that_went_back(tmp_path: Path) -> None:
    records = [*losses(range(1, 50)), {"step": 50, "loss_d": float("nan")}, *losses(range(30, 80))]
    metrics = write(tmp_path / "metrics.jsonl", *records, 7)
    with metrics.open("a") as file:
        file.write('{"step": 81, "loss')
    draw_curves(metrics, tmp_path / "curves.png")
    assert count(tmp_path / "curves.png", BLUE) > 500
    assert len(list(read_records(metrics))) == len(records)


@pytest.mark.parametrize("records", [[], [{"step": 1, "epoch": 1.0}], None])
def test_without_points_there_is_no_picture(
    tmp_path: Path, records: list[dict[str, float]] | None
) -> None:
    metrics = tmp_path / "metrics.jsonl"
    if records is not None:
        write(metrics, *records)
    draw_curves(metrics, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_pyplot_and_its_global_state_are_left_alone() -> None:
    code = "import sys, animegan.monitor.curves; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
