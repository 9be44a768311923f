"""Measure how often a conditional generator draws the requested digit.

    export OMP_NUM_THREADS=1
    python -m benchmarks.quality.conditional --data ../shared/data --work W

For each --condition, a DCGAN as in `benchmarks.quality.cells` trains on three quarters of the
digits, labelled by their folders, for a fixed CPU time (one thread). It then draws the same number
of images of each class, which a classifier trained on the same digits classifies. `deviation` is
the standard deviation of pixels over the images of one class, in grey levels, averaged over pixels
and classes; it falls if a class loses diversity. The first row is for the held-out quarter. Prints
Markdown. The sheet has a row per class with the first, unselected images of each condition side by
side.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from animegan.core.errors import refuse
from animegan.core.images import grid, save_picture, to_uint8
from animegan.core.outputs import writable
from animegan.data.face_set import FaceSet, open_set
from animegan.data.labels import Labels, from_classes
from animegan.generation.candidates import Noise
from animegan.losses.objectives import OBJECTIVES
from animegan.models.conditioning import CONDITIONS
from animegan.training.step.gan_trainer import GanTrainer
from benchmarks.harness.command import known, run
from benchmarks.harness.table import line, markdown
from benchmarks.harness.training import commit
from benchmarks.quality.cells import ALIKE, SETS, split, train
from benchmarks.quality.classifier import Classifier, trained

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


def row_of(name: str, seen: str, verdict: Obeyed) -> str:
    """Return a line of the table."""
    label, least = verdict.worst
    share, deviation = f"{verdict.share:.1%}", f"{verdict.deviation:.0f}"
    return line((name, seen, share, f"{label}: {least:.1%}", deviation))


def main(
    *, data: Path = Path("../shared/data"), minutes: float = 4.0, loss: str = "bce", work: Path
) -> None:
    """Print the table and write the sheet to `work`/conditional.jpg.

    Args:
        data: folder with the folder of digits.
        minutes: CPU minutes per condition.
        loss: objective of all conditions.
        work: folder for the sheet.
    """
    known("--loss", (loss,), OBJECTIVES)
    refuse(writable("--work", work))
    torch.set_num_threads(1)
    digits = SETS["digits"]
    faces, aside = split(open_set(data / digits.folder, **digits.options, flag="--data"))
    classifier = trained(faces, aside)
    of_class = [aside.images[aside.labels == label] for label in range(len(aside.classes))]
    reals = [torch.from_numpy(images).permute(0, 3, 1, 2) for images in of_class]
    print(f"commit {commit()}, {loss}, {minutes:g} CPU minutes each\n")
    print(markdown(("condition", "images", "as requested", "worst class", "deviation"), ()))
    print(row_of("reals", "-", judged(reals, aside.classes, classifier)), flush=True)
    columns = []
    for condition in CONDITIONS:
        labelled = {"labels": "folders", "condition": condition, "loss": loss}
        trainer = train({**digits.options, **ALIKE, **labelled}, faces, minutes, labels_of(faces))
        pictures = drawn(trainer, len(faces.classes))
        verdict = judged(list(pictures), faces.classes, classifier)
        seen = f"{trainer.step * trainer.config.batch_size:,}"
        print(row_of(f"`{condition}`", seen, verdict), flush=True)
        columns.append(pictures[:, :SHOWN])
    shown = torch.cat(columns, 1)
    sheet = work / "conditional.jpg"
    save_picture(grid(shown.flatten(0, 1), shown.shape[1]), sheet, quality=92)


if __name__ == "__main__":
    run(main)
