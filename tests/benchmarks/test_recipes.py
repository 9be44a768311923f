"""The benchmark of recipes keeps what it has found when it is killed, and says what it ran."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from animegan.core.errors import UsageError
from animegan.training.throughput import noise_set
from benchmarks.harness.table import read_rows
from benchmarks.quality import recipes

NUMBERS = dict.fromkeys(recipes.SHOWN, 0.5)
TINY = {
    "image_size": 16, "nz": 5, "ngf": 2, "ndf": 2, "batch_size": 4, "net": "dcgan", "loss": "bce",
}  # fmt: skip


class Judge:
    """In the place of `Bench`: small pictures of noise, and numbers without networks."""

    broken = False

    def __init__(self, data: Path, against: str) -> None:
        pass

    def subset(self, pictures: int | None, without: int | None) -> Any:
        return noise_set(24, 16, 3)

    def floor(self) -> dict[str, float]:
        return dict(NUMBERS)

    def judge(self, drawn: torch.Tensor) -> dict[str, float]:
        assert drawn.shape == (recipes.N, 3, 16, 16)
        if self.broken:
            raise KeyboardInterrupt
        return dict(NUMBERS)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a tiny recipe to so many minutes of a clock on which a batch takes a minute."""
    clock = [0.0]

    def process_time() -> float:
        clock[0] += 30
        return clock[0]

    monkeypatch.setattr(recipes, "Bench", Judge)
    monkeypatch.setattr(recipes, "speed", lambda *given: 1 / 60)
    monkeypatch.setattr(recipes.time, "process_time", process_time)
    monkeypatch.setitem(recipes.RECIPES, "tiny", dict(TINY))
    monkeypatch.setitem(recipes.RECIPES, "tiny-falling", {**TINY, "schedule": "lr=0"})

    def running(*minutes: float, recipe: str = "tiny") -> list[dict[str, Any]]:
        recipes.run(recipe, minutes=minutes, data=tmp_path, work=tmp_path)
        return read_rows(tmp_path / recipes.FILE)

    return running


def test_each_milestone_has_a_row_a_sheet_and_weights(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = run(3, 1)
    assert [(row["minutes"], row["seen"]) for row in rows] == [(1, 8), (3, 24)]
    assert rows[0]["options"] == TINY
    for minutes in (1, 3):
        for end in (".jpg", "-netg.pth", "-netd.pth"):
            assert (tmp_path / f"tiny-split-all-0-{minutes}{end}").exists()
    rows = run(3, 1)
    assert len(rows) == 2
    assert "tiny-split-all-0: all its rows are in" in capsys.readouterr().out
    assert [row["seen"] for row in run(4)] == [8, 24, 32]  # goes on from the state


def test_a_row_that_was_not_written_is_written_by_the_next_call(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Judge, "broken", True)
        with pytest.raises(KeyboardInterrupt):
            run(2)
    assert [(row["minutes"], row["seen"]) for row in run(2)] == [(2, 16)]
    assert [row["minutes"] for row in run(1)] == [2]
    assert "past 1 minutes already" in capsys.readouterr().out


def test_the_code_of_a_row_is_what_ran(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter(["one", "two"])
    monkeypatch.setattr(recipes, "commit", lambda: next(codes))
    assert run(1)[-1]["commit"] == "one"
    assert run(2)[-1]["commit"] == "one two"


def test_the_floor_has_one_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipes, "Bench", Judge)
    asked: list[recipes.Against] = ["split", "split", "heldout"]
    for against in asked:
        recipes.floor(against=against, data=tmp_path, work=tmp_path)
    assert [row["against"] for row in read_rows(tmp_path / recipes.FILE)] == ["split", "heldout"]
    assert "its row is in" in capsys.readouterr().out


def test_falling_rates_cannot_go_on(run: Any) -> None:
    run(2, recipe="tiny-falling")
    with pytest.raises(UsageError) as error:
        run(3, recipe="tiny-falling")
    assert error.value.flags == ("--minutes",)


def test_the_table_puts_the_best_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = {**NUMBERS, "seed": 0, "against": "split", "pictures": None, "seen": 1000}
    rows = [
        {**common, "recipe": "one", "minutes": 15.0, "kid": 0.9},
        {**common, "recipe": "two", "minutes": 15.0, "kid": 0.1, "start": "before"},
        {**common, "recipe": "one", "minutes": 5.0, "pictures": 3000},
        {**common, "recipe": "other code", "minutes": 5.0, "series": "narrow"},
    ]
    (tmp_path / recipes.FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipes.table(work=tmp_path)
    first, _, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("| recipe | seed | CPU min | seen | fd | kid |")
    assert [line.split(" | ")[0] for line in lines] == [
        "| `one, 3,000 faces`", "| `two, from before`", "| `one`",
    ]  # fmt: skip
    assert " | 100 | " in lines[1]


def test_the_spread_is_of_seeds_of_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = {**NUMBERS, "against": "split", "pictures": None, "minutes": 15.0, "recipe": "one"}
    rows = [
        {**common, "seed": 0, "fd": 40.0, "kid": 0.2},
        {**common, "seed": 1, "fd": 44.0, "kid": 0.1},
        {**common, "seed": 1, "pictures": 1000},
        {**common, "seed": 0, "minutes": 30.0},
        {**common, "seed": 0, "against": "heldout"},
    ]
    (tmp_path / recipes.FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipes.spread(work=tmp_path)
    _, _, *lines = capsys.readouterr().out.splitlines()
    start = "| `one` | 2 | 15 | 42.00 (40.00 to 44.00) | 150 (100 to 200) | 0.50 (0.50 to 0.50) |"
    assert len(lines) == 1
    assert lines[0].startswith(start)


def test_the_rows_of_the_docs_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each table and spread that docs/recipes.md shows in full is what the commands print."""
    recipes.table()
    recipes.spread()
    printed = set(capsys.readouterr().out.splitlines())
    text = (Path(__file__).parents[2] / "docs/recipes.md").read_text()
    shown = [line for line in text.splitlines() if len(line.split(" | ")) >= 14]
    assert len(shown) > 30
    assert not set(shown) - printed - {line for line in shown if "---" in line}
