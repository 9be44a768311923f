import os
import shlex

import pytest

from animegan.cli import listing, parse
from animegan.config.config import OPTIONS, Config
from animegan.config.resolve import brought, resolve
from animegan.core.errors import UsageError
from animegan.core.program import command_line
from animegan.runs.folder import Run


def make_run(root, folder, records=(), changed=None, **options):
    config, sources = resolve("train", {key: str(value) for key, value in options.items()})
    run = Run(root / folder)
    run.write_options(vars(config), sources)
    for record in records:
        run.record(record)
    for path in (run.options_file, run.metrics):
        if changed is not None and path.exists():
            os.utime(path, (changed, changed))
    return run


def test_no_runs_are_told(tmp_path):
    assert "no runs in" in listing.listing(str(tmp_path / "away"), OPTIONS)


def test_each_run_has_a_line_the_newest_last(tmp_path):
    make_run(
        tmp_path, "second", changed=2000,
        records=[
            {"step": 20, "epoch": 0.5, "seconds": 10.0, "loss_d": 1.25, "loss_g": 3.0},
            {"step": 40, "epoch": 1.0, "seconds": 4000.0, "loss_d": 0.5, "loss_g": 2.0},
        ],
    )  # fmt: skip
    make_run(tmp_path, "first one", changed=1000)
    head, first, second = listing.listing(str(tmp_path), OPTIONS).splitlines()
    assert head.split()[:4] == ["run", "epoch", "step", "time"]
    assert first.startswith("first one  ")
    assert second.startswith("second     ")
    assert "1.0" in second
    assert "40" in second
    assert "1h06m" in second
    assert "loss_d=0.5 loss_g=2" in second
    assert "1.25" not in second
    assert head.index("epoch") == first.index("-  ") == second.index("1.0")  # columns are in line


def test_only_options_that_differ_are_shown(tmp_path):
    make_run(tmp_path, "run", name="run", batch_size=32, lr1=1e-4, vis=False, resume=False)
    _, line = listing.listing(str(tmp_path), OPTIONS).splitlines()
    assert line.endswith("batch_size=32 lr1=0.0001 vis=False")


def test_options_that_all_runs_share_are_shown_once(tmp_path):
    make_run(tmp_path, "a", changed=1, image_size=32, net="dcgan", lr1=1e-4)
    make_run(tmp_path, "b", changed=2, image_size=32, net="dcgan", batch_size=16)
    make_run(tmp_path, "bad", changed=3).options_file.write_text("{")
    _, first, second, bad, shared = listing.listing(str(tmp_path), OPTIONS).splitlines()
    assert first.endswith("  lr1=0.0001")
    assert second.endswith("  batch_size=16")
    assert bad.endswith("options.json is damaged")
    assert shared == "all of them: image_size=32 net=dcgan"


def test_a_precision_that_the_machine_chose_is_not_shown(tmp_path):
    config, sources = resolve("train", {"seed": "5"})
    chosen = vars(config) | {"precision": "bf16"}
    for by in ({}, {"precision": "run mine"}):
        Run(tmp_path / "run").write_options(chosen, sources | by)
        assert listing.listing(str(tmp_path), OPTIONS).endswith("  seed=5")
    Run(tmp_path / "run").write_options(chosen, sources | {"precision": "flag"})
    assert "precision=bf16" in listing.listing(str(tmp_path), OPTIONS)


def test_a_measure_taken_now_and_then_stays_in_sight(tmp_path):
    make_run(
        tmp_path, "run",
        records=[{"step": 20, "kid": 0.0123}, {"step": 40, "loss_d": float("nan")}],
    )  # fmt: skip
    _, line = listing.listing(str(tmp_path), OPTIONS).splitlines()
    assert "loss_d=nan kid=0.0123" in line


def test_a_damaged_run_hides_no_other(tmp_path):
    make_run(tmp_path, "good", seed=5)
    bad = make_run(tmp_path, "bad", records=[{"step": 20}])
    bad.options_file.write_text("{")
    text = listing.listing(str(tmp_path), OPTIONS)
    assert "seed=5" in text
    assert "options.json is damaged" in text


