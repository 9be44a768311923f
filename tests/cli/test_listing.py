import csv
import io
import json
import os
import shlex

import pytest

from animegan.cli import listing, parse
from animegan.config.config import OPTIONS, Config
from animegan.config.resolve import resolve
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
    assert "no runs in" in listing.listing(str(tmp_path / "away"))


def test_each_run_has_a_line_the_newest_last(tmp_path):
    make_run(
        tmp_path, "second", changed=2000,
        records=[
            {"step": 20, "epoch": 0.5, "seconds": 10.0, "loss_d": 1.25, "loss_g": 3.0},
            {"step": 40, "epoch": 1.0, "seconds": 4000.0, "loss_d": 0.5, "loss_g": 2.0},
        ],
    )  # fmt: skip
    make_run(tmp_path, "first one", changed=1000)
    head, first, second = listing.listing(str(tmp_path)).splitlines()
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
    make_run(tmp_path, "run", name="run", batch_size=16, lr1=1e-4, vis=False, resume=False)
    _, line = listing.listing(str(tmp_path)).splitlines()
    assert line.endswith("  batch_size=16 lr1=0.0001 vis=False")


def test_options_that_all_runs_share_are_shown_once(tmp_path):
    make_run(tmp_path, "a", changed=1, image_size=32, net="dcgan", lr1=1e-4)
    make_run(tmp_path, "b", changed=2, image_size=32, net="dcgan", batch_size=16)
    make_run(tmp_path, "bad", changed=3).options_file.write_text("{")
    _, first, second, bad, shared = listing.listing(str(tmp_path)).splitlines()
    assert first.endswith("  lr1=0.0001")
    assert second.endswith("  batch_size=16")
    assert bad.endswith("options.json is damaged")
    assert shared == "all of them: preset=scratch image_size=32 net=dcgan"


def test_a_precision_that_the_machine_chose_is_not_shown(tmp_path):
    config, sources = resolve("train", {"seed": "5"})
    chosen = vars(config) | {"precision": "bf16"}
    for by in ({}, {"precision": "run mine"}):
        Run(tmp_path / "run").write_options(chosen, sources | by)
        assert listing.listing(str(tmp_path)).endswith("  seed=5")
    Run(tmp_path / "run").write_options(chosen, sources | {"precision": "flag"})
    assert "precision=bf16" in listing.listing(str(tmp_path))


def test_a_measure_taken_now_and_then_stays_in_sight(tmp_path):
    make_run(
        tmp_path, "run",
        records=[{"step": 20, "kid": 0.0123}, {"step": 40, "loss_d": float("nan")}],
    )  # fmt: skip
    _, line = listing.listing(str(tmp_path)).splitlines()
    assert "loss_d=nan kid x 1000=12.3" in line


def test_a_damaged_run_hides_no_other(tmp_path):
    make_run(tmp_path, "good", seed=5)
    bad = make_run(tmp_path, "bad", records=[{"step": 20}])
    bad.options_file.write_text("{")
    text = listing.listing(str(tmp_path))
    assert "seed=5" in text
    assert "options.json is damaged" in text


def test_options_of_another_version_are_passed_over(tmp_path):
    run = make_run(tmp_path, "run", seed=5)
    run.write_options({"seed": 5, "gone": 3}, {})
    assert "gone" not in listing.listing(str(tmp_path))
    assert listing.command_of(str(tmp_path), "run").endswith("--seed=5")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0m00s"), (59.9, "0m59s"), (3599, "59m59s"), (90061, "25h01m")]
)
def test_times(tmp_path, seconds, shown):
    make_run(tmp_path, "run", records=[{"step": 1, "seconds": seconds}])
    assert f"  {shown}  " in listing.listing(str(tmp_path))


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
    command = listing.command_of(str(tmp_path), "run")
    parts = shlex.split(command)
    line = parse.parse(parts[parts.index("train") :], ["train"], OPTIONS)
    assert line.problems == []
    again, _ = resolve("train", line.values)
    differ = {key for key in vars(config) if getattr(config, key) != getattr(again, key)}
    assert differ == {"name", "config"}  # what it sets is written out


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
    command = listing.command_of(f"{tmp_path}/runs", "run")
    words_again = shlex.split(command)
    line = parse.parse(words_again[words_again.index("train") :], ["train"], OPTIONS)
    assert line.problems == []
    assert resolve("train", line.values)[0] == config
    assert "--r1" not in command


def test_a_run_of_defaults_needs_no_option(tmp_path):
    """Of the default recipe; a run of an older version without a preset was from scratch."""
    Run(tmp_path / "run").write_options(vars(Config()), {})
    command = f"{command_line('train', runs_path=tmp_path)} --preset=scratch"
    assert listing.command_of(str(tmp_path), "run") == command
    make_run(tmp_path, "run")
    command = command_line("train", runs_path=tmp_path)
    assert listing.command_of(str(tmp_path), "run") == command


