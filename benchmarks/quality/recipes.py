"""Compare recipes: train each for some CPU minutes and measure what it draws.

    export OMP_NUM_THREADS=1
    python -m benchmarks.quality.recipes run best --minutes 15 60 --data ../shared/data --work W
    python -m benchmarks.quality.recipes floor --data ../shared/data --work W
    python -m benchmarks.quality.recipes table --work W
    python -m benchmarks.quality.recipes spread --work W

`run` trains a recipe on one thread and measures it at each milestone, where it leaves a row, a
sheet and weight files for `generate` and `evaluate`. It keeps a state, so that a call that was
stopped, or that asks for more minutes, continues. 1,000 training faces are set aside and measured
against (`--against split`); for finalists, `--against heldout` trains on all and measures against
the held-out folder. The metrics are those of `benchmarks/harness/judging.py`. Without --work,
`table` and `spread` print the rows of docs/recipes.md.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from animegan.config.derived import spec_of
from animegan.core.errors import UsageError, refuse
from animegan.core.images import grid, save_picture
from animegan.core.outputs import writable
from animegan.runs import checkpoint
from animegan.runtime.device import Runtime
from animegan.training.step.gan_trainer import GanTrainer
from benchmarks.harness import command
from benchmarks.harness.command import known
from benchmarks.harness.judging import Bench, N
from benchmarks.harness.table import RESULTS, add_row, markdown, read_rows
from benchmarks.harness.training import (
    DCGAN,
    TEXTBOOK,
    commit,
    config_of,
    samples,
    speed,
    trainer_of,
)

FILE = "recipes.jsonl"  # of a --work
DATA = Path("../shared/data")
SAVE_EVERY = 300.0  # CPU seconds

Against = Literal["split", "heldout"]


def _rates(rate: float) -> dict[str, Any]:
    return {"lr1": rate, "lr2": rate}


AIDS = {"flip": True, "ema": 10_000, "augment": "color,translation"}
HALF = {**DCGAN, **AIDS, "ngf": 32, "ndf": 32}
BEST = {"preset": "best"}
SCRATCH = {"preset": "scratch"}
RECIPES: dict[str, dict[str, Any]] = {
    "book": {"preset": "book"},
    "textbook": TEXTBOOK,
    "default": SCRATCH,  # the name that its rows have
    "default-bce": {"loss": "bce"},
    "default-wide": {**SCRATCH, "ngf": 64, "ndf": 64},
    "default-plain": {**SCRATCH, "augment": "none"},
    "default-falling": {**SCRATCH, "schedule": "lr=0"},
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
        "schedule": "none",
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
    "default-deep": {**SCRATCH, "g_convs": 2},
    "best-wide-g": {**BEST, "ngf": 96},
    "best-wide-d": {**BEST, "ndf": 128},
    "best-noise-256": {**BEST, "nz": 256},
    "best-translation": {**BEST, "augment": "translation"},
    "best-plain": {**BEST, "augment": "none"},
    "best-cutout": {**BEST, "augment": "color,translation,cutout"},
    "best-auto": {**BEST, "augment": "auto"},
    "best-falling": {**BEST, "schedule": "lr=0"},
    "best-average-40": {**BEST, "ema": 40_000},
}


def run(
    recipe: str,
    *,
    minutes: tuple[float, ...] = (15.0,),
    seed: int = 0,
    threads: int = 1,
    pictures: int | None = None,
    without: int | None = None,
    start: Path | None = None,
    against: Against = "split",
    data: Path = DATA,
    work: Path,
) -> None:
    """Train to the last milestone; leave a row, a sheet and weight files at each.

    Args:
        recipe: one of RECIPES.
        minutes: the milestones, in CPU minutes of this process.
        seed, threads: of the training.
        pictures: train on so many images only.
        without: train on all but those that `pictures` takes.
        start: another run's .pt, whose weights to start from.
        against: what to measure against.
        data: folder with train/faces and heldout/faces.
        work: folder for the results.
    """
    known("RECIPE", (recipe,), RECIPES)
    refuse(writable("--work", work))
    images = pictures or (f"but-{without}" if without else "all")
    name = f"{recipe}-{against}-{images}-{seed}" + (f"-from-{start.stem}" if start else "")
    state_file = work / f"{name}.pt"
    row = {
        "recipe": recipe, "seed": seed, "against": against, "pictures": pictures,
        "without": without, "start": start and start.stem, "threads": threads,
    }  # fmt: skip
    due = sorted(missing(read_rows(work / FILE), row, minutes))
    if not due:
        print(f"{name}: all its rows are in {work}; another --work runs it again")
        return
    code = commit()  # of what was imported, whatever the files are hours later
    runtime = Runtime.start_together(gpu=False, threads=threads)
    bench = Bench(data, against)
    faces = bench.subset(pictures, without)
    given = {**RECIPES[recipe], "seed": seed, "threads": threads}
    runtime = runtime.at(config_of(given).precision)  # what `train` computes in on this machine
    rate = speed(config_of(given), faces, runtime)
    planned = max(minutes)
    config = config_of(given, max(1, round(60 * planned * rate)))
    trainer = trainer_of(config, faces, runtime)
    state: dict[str, Any] = {"spent": 0.0, "planned": planned, "due": None, "commits": []}
    if state_file.exists():
        state = checkpoint.load(state_file, "--work")
        if config.schedule != "none" and state["planned"] != planned:
            raise UsageError(
                f"--minutes {planned:g}: the rates of {name} fall until {state['planned']:g} "
                "minutes, so it cannot go on; use another --work"
            )
        trainer.load_state_dict(state.pop("trainer"))
    elif start:
        begun = checkpoint.load(start, "--start")["trainer"]
        trainer.netg.load_state_dict(begun.get("ema") or begun["netg"])
        trainer.netd.load_state_dict(begun["netd"])
    state["commits"] += [] if code in state["commits"] else [code]

    def keep() -> None:
        checkpoint.save({**state, "trainer": trainer.state_dict()}, state_file)

    for milestone in due:
        if state["spent"] >= 60 * milestone and state["due"] != milestone:
            print(f"{name}: past {milestone:g} minutes already, of which there is no row")
            continue
        train(trainer, state, milestone, keep)
        state["due"] = milestone  # if killed before its row is written, the next call begins here
        keep()
        drawn = samples(trainer, N)
        sheet = work / f"{name}-{milestone:g}.jpg"
        save_picture(grid(drawn[:64]), sheet, quality=90)
        save_weights(trainer, sheet)
        measured = {
            **row, "minutes": milestone, "seen": trainer.step * config.batch_size,
            "rate": round(rate * config.batch_size, 1), "bf16": runtime.bf16,
            "commit": " ".join(state["commits"]), "options": RECIPES[recipe],
            **bench.judge(drawn),
        }  # fmt: skip
        add_row(work / FILE, measured)


def train(
    trainer: GanTrainer, state: dict[str, Any], minutes: float, keep: Callable[[], None]
) -> None:
    """Train until `minutes` of CPU time are spent; call `keep` every SAVE_EVERY seconds."""
    saved = state["spent"]
    while state["spent"] < 60 * minutes:
        before = time.process_time()
        trainer.train_batch()
        state["spent"] += time.process_time() - before
        if state["spent"] - saved > SAVE_EVERY:
            keep()
            saved = state["spent"]


def save_weights(trainer: GanTrainer, sheet: Path) -> None:
    """Write the nets' weight files next to a sheet."""
    config = trainer.config
    about = {"step": trainer.step, "options": dataclasses.asdict(config)}
    nets: dict[checkpoint.Kind, nn.Module] = {
        "netg": trainer.weights()["netg"],
        "netd": trainer.netd,
    }
    for kind, net in nets.items():
        file = sheet.with_name(f"{sheet.stem}-{kind}.pth")
        checkpoint.save_net(file, kind, net.state_dict(), spec_of(config), about)


