"""Measure how often a conditional generator draws the requested digit.

    export OMP_NUM_THREADS=1
    python -m benchmarks.conditional --data ../shared/data --sheet docs/images/conditional.jpg

For each --condition, a DCGAN as in `benchmarks.cells` trains on three quarters of the digits,
labelled by their folders, for a fixed CPU time (one thread). It then draws the same number of
images of each class, which a classifier trained on the same digits classifies. `deviation` is the
standard deviation of pixels over the images of one class, in grey levels, averaged over pixels and
classes; it falls if a class loses diversity. The first row is for the held-out quarter. Prints
Markdown. The sheet has a row per class with the first, unselected images of each condition side by
side.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from animegan.core.images import grid, save_picture, to_uint8
from animegan.data.cache import FaceSet, open_set
from animegan.data.labels import Labels, from_classes
from animegan.generation.generate import Noise
from animegan.losses.objectives import OBJECTIVES
from animegan.models.layers import CONDITIONS
from animegan.training.step.gan_trainer import GanTrainer
from benchmarks.cells import ALIKE, SETS, split, train
from benchmarks.classifier import Classifier, trained
from benchmarks.training import commit

EACH = 200  # images per class
SHOWN = 8  # images per class on the sheet


@dataclass(frozen=True)
class Obeyed:
    """A classifier's verdict on images requested by class."""

    share: float  # classified as requested
    worst: tuple[str, float]  # the class with the smallest share, and that share
    deviation: float


def labels_of(faces: FaceSet) -> Labels:
    """Return a set's classes as labels."""
    rows = torch.from_numpy(faces.labels).unsqueeze(1)
    return Labels(from_classes(faces.classes), rows, faces.files)


def drawn(trainer: GanTrainer, classes: int) -> Tensor:
    """Return images uint8 [classes, EACH, C, S, S], with the same noise for each class."""
    noise = Noise(0, trainer.config.nz)(range(EACH))
    asked = (torch.full((EACH, 1), label) for label in range(classes))
    return torch.stack([to_uint8(trainer.sample(noise, labels)) for labels in asked])


def judged(pictures: list[Tensor], classes: tuple[str, ...], classifier: Classifier) -> Obeyed:
    """Classify images, one tensor uint8 [N, C, S, S] per class, in order."""
    right = [
        float((classifier.probabilities(some).argmax(1) == label).double().mean())
        for label, some in enumerate(pictures)
    ]
    worst = min(range(len(classes)), key=right.__getitem__)
    spread = [float(some.double().std(0).mean()) for some in pictures]
    return Obeyed(
        sum(right) / len(right), (classes[worst], right[worst]), sum(spread) / len(spread)
    )


def line(name: str, seen: str, told: Obeyed) -> str:
    label, least = told.worst
    return f"| {name} | {seen} | {told.share:.1%} | {label}: {least:.1%} | {told.deviation:.0f} |"


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--data", type=Path, default=Path("../shared/data"))
    ask.add_argument("--minutes", type=float, default=4.0, help="CPU minutes per condition")
    ask.add_argument("--loss", choices=tuple(OBJECTIVES), default="bce")
    ask.add_argument("--sheet", type=Path)
    words = ask.parse_args()
    torch.set_num_threads(1)
    data = SETS["digits"]
    faces, aside = split(open_set(words.data / data.folder, **data.options))
    classifier = trained(faces, aside)
    of_class = [aside.images[aside.labels == label] for label in range(len(aside.classes))]
    reals = [torch.from_numpy(some).permute(0, 3, 1, 2) for some in of_class]
    print(f"commit {commit()}, {words.loss}, {words.minutes:g} CPU minutes each\n")
    print("| condition | images | as requested | worst class | deviation |")
    print("|---|---|---|---|---|")
    print(line("reals", "-", judged(reals, aside.classes, classifier)), flush=True)
    columns = []
    for condition in CONDITIONS:
        labelled = {"labels": "folders", "condition": condition, "loss": words.loss}
        given = {**data.options, **ALIKE, **labelled}
        trainer = train(given, faces, words.minutes, labels_of(faces))
        pictures = drawn(trainer, len(faces.classes))
        told = judged(list(pictures), faces.classes, classifier)
        seen = f"{trainer.step * trainer.config.batch_size:,}"
        print(line(f"`{condition}`", seen, told), flush=True)
        columns.append(pictures[:, :SHOWN])
    if words.sheet:
        shown = torch.cat(columns, 1)
        save_picture(grid(shown.flatten(0, 1), shown.shape[1]), words.sheet, quality=92)


if __name__ == "__main__":
    main()