def test_the_folder_of_runs_is_named_unless_it_is_the_usual_one(tmp_path, monkeypatch):
    make_run(tmp_path / "checkpoints", "run")
    monkeypatch.chdir(tmp_path)
    for root, name in (("checkpoints/", "run"), ("away", "checkpoints/run")):
        assert listing.command_of(root, name) == command_line("train")
    monkeypatch.chdir(tmp_path / "checkpoints" / "run")
    assert listing.command_of("away", ".").endswith(f"--runs-path={tmp_path}/checkpoints")


def test_a_runs_folder_may_be_named_by_its_path(tmp_path):
    run = make_run(tmp_path, "run", seed=5)
    assert listing.command_of("away", str(run.path)).endswith("--seed=5")


def test_an_unknown_run_is_told_with_those_there_are(tmp_path):
    make_run(tmp_path, "this", changed=1)
    with pytest.raises(UsageError, match=r"--repeat that: no such run in .*: this"):
        listing.command_of(str(tmp_path), "that")
    with pytest.raises(UsageError, match="none"):
        listing.command_of(str(tmp_path / "away"), "that")


def test_the_best_kid_and_the_evaluations_are_listed_whatever_their_scale_was(tmp_path):
    records = [{"step": 20, "kid": 0.3}, {"step": 40, "kid_x1000": 200.5}, {"step": 60, "kid": 0.4}]
    run = make_run(tmp_path, "run", records=records)
    entry = listing.entry_of(run)
    assert (entry.best_kid_x1000, entry.best_step, entry.evaluations) == (200.5, 40, 3)
    assert entry.kid_x1000 == pytest.approx(400)


def test_runs_are_data_for_other_programs(tmp_path):
    make_run(tmp_path, "a", records=[{"step": 20, "loss_d": float("nan"), "kid": 0.3}], seed=5)
    make_run(tmp_path, "b", changed=1).options_file.write_text("[]")
    first, second = json.loads(listing.listing(str(tmp_path), "json", "name"))
    assert (first["name"], first["step"], first["loss_d"], first["options"]) == (
        "a", 20, None, ["seed=5"])  # fmt: skip
    assert second["problem"]
    rows = list(csv.DictReader(io.StringIO(listing.listing(str(tmp_path), "csv", "name"))))
    assert [row["name"] for row in rows] == ["a", "b"]
    assert rows[0]["best_kid_x1000"] == "300.0"
    assert json.loads(listing.listing(str(tmp_path / "away"), "json")) == []


@pytest.mark.parametrize(
    ("sort", "names"), [("name", "abc"), ("kid", "acb"), ("steps", "bca"), ("time", "cba")]
)
def test_runs_are_sorted(tmp_path, sort, names):
    make_run(tmp_path, "a", records=[{"step": 30}], changed=3)
    make_run(tmp_path, "b", records=[{"step": 10, "kid": 0.1}], changed=2)
    make_run(tmp_path, "c", records=[{"step": 20, "kid": 0.2}], changed=1)
    rows = json.loads(listing.listing(str(tmp_path), "json", sort))
    assert "".join(row["name"] for row in rows) == names


def test_a_narrow_terminal_gets_short_lines(tmp_path):
    make_run(tmp_path, "a", records=[{"step": 30, "kid": 0.1}], lr1=1e-4, ngf=8, ndf=8, nz=7)
    lines = listing.listing(str(tmp_path), columns=40).splitlines()
    assert lines[0] == "a"
    assert max(map(len, lines)) <= 40
    assert any("lr1=0.0001" in line for line in lines)
    assert listing.listing(str(tmp_path), columns=300) == listing.listing(str(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[]", "null", '{"options": [1]}', '{"options": null}', '{"options": 3}',
     '{"options": {"resize": "stretch"}}', '{"options": {"data_path": "a\\u0000"}}', "\0"],
)  # fmt: skip
def test_one_bad_run_breaks_no_listing(tmp_path, text):
    make_run(tmp_path, "good", seed=5, changed=2)
    bad = make_run(tmp_path, "bad", records=[{"step": "x", "epoch": [], "seconds": 1e300}])
    bad.options_file.write_text(text)
    bad.metrics.write_bytes(bad.metrics.read_bytes() + b"[" * 100_000 + b"\n\xff\n3\n")
    rows = {row["name"]: row for row in json.loads(listing.listing(str(tmp_path), "json"))}
    assert (rows["good"]["problem"], rows["good"]["options"]) == ("", ["seed=5"])
    assert rows["bad"]["problem"]
    listing.listing(str(tmp_path))
    with pytest.raises(UsageError) as caught:
        listing.command_of(str(tmp_path), "bad")
    assert caught.value.flags == ("--repeat",)


def test_a_folder_in_the_place_of_a_file_breaks_no_listing(tmp_path):
    make_run(tmp_path, "good", changed=1)
    (tmp_path / "odd" / "options.json").mkdir(parents=True)
    (tmp_path / "odd" / "metrics.jsonl").mkdir()
    rows = json.loads(listing.listing(str(tmp_path), "json"))
    assert {row["name"]: bool(row["problem"]) for row in rows} == {"good": False, "odd": True}