def missing(
    rows: Iterable[Mapping[str, Any]], run: Mapping[str, Any], minutes: Iterable[float]
) -> set[float]:
    """Return the milestones of a run that have no row."""
    own = series_of(rows, None)
    measured = {row["minutes"] for row in own if all(row.get(key) == run[key] for key in run)}
    return set(minutes) - measured


def floor(*, against: Against = "split", data: Path = DATA, work: Path) -> None:
    """Add a row of real faces: the numbers of a perfect generator."""
    refuse(writable("--work", work))
    row = {"recipe": "other reals", "seed": 0, "against": against, "pictures": None}
    if not missing(read_rows(work / FILE), row, (0,)):
        print(f"its row is in {work}; another --work measures it again")
        return
    numbers = Bench(data, against).floor()
    add_row(work / FILE, {**row, "minutes": 0, "seen": 0, "commit": commit(), **numbers})


# --- results


def series_of(rows: Iterable[Mapping[str, Any]], series: str | None) -> list[Mapping[str, Any]]:
    """Return the rows of a series: experiments with other code have a name, recipes have none."""
    return [row for row in rows if row.get("series") == series]


SHOWN = ("fd", "kid", "fd_2", "kid_2", "precision", "recall", "density", "coverage", "face_rate",
         "colour", "frequency")  # fmt: skip


