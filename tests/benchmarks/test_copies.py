"""The benchmark of copies: alterations do what their names say, and exact copies are found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.quality import copies
from tests.support.blocks import Blocks, face_set, spots

FACES = spots(40, 0, size=48)


@pytest.mark.parametrize("row", copies.ALTERED, ids=lambda row: row[0].__name__)
def test_alterations_leave_the_faces_alone(row: tuple[Any, ...]) -> None:
    alter, _, strengths = row
    before = FACES.copy()
    for strength in strengths:
        out = alter(FACES, strength, FACES)
        assert (out.shape, out.dtype) == (FACES.shape, np.uint8)
        assert np.array_equal(out, FACES) == (alter is copies.unaltered)
    assert np.array_equal(before, FACES)


def test_shifted_and_brightened() -> None:
    moved = copies.shifted(FACES, 4, FACES)
    assert np.array_equal(moved[:, 4:, 4:], FACES[:, :-4, :-4])
    assert copies.brightened(FACES, 10, FACES)[0, 0, 0, 0] == min(255, int(FACES[0, 0, 0, 0]) + 10)


def test_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folders = {Path("train"): spots(60, 1, size=48), Path("held-out"): spots(80, 2, size=48)}
    folders[Path("held-out")][:30] = folders[Path("train")][:30]
    monkeypatch.setattr(copies, "open_set", lambda path, flag: face_set(folders[path]))
    monkeypatch.setattr(copies, "build_extractor", lambda *_: Blocks())
    copies.main(faces=Path("train"), held_out=Path("held-out"), n=20, unseen=60)
    out = capsys.readouterr().out
    left_out = int((np.random.RandomState(0).permutation(80)[:60] < 30).sum())
    assert f"60 training faces; {left_out} of 60 unseen left out" in out
    assert "| unaltered | - | 100.0% | 100.0% |" in out
    assert out.count("\n| ") == 1 + 1 + sum(len(strengths) for *_, strengths in copies.ALTERED)
