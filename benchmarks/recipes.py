"""Recipes against each other: CPU minutes in, faces and their numbers out.

    export OMP_NUM_THREADS=1
    python -m benchmarks.recipes run best --minutes 15 60 --data ../shared/data --work /tmp/r
    python -m benchmarks.recipes floor --data ../shared/data --work /tmp/r
    python -m benchmarks.recipes table --work /tmp/r
    python -m benchmarks.recipes spread --work /tmp/r

`run` trains a named recipe for so many minutes of this process's CPU, on one thread unless told,
and measures at each milestone, where it leaves a sheet and weight files for `generate` and
`evaluate`; it keeps a state, so that a call that is stopped, or asked for more minutes, goes on.
Selection: 1,000 of the training faces are kept aside and measured against (`--against split`); for
finalists `--against heldout` trains on all and measures against the held-out folder. What the
numbers are: benchmarks/judging.py.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from animegan.config.derived import spec_of
from animegan.core.images import grid, save_picture
from animegan.runs import checkpoint
from animegan.runtime.device import Runtime
from benchmarks.judging import Bench, N
from benchmarks.training import DCGAN, TEXTBOOK, commit, config_of, samples, speed, trainer_of

SAVE_EVERY = 300.0  # CPU seconds


def _rates(rate: float) -> dict[str, Any]:
    return {"lr1": rate, "lr2": rate}


AIDS = {"flip": True, "ema": 10_000, "augment": "color,translation"}
HALF = {**DCGAN, **AIDS, "ngf": 32, "ndf": 32}
BEST = {"preset": "best"}
RECIPES: dict[str, dict[str, Any]] = {
    "book": {"preset": "book"},
    "textbook": TEXTBOOK,
    "default": {},
    "default-bce": {"loss": "bce"},
    "default-wide": {"ngf": 64, "ndf": 64},
    "default-plain": {"augment": "none"},
    "default-falling": {"lr_end": 0},
    "default-resnet": {"net": "resnet"},
    "dcgan": {**TEXTBOOK, **AIDS},
    "dcgan-half": HALF,
    "dcgan-half-lsgan": {**HALF, "loss": "lsgan"},
    "dcgan-half-rate-10": {**HALF, **_rates(1e-3)},
    "dcgan-half-r1": {**HALF, "r1": 1, "d_norm": "none"},
    "dcgan-half-spectral": {**HALF, "d_norm": "spectral"},
    "best": BEST,
    "best-pairs": {
        **BEST,
        "loss": "r3gan",
        "r1": 0,
        "r2": 0,
        "lr_end": 1,
        "burn_in": 1,
        "beta2_end": "none",
        "penalty_end": 1,
        "ema": 10_000,
    },
    "best-view-64": {**BEST, "d_input": 64},
    "best-view-128": {**BEST, "d_input": 128},
    "best-rate-5": {**BEST, **_rates(5e-4)},
    "best-rate-10": {**BEST, **_rates(1e-3)},
    "best-rate-40": {**BEST, **_rates(4e-3)},
    "best-slow-g": {**BEST, "lr1": 5e-4},
    "best-batch-16": {**BEST, "batch_size": 16},
    "best-batch-64": {**BEST, "batch_size": 64},
    "best-narrow-g": {**BEST, "ngf": 32, "g_convs": 1},
    "best-shallow-g": {**BEST, "g_convs": 1},
    "default-deep": {"g_convs": 2},
    "best-wide-g": {**BEST, "ngf": 96},
    "best-wide-d": {**BEST, "ndf": 128},
    "best-noise-256": {**BEST, "nz": 256},
    "best-translation": {**BEST, "augment": "translation"},
    "best-plain": {**BEST, "augment": "none"},
    "best-cutout": {**BEST, "augment": "color,translation,cutout"},
    "best-auto": {**BEST, "augment": "auto"},
    "best-falling": {**BEST, "lr_end": 0},
    "best-average-40": {**BEST, "ema": 40_000},
}


def run(asked: argparse.Namespace) -> None:
    """Train to the last milestone; a row, a sheet and weight files at each."""
    asked.work.mkdir(parents=True, exist_ok=True)
    pictures = asked.pictures or (f"but-{asked.without}" if asked.without else "all")
    name = f"{asked.recipe}-{asked.against}-{pictures}-{asked.seed}"
    name += f"-from-{asked.start.stem}" if asked.start else ""
    state_file = asked.work / f"{name}.pt"
    row = {
        "recipe": asked.recipe, "seed": asked.seed, "against": asked.against,
        "pictures": asked.pictures, "without": asked.without,
        "start": asked.start and asked.start.stem, "threads": asked.threads,
    }  # fmt: skip
    due = sorted(missing(rows_of(asked.work), row, asked.minutes))
    if not due:
        print(f"{name}: all its rows are in {asked.work}; another --work runs it again")
        return
    code = commit()  # of what was imported, whatever lies there hours later
    on = Runtime.start_together(gpu=False, threads=asked.threads)
    bench = Bench(asked.data, asked.against)
    faces = bench.subset(asked.pictures, asked.without)
    given = {**RECIPES[asked.recipe], "seed": asked.seed, "threads": asked.threads}
    on = on.at(config_of(given).precision)  # what `train` computes in on this machine
    rate = speed(config_of(given), faces, on)
    planned = max(asked.minutes)
    config = config_of(given, max(1, round(60 * planned * rate)))
    trainer = trainer_of(config, faces, on)
    state: dict[str, Any] = {"spent": 0.0, "planned": planned, "due": None, "commits": []}
    if state_file.exists():
        state = checkpoint.load(state_file, "--work")
        if config.lr_end != 1 and state["planned"] != planned:
            raise SystemExit(
                f"{name}: its rates fall until {state['planned']:g} minutes; it cannot go on"
            )
        trainer.load_state_dict(state.pop("trainer"))
    elif asked.start:
        begun = checkpoint.load(asked.start, "--start")["trainer"]
        trainer.netg.load_state_dict(begun.get("ema") or begun["netg"])
        trainer.netd.load_state_dict(begun["netd"])
    state["commits"] += [] if code in state["commits"] else [code]

    def keep() -> None:
        checkpoint.save({**state, "trainer": trainer.state_dict()}, state_file)

    for minutes in due:
        if state["spent"] >= 60 * minutes and state["due"] != minutes:
            print(f"{name}: past {minutes:g} minutes already, of which there is no row")
            continue
        saved = state["spent"]
        while state["spent"] < 60 * minutes:
            before = time.process_time()
            trainer.train_batch()
            state["spent"] += time.process_time() - before
            if state["spent"] - saved > SAVE_EVERY:
                keep()
                saved = state["spent"]
        state["due"] = minutes  # its row is: a call that is killed before it begins with that
        keep()
        drawn = samples(trainer, N)
        sheet = asked.work / f"{name}-{minutes:g}.jpg"
        save_picture(grid(drawn[:64]), sheet, quality=90)
        for kind, net in (("netg", trainer.weights()["netg"]), ("netd", trainer.netd)):
            file = sheet.with_name(f"{sheet.stem}-{kind}.pth")
            about = {"step": trainer.step, "options": dataclasses.asdict(config)}
            checkpoint.save_net(file, kind, net.state_dict(), spec_of(config), about)
        found = {
            **row, "minutes": minutes, "seen": trainer.step * config.batch_size,
            "rate": round(rate * config.batch_size, 1), "bf16": on.bf16,
            "commit": " ".join(state["commits"]), "options": RECIPES[asked.recipe],
            **bench.judge(drawn),
        }  # fmt: skip
        tell(asked.work, found)


def missing(
    rows: list[dict[str, Any]], run: dict[str, Any], minutes: Iterable[float]
) -> set[float]:
    """The milestones of a run that have no row."""
    known = {row["minutes"] for row in rows if all(row.get(key) == run[key] for key in run)}
    return set(minutes) - known


def floor(asked: argparse.Namespace) -> None:
    """A row of real faces, for what the numbers of a perfect generator would be."""
    asked.work.mkdir(parents=True, exist_ok=True)
    row = {"recipe": "other reals", "seed": 0, "against": asked.against, "pictures": None}
    if not missing(rows_of(asked.work), row, (0,)):
        print(f"its row is in {asked.work}; another --work measures it again")
        return
    found = Bench(asked.data, asked.against).floor()
    tell(asked.work, {**row, "minutes": 0, "seen": 0, "commit": commit(), **found})


def tell(work: Path, row: dict[str, Any]) -> None:
    with (work / "rows.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def rows_of(work: Path) -> list[dict[str, Any]]:
    file = work / "rows.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


SHOWN = ("fd", "kid", "fd_2", "kid_2", "precision", "recall", "density", "coverage", "face_rate",
         "colour", "frequency")  # fmt: skip


def called(row: Mapping[str, Any]) -> str:
    """The recipe, and on which pictures and from what, if that is not usual."""
    name = row["recipe"]
    name += f", {row['pictures']:,} faces" if row["pictures"] else ""
    name += f", all but {row['without']:,} faces" if row.get("without") else ""
    return name + (f", from {row['start']}" if row.get("start") else "")


def figure(name: str, value: float) -> str:
    value *= 1000 if name.startswith("kid") else 1
    return f"{value:.{0 if value > 99 else 2}f}"


def markdown(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    heads = tuple(heads)
    rule = "|---" * len(heads) + "|"
    return "\n".join([f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(x)} |" for x in lines)])


def table(work: Path) -> str:
    """Markdown of rows.jsonl, best KID first within each number of minutes."""
    rows = sorted(rows_of(work), key=lambda row: (row["against"], row["minutes"], row["kid"]))
    return markdown(
        ("recipe", "seed", "CPU min", "seen", *SHOWN),
        (
            (
                f"`{called(row)}`", str(row["seed"]), f"{row['minutes']:g}", f"{row['seen']:,}",
                *(figure(name, row[name]) for name in SHOWN),
            )
            for row in rows
        ),
    )  # fmt: skip


def spread(work: Path) -> str:
    """Markdown of what was run with several seeds: of each number the mean, lowest to highest."""
    alike: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
    for row in rows_of(work):
        alike.setdefault((row["against"], called(row), row["minutes"]), []).append(row)

    def cell(name: str, rows: list[dict[str, Any]]) -> str:
        values = [row[name] for row in rows]
        ends = " to ".join(figure(name, value) for value in (min(values), max(values)))
        return f"{figure(name, sum(values) / len(values))} ({ends})"

    return markdown(
        ("recipe", "seeds", "CPU min", *SHOWN),
        (
            (f"`{name}`", str(len(rows)), f"{minutes:g}", *(cell(key, rows) for key in SHOWN))
            for (_, name, minutes), rows in sorted(alike.items())
            if len(rows) > 1
        ),
    )


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    what = ask.add_subparsers(dest="what", required=True)
    runs = what.add_parser("run")
    runs.add_argument("recipe", choices=tuple(RECIPES))
    runs.add_argument("--minutes", type=float, nargs="+", default=[15.0])
    runs.add_argument("--seed", type=int, default=0)
    runs.add_argument("--threads", type=int, default=1)
    runs.add_argument("--pictures", type=int, help="train on so many only")
    runs.add_argument("--without", type=int, help="train on all but those that --pictures takes")
    runs.add_argument("--start", type=Path, help="another run's .pt, to start from its weights")
    reals = what.add_parser("floor")
    for one in (runs, reals):
        one.add_argument("--against", choices=("split", "heldout"), default="split")
        one.add_argument("--data", type=Path, default=Path("../shared/data"))
    for one in (runs, reals, what.add_parser("table"), what.add_parser("spread")):
        one.add_argument("--work", type=Path, required=True)
    asked = ask.parse_args()
    if asked.what == "run":
        run(asked)
    elif asked.what == "floor":
        floor(asked)
    else:
        print((table if asked.what == "table" else spread)(asked.work))


if __name__ == "__main__":
    main()