def name_of(row: Mapping[str, Any]) -> str:
    """Return the recipe, and on which images and from what, if that is not usual."""
    name: str = row["recipe"]
    name += f", {row['pictures']:,} faces" if row["pictures"] else ""
    name += f", all but {row['without']:,} faces" if row.get("without") else ""
    return name + (f", from {row['start']}" if row.get("start") else "")


def figure(name: str, value: float) -> str:
    """Format a metric; KID times 1000."""
    value *= 1000 if name.startswith("kid") else 1
    return f"{value:.{0 if value > 99 else 2}f}"


def table(*, work: Path = RESULTS, series: str | None = None) -> None:
    """Print the rows, best KID first within each number of minutes.

    Args:
        work: folder of a `run`.
        series: print the rows of this series of experiments instead.
    """
    rows = series_of(read_rows(work / FILE), series)
    rows.sort(key=lambda row: (row["against"], row["minutes"], row["kid"]))
    lines = (
        (
            f"`{name_of(row)}`", str(row["seed"]), f"{row['minutes']:g}", f"{row['seen']:,}",
            *(figure(name, row[name]) for name in SHOWN),
        )
        for row in rows
    )  # fmt: skip
    print(markdown(("recipe", "seed", "CPU min", "seen", *SHOWN), lines))


def spread(*, work: Path = RESULTS, series: str | None = None) -> None:
    """Print what was run with several seeds: of each metric the mean, lowest and highest.

    Args:
        work: folder of a `run`.
        series: print the rows of this series of experiments instead.
    """
    alike: dict[tuple[str, str, float], list[Mapping[str, Any]]] = {}
    for row in series_of(read_rows(work / FILE), series):
        alike.setdefault((row["against"], name_of(row), row["minutes"]), []).append(row)

    def cell(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
        values = [row[name] for row in rows]
        ends = " to ".join(figure(name, value) for value in (min(values), max(values)))
        return f"{figure(name, sum(values) / len(values))} ({ends})"

    lines = (
        (f"`{name}`", str(len(rows)), f"{minutes:g}", *(cell(key, rows) for key in SHOWN))
        for (_, name, minutes), rows in sorted(alike.items())
        if len(rows) > 1
    )
    print(markdown(("recipe", "seeds", "CPU min", *SHOWN), lines))


if __name__ == "__main__":
    command.run(run, floor, table, spread)
