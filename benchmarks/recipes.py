"""Recipes against each other: CPU minutes in, faces and their numbers out.

    export OMP_NUM_THREADS=1
    python -m benchmarks.recipes run best --minutes 15 60 --data ../shared/data --work /tmp/r
    python -m benchmarks.recipes floor --data ../shared/data --work /tmp/r
    python -m benchmarks.recipes table --work /tmp/r

`run` trains a named recipe for so many minutes of this process's CPU, on one thread unless told,
and measures at each milestone, where it leaves a sheet and weight files for `generate` and
`evaluate`; it keeps a state, so that a call that is stopped, or asked for more minutes, goes on.
Selection: 1,000 of the training faces are kept aside and measured against (`--against split`); for
finalists `--against heldout` trains on all and measures against the held-out folder. Besides the
tool's own numbers, some that no discriminator here looks through: the distances in the features of
EfficientNet-Lite2 (`_2`), and the Fréchet distances of colour statistics and of frequency
statistics (both below).
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from animegan import checkpoint, runtime
from animegan.data.cache import FaceSet, open_set
from animegan.detector import FaceDetector
from animegan.evaluate import compare
from animegan.features import build_extractor
from animegan.images import grid, save_picture
from animegan.measure import Measured, Pictures, measure, of_array
from animegan.metrics import frechet
from animegan.models import Spec
from animegan.trainer import Trainer
from benchmarks.training import (
    DCGAN,
    TEXTBOOK,
    commit,
    config_of,
    part,
    samples,
    some,
    speed,
    trainer_of,
)

N = 1000
SAVE_EVERY = 300.0  # CPU seconds
BANDS = 16  # of the power spectrum
CELLS = 4  # a side, of the colour statistics


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
    "best-pixels": {**BEST, "d_pixels": 16},
    "best-falling": {**BEST, "lr_end": 0},
    "best-average-40": {**BEST, "ema": 40_000},
}


# --- what no discriminator looks through


def colours(pixels: Tensor) -> Tensor:
    """Mean and deviation of each channel in 4 x 4 cells: uint8 [N, C, S, S] -> [N, 2 · 16 · C]."""
    side = pixels.shape[-1] // CELLS
    x = pixels.float().unfold(2, side, side).unfold(3, side, side).flatten(4)
    return torch.cat((x.mean(4).flatten(1), x.std(4).flatten(1)), 1)


def frequencies(pixels: Tensor) -> Tensor:
    """Log power of brightness in rings of the spectrum: uint8 [N, C, S, S] -> [N, 16]."""
    grey = pixels.float().mean(1)
    window = torch.hann_window(grey.shape[-1], periodic=False)
    power = torch.fft.fft2((grey - grey.mean((1, 2), keepdim=True)) * window.outer(window))
    power = power.abs().square().flatten(1)
    line = torch.fft.fftfreq(grey.shape[-1])
    radius = (line[:, None].square() + line[None].square()).sqrt().flatten()
    ring = (radius * 2 * BANDS).long().clamp(max=BANDS - 1)
    sums = torch.zeros(len(power), BANDS).index_add_(1, ring, power)
    return (sums / torch.bincount(ring, minlength=BANDS) + 1).log10()


def apart(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance after the reals are scaled to deviation 1 in each number."""
    mean, deviation = real.mean(0), real.std(0) + 1e-6
    scaled = [((one - mean) / deviation).numpy() for one in (real, fake)]
    return frechet(scaled[0], scaled[1])


# --- a recipe


class Bench:
    """Pictures to train on, and reals to measure against, measured once."""

    def __init__(self, data: Path, against: str) -> None:
        whole = open_set(data / "train/faces")
        if against == "split":
            apart = some(whole, N, seed=1)
            self.faces, reals = part(whole, ~apart), part(whole, apart)
        else:
            held_out = open_set(data / "heldout/faces")
            self.faces, reals = whole, part(held_out, some(held_out, N, seed=0))
        self.extractor, self.detector = build_extractor("lite0"), FaceDetector()
        self.second = build_extractor("lite2")
        self.pixels = torch.from_numpy(reals.images).permute(0, 3, 1, 2)
        self.real: Measured = measure(
            of_array(against, reals.images), self.extractor, self.detector
        )
        self.real_second: Measured = measure(of_array(against, reals.images), self.second, None)

    def subset(self, pictures: int | None, without: int | None = None) -> FaceSet:
        """All to train on, or so many of them, or all but so many."""
        if without is not None:
            return part(self.faces, ~some(self.faces, without, seed=2))
        if pictures is None:
            return self.faces
        return part(self.faces, some(self.faces, pictures, seed=2))

    def floor(self) -> dict[str, Any]:
        """Numbers of 1,000 faces of the training set."""
        some_faces = part(self.faces, some(self.faces, N, seed=3))
        return self.judge(torch.from_numpy(some_faces.images).permute(0, 3, 1, 2))

    def judge(self, pixels: Tensor) -> dict[str, Any]:
        """Numbers of 1,000 pictures, uint8 [1000, C, S, S]."""
        drawn = Pictures("samples", N, lambda at, count: pixels[at : at + count])
        fake = measure(drawn, self.extractor, self.detector)
        told = compare(self.real, fake, self.extractor, seed=0)
        other = compare(self.real_second, measure(drawn, self.second, None), self.second, seed=0)
        names = ("fd", "kid", "kid_std", "precision", "recall", "density", "coverage", "face_rate")
        return {
            **{name: getattr(told, name) for name in names},
            "fd_2": other.fd, "kid_2": other.kid, "recall_2": other.recall,
            "colour": apart(colours(self.pixels), colours(pixels)),
            "frequency": apart(frequencies(self.pixels), frequencies(pixels)),
        }  # fmt: skip


