"""The damages of the benchmark do what their names say, and verdicts are the right ones."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from benchmarks.quality import damage
from tests.support.blocks import spots

FACES = spots(40, 0, size=48)
REALS = spots(40, 1, size=48)


@pytest.mark.parametrize("row", damage.DAMAGES, ids=lambda row: row[0].__name__)
def test_every_damage_grows_with_its_strength_and_leaves_the_faces_alone(
    row: tuple[Any, ...],
) -> None:
    change, _, strengths = row
    before = FACES.copy()
    harm = []
    for strength in strengths:
        out = change(FACES, strength, REALS)
        assert out.shape == FACES.shape
        assert out.dtype == np.uint8
        assert np.array_equal(out, change(FACES, strength, REALS))
        harm.append(float(np.abs(out.astype(float) - FACES).mean()))
    assert np.array_equal(before, FACES)
    assert harm[1] > 0
    assert all(weak < strong for weak, strong in pairwise(harm))


def test_shares_are_shares() -> None:
    repeated = damage.ten_repeated(FACES, 0.5, REALS)
    assert len(np.unique(repeated[:20].reshape(20, -1), axis=0)) == 10
    assert np.array_equal(repeated[20:], FACES[20:])
    swapped = damage.half_swapped(FACES, 0.5, REALS)
    assert np.array_equal(swapped[1, :, :24], FACES[1, :, :24])
    assert np.array_equal(swapped[1, :, 24:], FACES[0, :, 24:])
    assert np.array_equal(damage.copied(FACES, 1, REALS), REALS)


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        ([1, 2, 3], "orders"),
        ([0.1, -0.1, 3], "orders late"),
        ([1, 3, 2.5], "wrong order"),
        ([-1, 1, 3], "wrong order"),
        ([0.1, -0.1, 0.1], "blind"),
        ([-1, 0, 0.1], "praises it at first"),
        ([-1, -2, -3], "praises it"),
    ],
)
def test_verdicts(worse: list[float], said: str) -> None:
    assert damage.verdict(worse, noise=0.1) == said
