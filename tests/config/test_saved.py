"""Options that come out of files: of older runs, and damaged ones."""

import pytest

from animegan.config.config import OPTIONS, Config
from animegan.config.resolve import resolve
from animegan.config.resume import read_options, record, refuse_changes, saved_options
from animegan.config.values import Ends, parse_schedule
from animegan.core.errors import UsageError
from animegan.runs.folder import Run
from animegan.training.step.schedule import Schedule

NEW = {name: option.default for name, option in OPTIONS.items()}
FOUR = {"burn_in": 0.5, "lr_end": 0.25, "beta2_end": 0.99, "penalty_end": 0.1}
OLD = {name: value for name, value in NEW.items() if name != "schedule"}


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("none", Ends()),
        ("lr=0", Ends(lr=0)),
        ("lr=0.25,beta2=0.99,penalty=0.1,until=0.5", Ends(0.25, 0.99, 0.1, 0.5)),
        (" beta2 = 0.9 , until=1 ", Ends(beta2=0.9)),
    ],
)
def test_a_schedule_is_read_and_written(text, ends):
    assert parse_schedule(text) == ends
    assert parse_schedule(str(ends)) == ends


@pytest.mark.parametrize(
    "text", ["", "lr", "lr=2", "lr=-1", "lr=nan", "lr=0,lr=0", "speed=1", "until=0.5",
             "lr=0,until=0", "beta2=1", "0.5"]
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match=r"lr=0\.25"):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("four", "schedule"),
    [
        (FOUR, "lr=0.25,beta2=0.99,penalty=0.1,until=0.5"),
        ({"burn_in": 1, "lr_end": 0, "beta2_end": None, "penalty_end": 1}, "lr=0"),
        ({"burn_in": 0.5, "lr_end": 1.0, "beta2_end": None, "penalty_end": 1.0}, "none"),
    ],
)
def test_runs_with_an_option_per_end_go_on(tmp_path, four, schedule):
    (tmp_path / "faces").mkdir()
    old = {**OLD, "data_path": f"{tmp_path}/faces", "loss": "r3gan", "net": "r3gan", **four}
    run = Run(tmp_path / "old")
    run.write_options(old, {})
    config, sources = resolve("train", {}, *saved_options(run))
    assert parse_schedule(config.schedule) == parse_schedule(schedule)
    refuse_changes(run, config, sources)
    values = Schedule(config, 10)
    end = round(10 * four["burn_in"])
    assert values.rate(2e-4, end) == 2e-4 * four["lr_end"]
    assert values.beta2(end) == (four["beta2_end"] or config.beta2)
    assert values.penalty(end) == four["penalty_end"]


@pytest.mark.parametrize(
    "saved",
    [[], 3, None, "text", {"resize": "stretch"}, {"data_path": "a\0b"}, {"lr1": [[[]]]},
     {"lr_end": "x"}, {"lr_end": 7}, {"batch_size": 1e99}, {"net": {"a": 1}}, {"seed": True}],
)  # fmt: skip
def test_damaged_options_are_told_in_a_line(saved):
    with pytest.raises(UsageError) as caught:
        read_options(saved, "--netg-path x.pth")
    (line,) = caught.value.problems
    assert line.flag == "--netg-path"
    assert line.isprintable()


def test_what_another_version_knew_is_left_out():
    assert read_options({"gone": 3, "preset": "demo", "nz": 7}, "x") == {"preset": None, "nz": 7}


@pytest.mark.parametrize("text", ["[" * 100_000, "{", '{"options": []}', "null", '{"options": 3}'])
def test_a_damaged_file_is_told_in_a_line(tmp_path, text):
    run = Run(tmp_path)
    run.options_file.write_text(text)
    with pytest.raises(UsageError) as caught:
        saved_options(run)
    assert caught.value.flags == ("--resume",)


def test_a_resumed_run_records_what_it_began_from(tmp_path):
    run = Run(tmp_path / "mine")
    run.write_options({**NEW, "netg_path": "cold.pth", "preset": "book", "max_minutes": 3.0}, {})
    (layer,) = saved_options(run)
    assert not layer.values.keys() & {"netg_path", "preset", "max_minutes", "name", "resume"}
    options = record(Config(), run)
    assert (options["netg_path"], options["preset"], options["max_minutes"]) == (
        "cold.pth", "book", None)  # fmt: skip
    assert list(options) == list(OPTIONS)
