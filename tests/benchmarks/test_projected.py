"""Both sides of the benchmarks of the projected discriminator run; no time is judged."""

import pytest

from benchmarks.speed import halving, looking

SMALL = {"preset": "best", "image_size": 32, "ngf": 4, "nz": 8, "batch_size": 2, "d_input": 32}


def test_halving(capsys: pytest.CaptureFixture[str]) -> None:
    halving.main(rounds=1, count=2, size=32)
    assert "torch's / ours: " in capsys.readouterr().out


def test_looking(capsys: pytest.CaptureFixture[str]) -> None:
    looking.compare(SMALL, rounds=1, threads=1, steps=1)
    assert "twice / once: " in capsys.readouterr().out
