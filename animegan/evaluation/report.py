"""An evaluation as a self-contained HTML file. It shows real faces: never publish it."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from animegan.core import html
from animegan.core.images import grid, to_pil
from animegan.evaluation.copying import Copying, closest_first
from animegan.evaluation.metrics import SAME_RMS
from animegan.evaluation.protocol import Evaluation
from animegan.evaluation.table import notes, rows, title

SHOWN = 64  # pictures per sheet
PAIRS = 24  # samples shown with their nearest training picture


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write the report to `path` atomically, creating the folder if necessary."""
    samples, reals, copying = evaluation.samples, evaluation.reals, evaluation.copying
    shown = min(SHOWN, samples.count, reals.count)
    parts = [
        html.paragraph(f"{title(evaluation)}."),
        html.paragraph("This page shows real pictures. Do not publish it.", "bad"),
        html.table(["", "samples", "floor", "better", "note"], rows(evaluation)),
        html.bullets(notes(evaluation)),
        html.row([
            html.section(
                html.heading("Samples"), _sheet(grid(samples.draw(0, shown)), "sheet of samples"),
                html.paragraph(f"The first {shown}, not selected."),
            ),
            html.section(
                html.heading("Reals"), _sheet(grid(reals.draw(0, shown)), "sheet of real pictures"),
                html.paragraph(f"{shown} of {reals.name}."),
            ),
        ]),
        html.heading("Nearest training pictures"),
        _sheet(pairs_sheet(evaluation), "samples next to their nearest training pictures"),
        html.paragraph(
            f"Each sample (left of a pair) with its nearest picture of {evaluation.train.name}, by "
            "the extractor's features; the picture is shown mirrored where it is nearer to the "
            "sample's mirror image. First half: the samples nearest to a training picture. Second "
            "half: spread evenly up to the farthest."
        ),
        html.histogram(
            "distance to the nearest training picture",
            {"samples": copying.samples.distances, "unseen reals": copying.unseen},
            copying.near,
        ),
        html.paragraph(
            f"The unseen reals: {copying.unseen_are}. A generator that copies lies to their left. "
            + _share_of_copies(copying)
        ),
        html.heading("Protocol"),
        html.code(json.dumps(evaluation.record(), indent=1), block=True),
        html.paragraph(
            f"Near-identical: 16 x 16 thumbnails that differ by less than {SAME_RMS:g} of 255 "
            "levels (root mean square); the number of samples that could be dropped."
        ),
    ]  # fmt: skip
    html.write_page(path, f"Evaluation of {samples.name}", parts)


def pairs_sheet(evaluation: Evaluation) -> Tensor:
    """Return a sheet, uint8 [3, H, W], of samples next to their nearest training picture.

    Four pairs per row.
    """
    nearest = evaluation.copying.samples
    chosen = closest_first(nearest, PAIRS)
    samples = evaluation.samples.at(chosen)
    train = evaluation.train.at([int(nearest.rows[row]) for row in chosen])
    mirrored = torch.from_numpy(nearest.mirrored[chosen])
    train = torch.where(mirrored[:, None, None, None], train.flip(3), train)
    pairs = torch.cat([samples, _like(train, samples)], dim=3)
    return grid(pairs, columns=4, padding=4)


def _like(pictures: Tensor, others: Tensor) -> Tensor:
    """Return the pictures with the others' size and number of channels."""
    size = tuple(others.shape[2:])
    if tuple(pictures.shape[2:]) != size:
        small = F.interpolate(pictures.float(), size=size, mode="bilinear", antialias=True)
        pictures = small.round().to(torch.uint8)
    return pictures.expand(-1, others.shape[1], -1, -1)


def _sheet(pixels: Tensor, alt: str) -> str:
    return html.image(to_pil(pixels), alt)


def _share_of_copies(copying: Copying) -> str:
    """Say what the line in the histogram means."""
    unseen = len(copying.unseen) + copying.left_out
    left_out = (
        f"{copying.left_out:,} of {unseen:,} unseen reals are left out, because the training set "
        "has a near-identical picture, mirrored or not."
    )
    if copying.copied is None:
        return f"{left_out} So there is no telling which samples are copies."
    return (
        f"{copying.copied:.1%} of the samples lie on the line or to its left, as do 1 % of the "
        f"unseen reals. {left_out}"
    )