def test_options_of_another_version_are_passed_over(tmp_path):
    run = make_run(tmp_path, "run", seed=5)
    run.write_options({"seed": 5, "gone": 3}, {})
    assert "gone" not in listing.listing(str(tmp_path), OPTIONS)
    assert listing.command_of(str(tmp_path), "run", OPTIONS).endswith("--seed=5")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0m00s"), (59.9, "0m59s"), (3599, "59m59s"), (90061, "25h01m")]
)
def test_times(tmp_path, seconds, shown):
    make_run(tmp_path, "run", records=[{"step": 1, "seconds": seconds}])
    assert f"  {shown}  " in listing.listing(str(tmp_path), OPTIONS)


def test_the_command_repeats_the_run_exactly(tmp_path):
    data, mine = tmp_path / "my 'faces' $1", tmp_path / "mine.toml"
    data.mkdir()
    mine.write_text("lr2 = 3e-4\nndf = 16\n")
    words = {
        "data_path": str(data), "preset": "book", "batch_size": "32", "config": str(mine),
        "vis": "false", "max_minutes": "1.5", "name": "run", "gpu": "false", "threads": "1",
        "runs_path": str(tmp_path),
    }  # fmt: skip
    config, sources = resolve("train", words)
    Run(tmp_path / "run").write_options(vars(config), sources)
    command = listing.command_of(str(tmp_path), "run", OPTIONS)
    words = shlex.split(command)
    line = parse.parse(words[words.index("train") :], ["train"], OPTIONS)
    assert line.problems == []
    again, _ = resolve("train", line.values)
    differ = {key for key in vars(config) if getattr(config, key) != getattr(again, key)}
    assert differ == {"name", "config", "preset"}  # what they set is written out


@pytest.mark.parametrize(
    "words",
    [
        {"loss": "wgan-gp", "lr1": "2e-4", "g_every": "1"},  # defaults, but not those of the loss
        {"loss": "hinge", "d_norm": ""},
        {"d_features": "lite0", "net": "dcgan", "loss": "bce"},
        {"loss": "r3gan", "image_size": "64"},
    ],
)
def test_what_the_objective_would_bring_is_overruled(tmp_path, words):
    (tmp_path / "faces").mkdir()
    where = {"data_path": f"{tmp_path}/faces", "runs_path": f"{tmp_path}/runs"}
    config, sources = resolve("train", {**where, **words})
    Run(tmp_path / "runs" / "run").write_options(vars(config), sources)
    command = listing.command_of(f"{tmp_path}/runs", "run", OPTIONS, brought)
    words_again = shlex.split(command)
    line = parse.parse(words_again[words_again.index("train") :], ["train"], OPTIONS)
    assert line.problems == []
    assert resolve("train", line.values)[0] == config
    assert "--r1" not in command


def test_a_run_of_defaults_needs_no_option(tmp_path):
    Run(tmp_path / "run").write_options(vars(Config()), {})
    command = command_line("train", runs_path=tmp_path)
    assert listing.command_of(str(tmp_path), "run", OPTIONS) == command


def test_the_folder_of_runs_is_named_unless_it_is_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Run(tmp_path / "checkpoints" / "run").write_options(vars(Config()), {})
    for root, name in (("checkpoints/", "run"), ("away", "checkpoints/run")):
        assert listing.command_of(root, name, OPTIONS) == command_line("train")
    monkeypatch.chdir(tmp_path / "checkpoints" / "run")
    assert listing.command_of("away", ".", OPTIONS).endswith(f"--runs-path={tmp_path}/checkpoints")


def test_a_runs_folder_may_be_named_by_its_path(tmp_path):
    run = make_run(tmp_path, "run", seed=5)
    assert listing.command_of("away", str(run.path), OPTIONS).endswith("--seed=5")


def test_an_unknown_run_is_told_with_those_there_are(tmp_path):
    make_run(tmp_path, "this", changed=1)
    with pytest.raises(UsageError, match=r"--repeat that: no such run in .*: this"):
        listing.command_of(str(tmp_path), "that", OPTIONS)
    with pytest.raises(UsageError, match="none"):
        listing.command_of(str(tmp_path / "away"), "that", OPTIONS)
