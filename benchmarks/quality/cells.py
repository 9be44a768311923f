"""Train every supported pair of objective and network for a few CPU minutes, and measure it.

    export OMP_NUM_THREADS=1
    python -m benchmarks.quality.cells run faces --data ../shared/data --work W
    python -m benchmarks.quality.cells table faces --work W --sheet W/faces.jpg

`run` trains each cell missing from --work for a fixed CPU time (one thread), draws as many images
as there are held-out reals, at most 1,000, and measures them. Several processes may share a --work.
`table` prints the results as Markdown, without --work those of docs/objectives.md, and puts the
first images of every cell on one sheet.

Each cell uses its objective's published settings, fresh fakes for the generator's updates, nets of
width 32, and an EMA of 10,000 images. Projected discriminators have width 64, and their own rates,
betas, batch size and augmentation for all objectives. Faces are randomly mirrored; a quarter of the
digits and of CIFAR-10 is held out. The number of steps is planned from a trial of 5 s, so that
schedules end on time.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from animegan import models
from animegan.core.errors import UsageError, refuse
from animegan.core.images import grid, save_picture
from animegan.core.outputs import writable
from animegan.data.face_set import FaceSet, open_set
from animegan.data.labels import Labels
from animegan.datasets.faces.detector import FaceDetector
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.measure import Pictures, measure, of_array
from animegan.evaluation.protocol import compare
from animegan.losses.objectives import OBJECTIVES
from animegan.models import FAMILIES
from animegan.training.step.gan_trainer import GanTrainer
from benchmarks.harness import command
from benchmarks.harness.claim import claimed
from benchmarks.harness.command import known
from benchmarks.harness.table import RESULTS, add_row, markdown, read_rows
from benchmarks.harness.training import commit, config_of, part, samples, speed, trainer_of
from benchmarks.quality.classifier import Classifier, trained

REALS = 1000
SHOWN = 8  # images per cell on the sheet
FILE = "cells.jsonl"  # of a --work
REAL_IMAGES = ("reals", "-")  # the row of the reals
PROJECTED = "lite0"  # fastgan's generator with a projected discriminator


@dataclass(frozen=True)
class Data:
    """A training set, its options, and the CPU minutes per cell."""

    folder: str
    held_out: str | None  # None holds out a quarter of each class
    options: dict[str, Any]
    minutes: float
    nets: tuple[str, ...]
    also: tuple[tuple[str, str], ...] = ()  # additional pairs


FACES = (*FAMILIES, PROJECTED)
SETS = {
    "faces": Data("train/faces", "heldout/faces", {"image_size": 96, "flip": True}, 6.0, FACES),
    "digits": Data("mnist", None, {"image_size": 28, "channels": 1}, 3.0, ("dcgan",),
                   (("bce", "mlp"), ("r3gan", "r3gan"))),
    "cifar10": Data("cifar10", None, {"image_size": 32}, 3.0, ("dcgan",), (("r3gan", "r3gan"),)),
}  # fmt: skip
ALIKE: dict[str, Any] = {
    "ngf": 32, "ndf": 32, "flip": False, "augment": "none", "ema": 10_000,
    "threads": 1,
}  # fmt: skip


def cells(data: Data) -> list[tuple[str, str]]:
    """Return all pairs (objective, network), including unsupported ones."""
    pairs = [(loss, net) for net in data.nets for loss in OBJECTIVES]
    return [*pairs, *data.also]


def options_of(data: Data, loss: str, net: str) -> dict[str, Any]:
    given = {**ALIKE, **data.options, "loss": loss}
    if net != PROJECTED:
        return given | {"net": net}
    del given["augment"]  # the default's
    return given | {"d_features": net, "ngf": 64, "ndf": 64}


def train(
    given: dict[str, Any], faces: FaceSet, minutes: float, labels: Labels | None = None
) -> GanTrainer:
    """Return a trainer that has trained for `minutes` of this process's CPU time."""
    rate = speed(config_of(given), faces, labels=labels)
    trainer = trainer_of(config_of(given, round(rate * 60 * minutes)), faces, labels=labels)
    begun = time.process_time()
    while time.process_time() - begun < 60 * minutes:
        trainer.train_batch()
    return trainer


