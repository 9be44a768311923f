"""Train every supported pair of objective and network for a few CPU minutes, and measure it.

    export OMP_NUM_THREADS=1
    python -m benchmarks.cells run faces --data ../shared/data --work /tmp/cells
    python -m benchmarks.cells table faces --work /tmp/cells --sheet docs/images/cells.jpg

`run` trains each cell missing from --work for a fixed CPU time (one thread), draws as many images
as there are held-out reals, at most 1,000, and measures them. Several processes may share a --work.
`table` prints the results as Markdown and puts the first images of every cell on one sheet.

Each cell uses its objective's published settings, fresh fakes for the generator's updates, nets of
width 32, and an EMA of 10,000 images. Projected discriminators have width 64, and their own rates,
betas, batch size and augmentation for all objectives. Faces are randomly mirrored; a quarter of the
digits and of CIFAR-10 is held out. The number of steps is planned from a trial of 5 s, so that
schedules end on time.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from animegan import models
from animegan.core.errors import UsageError
from animegan.core.images import grid, save_picture
from animegan.data.cache import FaceSet, open_set
from animegan.data.labels import Labels
from animegan.datasets.faces.detector import FaceDetector
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.measure import Pictures, measure, of_array
from animegan.evaluation.protocol import compare
from animegan.losses.objectives import OBJECTIVES
from animegan.models import FAMILIES
from animegan.training.step.gan_trainer import GanTrainer
from benchmarks.classifier import Classifier, trained
from benchmarks.training import commit, config_of, part, samples, speed, trainer_of

REALS = 1000
SHOWN = 8  # images per cell on the sheet
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
        known = {name: data.options[name] for name in data.options if name != "flip"}
        self.faces = open_set(root / data.folder, **known)
        self.classifier: Classifier | None = None
        self.detector = None
        if data.held_out is not None:
            reals = open_set(root / data.held_out, **known)
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
        told = compare(self.reals, fakes, self.extractor, seed=0)
        found: dict[str, Any] = {
            name: getattr(told, name)
            for name in ("fd", "kid", "kid_std", "precision", "recall", "face_rate")
        }
        if self.classifier is not None:
            found |= self.classifier.judge(pictures)
        return found


def run(name: str, root: Path, work: Path, only: list[str], minutes: float | None) -> None:
    """Train and measure each cell that no process has claimed."""
    data = SETS[name]
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    row: dict[str, Any]
    judge = None
    floor = work / f"{name}-reals.json"
    if not (only or floor.exists()) and claimed(floor.with_suffix(".taken")):
        judge = Judge(data, root)
        row = {"loss": "reals", "net": "-", "commit": commit(), **judge.of_reals()}
        floor.write_text(json.dumps(row) + "\n")
    for loss, net in cells(data):
        key = f"{loss}-{net}"
        path = work / f"{name}-{key}.json"
        if (only and key not in only) or path.exists() or not claimed(path.with_suffix(".taken")):
            continue
        row = {"loss": loss, "net": net, "commit": commit()}
        given = options_of(data, loss, net)
        try:
            config_of(given)
        except UsageError as error:
            row["refused"] = str(error)
        else:
            judge = judge or Judge(data, root)
            spent = minutes or data.minutes
            trainer = train(given, judge.faces, spent)
            pictures = samples(trainer, len(judge.reals))
            found = judge.numbers(pictures)
            save_picture(grid(pictures[:64]), work / f"{name}-{key}.png")
            strip = work / f"{name}-{key}-strip.jpg"
            save_picture(grid(pictures[:SHOWN], SHOWN, 0), strip, quality=92)
            seen = trainer.step * trainer.config.batch_size
            nets = {"netg": trainer.netg, "netd": trainer.netd}
            sizes = {kind: models.parameters_of(one) for kind, one in nets.items()}
            row |= {"pictures": seen, "minutes": spent, **sizes, **found}
        path.write_text(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def claimed(path: Path) -> bool:
    """Create a marker file; return False if it exists, because another process took the cell."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


# --- results


def rows(name: str, work: Path) -> Iterator[dict[str, Any]]:
    """Yield the results so far, the reals first."""
    floor = work / f"{name}-reals.json"
    if floor.exists():
        yield json.loads(floor.read_text())
    for loss, net in cells(SETS[name]):
        path = work / f"{name}-{loss}-{net}.json"
        if path.exists():
            yield json.loads(path.read_text())


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


def table(name: str, work: Path) -> str:
    found = list(rows(name, work))
    shown = [key for key in COLUMNS if any(row.get(key) is not None for row in found)]
    lines = ["| network | objective | " + " | ".join(COLUMNS[key][0] for key in shown) + " |"]
    lines.append("|---" * (2 + len(shown)) + "|")
    for row in found:
        start = f"| `{row['net']}` | `{row['loss']}` | "
        if "refused" in row:
            lines.append(start + f"refused: {row['refused']}" + " |" * len(shown))
            continue
        values = {**row, "kid": 1000 * row["kid"]}
        told = [COLUMNS[key][1].format(values[key]) if key in values else "-" for key in shown]
        lines.append(start + " | ".join(told) + " |")
    return "\n".join(lines)


def sheet(name: str, work: Path, out: Path) -> None:
    """Write a sheet of each cell's first images: one column per network, one row per objective."""
    found = [row for row in rows(name, work) if "pictures" in row]
    nets = list(dict.fromkeys(row["net"] for row in found))
    losses = [loss for loss in OBJECTIVES if any(row["loss"] == loss for row in found)]
    size = SETS[name].options["image_size"]
    wide, high, top, left, gap = size * SHOWN // 2, 2 * size, 16, 70, 6
    page = Image.new("RGB", (left + len(nets) * (wide + gap), top + len(losses) * (high + gap)),
                     "white")  # fmt: skip
    pen = ImageDraw.Draw(page)
    for k, net in enumerate(nets):
        pen.text((left + k * (wide + gap), 2), net, fill="black")
    for k, loss in enumerate(losses):
        pen.text((2, top + k * (high + gap)), loss, fill="black")
    for row in found:
        x = left + nets.index(row["net"]) * (wide + gap)
        y = top + losses.index(row["loss"]) * (high + gap)
        with Image.open(work / f"{name}-{row['loss']}-{row['net']}-strip.jpg") as strip:
            page.paste(strip.crop((0, 0, wide, size)), (x, y))
            page.paste(strip.crop((wide, 0, 2 * wide, size)), (x, y + size))
    page.save(out, quality=88)


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("what", choices=("run", "table"))
    ask.add_argument("set", choices=tuple(SETS))
    ask.add_argument("--data", type=Path, default=Path("../shared/data"))
    ask.add_argument("--work", type=Path, required=True)
    ask.add_argument("--only", nargs="*", default=[], metavar="LOSS-NET")
    ask.add_argument("--minutes", type=float, help="CPU minutes per cell (default: the set's)")
    ask.add_argument("--sheet", type=Path, help="with `table`: image file to write")
    asked = ask.parse_args()
    if asked.what == "run":
        run(asked.set, asked.data, asked.work, asked.only, asked.minutes)
        return
    print(table(asked.set, asked.work))
    if asked.sheet:
        sheet(asked.set, asked.work, asked.sheet)


if __name__ == "__main__":
    main()
