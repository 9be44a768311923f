"""Nearest neighbours: right ones, flat memory, and a copy is told from a likeness."""

import numpy as np
import pytest

from animegan import metrics
from animegan.neighbours import closest_first, copying, nearest


def cloud(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 24)).astype(np.float32)


@pytest.mark.parametrize("rows", [7, 1000])
def test_nearest_by_brute_force(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "ROWS", rows)
    queries, base = cloud(20, 0), cloud(30, 1)
    table = np.linalg.norm(queries[:, None].astype(float) - base[None], axis=2)
    found = nearest(queries, base)
    np.testing.assert_array_equal(found.rows, table.argmin(1))
    np.testing.assert_allclose(found.distances, table.min(1))


@pytest.mark.parametrize("rows", [7, 1000])
def test_without_self_a_row_has_another_neighbour(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "ROWS", rows)
    base = cloud(30, 0)
    found = nearest(base, base, without_self=True)
    assert (found.rows != np.arange(30)).all()
    assert found.distances.min() > 0


def test_copies_are_told_from_new_pictures_of_the_same_kind() -> None:
    train, unseen, fresh = cloud(500, 0), cloud(500, 1), cloud(500, 2)
    honest = copying(fresh, train, unseen, "held out")
    assert honest.copied == pytest.approx(0.01, abs=0.02)
    half = np.concatenate([fresh[:250], train[:250] + 0.01])
    found = copying(half, train, unseen, "held out")
    assert found.copied == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(found.samples.rows[250:], np.arange(250))
    assert found.unseen_are == "held out"


def test_without_unseen_reals_training_pictures_stand_in() -> None:
    train, fresh = cloud(500, 0), cloud(500, 2)
    assert copying(fresh, train, None, "left out").copied == pytest.approx(0.01, abs=0.02)
    assert copying(train[:100], train, None, "left out").copied == 1


def test_closest_first_then_spread() -> None:
    found = nearest(cloud(100, 0), cloud(30, 1))
    order = [int(i) for i in found.distances.argsort()]
    rows = closest_first(found, 8)
    assert rows[:4] == order[:4]
    assert rows[-1] == order[-1]
    assert len(set(rows)) == 8
    assert sorted(closest_first(nearest(cloud(3, 0), cloud(9, 1)), 8)) == [0, 1, 2]
