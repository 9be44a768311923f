"""Nearest neighbours: right ones, flat memory, and a copy is told from a likeness."""

from collections.abc import Callable

import numpy as np
import pytest

from animegan.evaluation import metrics
from animegan.evaluation.copying import closest_first, copying, nearest, nearest_either_way
from animegan.evaluation.measure import Measured
from animegan.evaluation.metrics import mirrored_thumbnails


def cloud(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 24)).astype(np.float32)


def drawings(count: int, seed: int) -> Measured:
    """Measurements of pictures that have nothing to do with one another."""
    thumbs = np.random.default_rng(seed).integers(0, 256, (count, 256), dtype=np.uint8)
    faces = np.empty(0, dtype=np.bool_)
    return Measured(cloud(count, seed), thumbs, faces, cloud(count, seed + 100))


def mirror(of: Measured) -> Measured:
    return Measured(of.mirrored, mirrored_thumbnails(of.thumbs), of.faces, of.features)


def near(of: Measured) -> Measured:
    """Measurements of pictures that look the same, with other pixels."""
    thumbs = of.thumbs ^ np.uint8(7)  # at most 7 levels apart
    return Measured(of.features + 0.01, thumbs, of.faces, of.mirrored + 0.01)


def part(of: Measured, count: int) -> Measured:
    return of.rows(np.arange(count))


def join(*sets: Measured) -> Measured:
    fields = ("features", "thumbs", "faces", "mirrored")
    return Measured(*(np.concatenate([getattr(one, name) for one in sets]) for name in fields))


@pytest.mark.parametrize("rows", [7, 1000])
def test_nearest_by_brute_force(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "ROWS", rows)
    queries, base = cloud(20, 0), cloud(30, 1)
    table = np.linalg.norm(queries[:, None].astype(float) - base[None], axis=2)
    found = nearest(queries, base)
    np.testing.assert_array_equal(found.rows, table.argmin(1))
    np.testing.assert_allclose(found.distances, table.min(1))


@pytest.mark.parametrize("rows", [7, 1000])
def test_a_row_of_the_base_has_another_neighbour(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "ROWS", rows)
    base, own = cloud(30, 0), np.random.default_rng(0).permutation(30)[:20]
    table = np.linalg.norm(base[own, None].astype(float) - base[None], axis=2)
    table[np.arange(20), own] = np.inf
    found = nearest(base[own], base, own)
    np.testing.assert_array_equal(found.rows, table.argmin(1))
    assert (found.rows != own).all()
    assert found.distances.min() > 0


def test_either_way_takes_the_nearer_side() -> None:
    queries, mirrored, base = cloud(20, 0), cloud(20, 1), cloud(30, 2)
    mirrored[:3], queries[3:6] = base[:3] + 0.01, base[3:6] + 0.01
    one, other = nearest(queries, base), nearest(mirrored, base)
    found = nearest_either_way(queries, mirrored, base)
    np.testing.assert_array_equal(found.distances, np.minimum(one.distances, other.distances))
    np.testing.assert_array_equal(found.mirrored, other.distances < one.distances)
    np.testing.assert_array_equal(found.rows, np.where(found.mirrored, other.rows, one.rows))
    assert found.rows[:6].tolist() == list(range(6))
    assert found.mirrored[:6].tolist() == [True] * 3 + [False] * 3


def test_copies_are_told_from_new_pictures_of_the_same_kind() -> None:
    train, unseen, fresh = drawings(500, 0), drawings(500, 1), drawings(500, 2)
    honest = copying(fresh, train, unseen, "held out")
    assert honest.copied == pytest.approx(0.01, abs=0.02)
    assert honest.left_out == 0
    half = join(part(fresh, 250), near(part(train, 250)))
    found = copying(half, train, unseen, "held out")
    assert found.copied == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(found.samples.rows[250:], np.arange(250))
    assert found.unseen_are == "held out"
    assert len(found.unseen) == 500