def split(faces: FaceSet) -> tuple[FaceSet, FaceSet]:
    """Split a set into three quarters and one quarter of every class."""
    apart = np.zeros(len(faces), dtype=bool)
    for label in range(len(faces.classes)):
        rows = np.flatnonzero(faces.labels == label)
        apart[rows[: len(rows) // 4]] = True
    return part(faces, ~apart), part(faces, apart)


class Judge:
    """Measures fakes against reals and, for labelled sets, with a classifier."""

    def __init__(self, data: Data, root: Path) -> None:
        options = {name: data.options[name] for name in data.options if name != "flip"}
        self.faces = open_set(root / data.folder, **options, flag="--data")
        self.classifier: Classifier | None = None
        self.detector = None
        if data.held_out is not None:
            reals = open_set(root / data.held_out, **options, flag="--data")
            self.detector = FaceDetector()
        else:
            self.faces, reals = split(self.faces)
            self.classifier = trained(self.faces, reals)
        self.extractor = build_extractor("lite0", None, torch.device("cpu"))
        chosen = np.sort(np.random.RandomState(0).permutation(len(reals))[:REALS])
        self.reals = measure(of_array("reals", reals.images, chosen), self.extractor, self.detector)

    def of_reals(self) -> dict[str, Any]:
        """Measure images of the training set: the score of a perfect generator."""
        rows = np.random.RandomState(1).permutation(len(self.faces))[: len(self.reals)]
        return self.numbers(torch.from_numpy(self.faces.images[rows]).permute(0, 3, 1, 2))

    def numbers(self, pictures: Tensor) -> dict[str, Any]:
        """Measure images, uint8 [N, C, S, S], as many as there are reals."""
        drawn = Pictures("pictures", len(pictures), lambda at, count: pictures[at : at + count])
        fakes = measure(drawn, self.extractor, self.detector)
        numbers = compare(self.reals, fakes, self.extractor, seed=0)
        names = ("fd", "kid", "kid_std", "precision", "recall", "face_rate")
        verdict = self.classifier.judge(pictures) if self.classifier else {}
        return {name: getattr(numbers, name) for name in names} | verdict


def run(
    name: str,
    *,
    data: Path = Path("../shared/data"),
    work: Path,
    only: tuple[str, ...] = (),
    minutes: float | None = None,
) -> None:
    """Train and measure each cell that no process has claimed.

    Args:
        name: one of SETS.
        data: folder with the folders of the sets.
        work: folder for cells.jsonl, sheets, strips and claims.
        only: cells to run, each LOSS-NET.
        minutes: CPU minutes per cell; None takes the set's.
    """
    known("SET", (name,), SETS)
    chosen = SETS[name]
    known("--only", only, [f"{loss}-{net}" for loss, net in cells(chosen)])
    refuse(writable("--work", work))
    torch.set_num_threads(1)
    measured = {(row["loss"], row["net"]) for row in rows(name, work)}
    judge = None

    def due(loss: str, net: str) -> bool:
        return (loss, net) not in measured and claimed(work / f"{name}-{loss}-{net}.taken")

    def add(loss: str, net: str, **found: Any) -> None:
        add_row(work / FILE, {"set": name, "loss": loss, "net": net, "commit": commit(), **found})

    if not only and due(*REAL_IMAGES):
        judge = Judge(chosen, data)
        add(*REAL_IMAGES, **judge.of_reals())
    for loss, net in cells(chosen):
        if (only and f"{loss}-{net}" not in only) or not due(loss, net):
            continue
        given = options_of(chosen, loss, net)
        try:
            config_of(given)
        except UsageError as error:
            add(loss, net, refused=str(error))
            continue
        judge = judge or Judge(chosen, data)
        spent = minutes or chosen.minutes
        trainer = train(given, judge.faces, spent)
        pictures = samples(trainer, len(judge.reals))
        save_picture(grid(pictures[:64]), work / f"{name}-{loss}-{net}.png")
        strip = work / f"{name}-{loss}-{net}-strip.jpg"
        save_picture(grid(pictures[:SHOWN], SHOWN, 0), strip, quality=92)
        add(
            loss, net, pictures=trainer.step * trainer.config.batch_size, minutes=spent,
            netg=models.parameters_of(trainer.netg), netd=models.parameters_of(trainer.netd),
            **judge.numbers(pictures),
        )  # fmt: skip


# --- results


def rows(name: str, work: Path) -> list[dict[str, Any]]:
    """Return the results of a set so far, the reals first."""
    order = [REAL_IMAGES, *cells(SETS[name])]
    kept = [row for row in read_rows(work / FILE) if row["set"] == name]
    return sorted(kept, key=lambda row: order.index((row["loss"], row["net"])))


COLUMNS = {
    "pictures": ("pictures", "{:,}"),
    "fd": ("FD", "{:.0f}"),
    "kid": ("KID x 1000", "{:.0f}"),
    "precision": ("precision", "{:.2f}"),
    "recall": ("recall", "{:.2f}"),
    "face_rate": ("face rate", "{:.2f}"),
    "modes": ("modes", "{}"),
    "entropy": ("entropy", "{:.2f}"),
    "score": ("score", "{:.2f}"),
}


def markdown_of(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a table."""
    shown = [key for key in COLUMNS if any(row.get(key) is not None for row in found)]
    lines = []
    for row in found:
        first = [f"`{row['net']}`", f"`{row['loss']}`"]
        if "refused" in row:
            lines.append([*first, f"refused: {row['refused']}", *[""] * (len(shown) - 1)])
            continue
        values = {**row, "kid": 1000 * row["kid"]}
        cells = [COLUMNS[key][1].format(values[key]) if key in values else "-" for key in shown]
        lines.append([*first, *cells])
    return markdown(("network", "objective", *(COLUMNS[key][0] for key in shown)), lines)


def draw_sheet(name: str, work: Path, out: Path) -> None:
    """Write a sheet of each cell's first images: one column per network, one row per objective."""
    drawn = [row for row in rows(name, work) if "pictures" in row]
    nets = list(dict.fromkeys(row["net"] for row in drawn))
    losses = [loss for loss in OBJECTIVES if any(row["loss"] == loss for row in drawn)]
    size = SETS[name].options["image_size"]
    wide, high, top, left, gap = size * SHOWN // 2, 2 * size, 16, 70, 6
    page = Image.new("RGB", (left + len(nets) * (wide + gap), top + len(losses) * (high + gap)),
                     "white")  # fmt: skip
    pen = ImageDraw.Draw(page)
    for k, net in enumerate(nets):
        pen.text((left + k * (wide + gap), 2), net, fill="black")
    for k, loss in enumerate(losses):
        pen.text((2, top + k * (high + gap)), loss, fill="black")
    for row in drawn:
        x = left + nets.index(row["net"]) * (wide + gap)
        y = top + losses.index(row["loss"]) * (high + gap)
        with Image.open(work / f"{name}-{row['loss']}-{row['net']}-strip.jpg") as strip:
            page.paste(strip.crop((0, 0, wide, size)), (x, y))
            page.paste(strip.crop((wide, 0, 2 * wide, size)), (x, y + size))
    page.save(out, quality=88)


def table(name: str, *, work: Path = RESULTS, sheet: Path | None = None) -> None:
    """Print the results.

    Args:
        name: one of SETS.
        work: folder of a `run`.
        sheet: image file to write, from the strips in `work`.
    """
    known("SET", (name,), SETS)
    print(markdown_of(rows(name, work)))
    if sheet:
        draw_sheet(name, work, sheet)


if __name__ == "__main__":
    command.run(run, table)
