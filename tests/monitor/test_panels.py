"""Panels and series: what a curve holds, also after a run went back to an earlier state."""

import math
from typing import Any

import pytest

from animegan.monitor.panels import PANELS, Series, collect, panel_of


def series_of(*points: tuple[int, float]) -> Series:
    series = Series()
    for step, value in points:
        series.add(step, value)
    return series


def test_both_losses_share_a_panel_and_an_unknown_key_has_its_own() -> None:
    assert panel_of("loss_d") is panel_of("loss_g")
    assert panel_of("d_x") is panel_of("d_g_z")
    assert panel_of("loss_d") is not panel_of("d_x")
    assert (panel_of("recall").name, dict(panel_of("recall").labels)) == (
        "recall",
        {"recall": "recall"},
    )
    assert len({panel.name for panel in PANELS}) == len(PANELS)


def test_a_step_seen_again_replaces_it_and_what_followed() -> None:
    series = series_of((10, 1.0), (20, 2.0), (30, 3.0), (20, 5.0))
    assert series.points() == ([10, 20], [1.0, 5.0])
    assert series.last_step == 20
    assert Series().last_step == -1


def test_what_is_not_finite_is_a_gap() -> None:
    _, values = series_of((1, math.inf), (2, 1.0), (3, math.nan)).points()
    assert math.isnan(values[0])
    assert values[1] == 1.0
    assert math.isnan(values[2])


def test_points_after_a_step() -> None:
    series = series_of((10, 1.0), (20, 2.0), (30, 3.0))
    assert series.after(10) == [(20, 2.0), (30, 3.0)]
    assert series.after(-1) == [(10, 1.0), (20, 2.0), (30, 3.0)]
    assert series.after(30) == []


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 1000])
def test_a_long_series_is_averaged_down_to_the_limit(count: int) -> None:
    series = series_of(*((step, float(step)) for step in range(1, count + 1)))
    steps, values = series.points(100)
    assert len(steps) == len(values) <= 100
    assert len(steps) > 100 // 2 or count < 100
    assert steps[-1] == count
    width = -(-count // 100)
    assert values[0] == pytest.approx((1 + min(width, count)) / 2)


def test_averages_leave_gaps_out() -> None:
    series = series_of((1, math.nan), (2, 4.0), (3, math.nan), (4, math.nan))
    steps, values = series.points(2)
    assert steps == [2, 4]
    assert values[0] == 4.0
    assert math.isnan(values[1])


def test_records_become_series_of_the_wanted_numbers() -> None:
    records: list[dict[str, Any]] = [
        {"step": 20, "loss_d": 1, "epoch": 0.5, "note": "first", "warm": True},
        {"loss_d": 7.0},
        {"step": math.nan, "loss_d": 7.0},
        {"step": 40.0, "loss_d": 0.5, "kid": None, "fd": 9.0},
    ]
    assert {
        key: one.points() for key, one in collect(records, ["loss_d", "kid", "fd"]).items()
    } == {
        "loss_d": ([20, 40], [1.0, 0.5]),
        "fd": ([40], [9.0]),
    }
    assert set(collect(records)) == {"loss_d", "epoch", "fd"}