def test_mirrored_copies_are_told_too() -> None:
    train, unseen, fresh = drawings(500, 0), drawings(500, 1), drawings(500, 2)
    half = join(part(fresh, 250), near(mirror(part(train, 250))))
    found = copying(half, train, unseen, "held out")
    assert found.copied == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(found.samples.rows[250:], np.arange(250))
    assert found.samples.mirrored[250:].all()


def test_unseen_reals_are_mirrored_like_samples() -> None:
    """Else samples, with two chances to be near, would look like copies."""
    train, unseen = drawings(500, 0), drawings(500, 1)
    assert copying(unseen, train, unseen, "held out").copied == 0.01
    assert copying(mirror(unseen), train, unseen, "held out").copied == 0.01


@pytest.mark.parametrize("side", [lambda pictures: pictures, lambda pictures: mirror(pictures)])
@pytest.mark.parametrize("change", [lambda pictures: pictures, lambda pictures: near(pictures)])
def test_unseen_reals_that_are_in_the_training_set_leave_the_threshold_alone(
    side: Callable[[Measured], Measured], change: Callable[[Measured], Measured]
) -> None:
    train, fresh, new = drawings(500, 0), drawings(500, 2), drawings(475, 1)
    unseen = join(new, change(side(part(train, 25))))
    half = join(part(fresh, 250), near(part(train, 250)))
    found, clean = (copying(half, train, reals, "held out") for reals in (unseen, new))
    assert (found.left_out, clean.left_out) == (25, 0)
    assert found.near == pytest.approx(clean.near)
    assert found.copied == clean.copied == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(found.unseen, clean.unseen)


def test_near_identical_is_what_it_is_elsewhere() -> None:
    train, unseen = drawings(40, 0), drawings(40, 1)
    train.thumbs[:] = 100
    unseen.thumbs[:] = 200
    unseen.thumbs[:3] = 100 + int(metrics.SAME_RMS)  # not closer than SAME_RMS
    unseen.thumbs[3:5] = 100 + int(metrics.SAME_RMS) - 1
    assert copying(unseen, train, unseen, "held out").left_out == 2


def test_training_pictures_left_out_in_turn_stand_in_for_unseen_ones() -> None:
    train, fresh, own = drawings(500, 0), drawings(500, 2), np.arange(500)
    found = copying(fresh, train, train, "left out", own)
    assert found.copied == pytest.approx(0.01, abs=0.02)
    assert found.left_out == 0
    some = np.random.default_rng(0).permutation(500)[:200]
    found = copying(part(train, 100), train, train.rows(some), "left out", some)
    assert (found.copied, found.left_out, len(found.unseen)) == (1, 0, 200)


def test_repeated_training_pictures_leave_the_threshold_alone() -> None:
    once = drawings(480, 0)
    train = join(once, part(once, 10), mirror(once.rows(np.arange(10, 20))))
    found = copying(near(part(train, 100)), train, train, "left out", np.arange(500))
    assert (found.copied, found.left_out) == (1, 40)


def test_where_all_unseen_reals_are_in_the_training_set_nothing_is_said() -> None:
    train = drawings(50, 0)
    found = copying(train, train, part(train, 40), "held out")
    assert (found.near, found.copied, found.left_out) == (None, None, 40)
    assert len(found.unseen) == 0


def test_exact_copies_count_where_the_features_of_unseen_reals_are_equal_too() -> None:
    train, fresh = drawings(100, 0), drawings(50, 2)
    unseen = drawings(100, 1)
    unseen.features[:5] = train.features[:5]  # and yet other pictures
    found = copying(join(part(train, 50), fresh), train, unseen, "held out")
    assert (found.near, found.copied) == (0, 0.5)


def test_closest_first_then_spread() -> None:
    found = nearest(cloud(100, 0), cloud(30, 1))
    order = [int(i) for i in found.distances.argsort()]
    rows = closest_first(found, 8)
    assert rows[:4] == order[:4]
    assert rows[-1] == order[-1]
    assert len(set(rows)) == 8
    assert sorted(closest_first(nearest(cloud(3, 0), cloud(9, 1)), 8)) == [0, 1, 2]