def run(asked: argparse.Namespace) -> None:
    """Train to the last milestone; a row and a sheet at each."""
    asked.work.mkdir(parents=True, exist_ok=True)
    on = runtime.start_together(gpu=False, threads=asked.threads)
    bench = Bench(asked.data, asked.against)
    pictures = asked.pictures or (f"but-{asked.without}" if asked.without else "all")
    name = f"{asked.recipe}-{asked.against}-{pictures}-{asked.seed}"
    name += f"-from-{asked.start.stem}" if asked.start else ""
    state_file = asked.work / f"{name}.pt"
    faces = bench.subset(asked.pictures, asked.without)
    given = {**RECIPES[asked.recipe], "seed": asked.seed, "threads": asked.threads}
    on = on.at(config_of(given).precision)  # what `train` computes in on this machine
    rate = speed(config_of(given), faces, on)
    config = config_of(given, max(1, round(60 * max(asked.minutes) * rate)))
    trainer = trainer_of(config, faces, on)
    spent = 0.0
    if state_file.exists():
        state = checkpoint.load(state_file, "--work")
        trainer.load_state_dict(state["trainer"])
        spent = state["spent"]
    elif asked.start:
        begun = checkpoint.load(asked.start, "--start")["trainer"]
        trainer.netg.load_state_dict(begun.get("ema") or begun["netg"])
        trainer.netd.load_state_dict(begun["netd"])
    for minutes in sorted(asked.minutes):
        if spent >= 60 * minutes:
            continue
        saved = spent
        while spent < 60 * minutes:
            before = time.process_time()
            trainer.train_batch()
            spent += time.process_time() - before
            if spent - saved > SAVE_EVERY:
                keep(state_file, trainer, spent)
                saved = spent
        keep(state_file, trainer, spent)
        drawn = samples(trainer, N)
        sheet = asked.work / f"{name}-{minutes:g}.jpg"
        save_picture(grid(drawn[:64]), sheet, quality=90)
        for kind, net in (("netg", trainer.shown()), ("netd", trainer.netd)):
            file = sheet.with_name(f"{sheet.stem}-{kind}.pth")
            about = {"step": trainer.step, "options": dataclasses.asdict(config)}
            checkpoint.save_net(file, kind, net.state_dict(), Spec.of(config), about)
        row = {
            "recipe": asked.recipe, "seed": asked.seed, "against": asked.against,
            "pictures": asked.pictures, "without": asked.without,
            "start": asked.start and asked.start.stem, "threads": asked.threads, "minutes": minutes,
            "seen": trainer.step * config.batch_size, "rate": round(rate * config.batch_size, 1),
            "bf16": on.bf16, "commit": commit(), "options": RECIPES[asked.recipe],
            **bench.judge(drawn),
        }  # fmt: skip
        tell(asked.work, row)


def floor(asked: argparse.Namespace) -> None:
    """A row of real faces, for what the numbers of a perfect generator would be."""
    asked.work.mkdir(parents=True, exist_ok=True)
    row = {
        "recipe": "other reals", "seed": 0, "against": asked.against, "pictures": None,
        "minutes": 0, "seen": 0, "commit": commit(), **Bench(asked.data, asked.against).floor(),
    }  # fmt: skip
    tell(asked.work, row)


def tell(work: Path, row: dict[str, Any]) -> None:
    with (work / "rows.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def keep(path: Path, trainer: Trainer, spent: float) -> None:
    checkpoint.save({"trainer": trainer.state_dict(), "spent": spent}, path)


SHOWN = ("fd", "kid", "fd_2", "kid_2", "precision", "recall", "density", "coverage", "face_rate",
         "colour", "frequency")  # fmt: skip


def table(work: Path) -> str:
    """Markdown of rows.jsonl, best KID first within each number of minutes."""
    rows = [json.loads(line) for line in (work / "rows.jsonl").read_text().splitlines()]
    rows.sort(key=lambda row: (row["against"], row["minutes"], row["kid"]))
    lines = ["| recipe | seed | CPU min | seen | " + " | ".join(SHOWN) + " |"]
    lines.append("|---" * (4 + len(SHOWN)) + "|")
    for row in rows:
        row["kid"] *= 1000
        row["kid_2"] *= 1000
        cells = " | ".join(f"{row[key]:.{0 if row[key] > 99 else 2}f}" for key in SHOWN)
        name = row["recipe"]
        name += f", {row['pictures']:,} faces" if row["pictures"] else ""
        name += f", all but {row['without']:,} faces" if row.get("without") else ""
        name += f", from {row['start']}" if row.get("start") else ""
        lines.append(
            f"| `{name}` | {row['seed']} | {row['minutes']:g} | {row['seen']:,} | {cells} |"
        )
    return "\n".join(lines)


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
    for one in (runs, reals, what.add_parser("table")):
        one.add_argument("--work", type=Path, required=True)
    asked = ask.parse_args()
    if asked.what == "run":
        run(asked)
    elif asked.what == "floor":
        floor(asked)
    else:
        print(table(asked.work))


if __name__ == "__main__":
    main()
