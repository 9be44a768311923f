"""An evaluation as a self-contained HTML file. It shows real faces: never publish it."""

import html
import io
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from animegan.core.files import write_text
from animegan.core.images import data_uri, grid
from animegan.evaluation.copying import Copying, closest_first
from animegan.evaluation.metrics import SAME_RMS
from animegan.evaluation.protocol import Evaluation, table

SHOWN = 64  # pictures per sheet
PAIRS = 24  # samples shown with their nearest training picture

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Evaluation of {title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem }}
pre {{ overflow-x: auto; padding: 1rem; background: #f4f4f4; color: #222; white-space: pre-wrap }}
img {{ max-width: 100%; display: block }}
.two {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }}
</style>
<h1>Evaluation of {title}</h1>
<pre>{table}</pre>
<p>This page shows real pictures. Do not publish it or commit it to a repository.</p>
<div class="two">
<section><h2>Samples</h2>{samples}<p>The first {shown}, not selected.</p></section>
<section><h2>Reals</h2>{reals}<p>{shown} of {against}.</p></section>
</div>
<h2>Nearest training pictures</h2>
{pairs}
<p>Each sample (left of a pair) with its nearest picture of {train}, by the extractor's features;
the picture is shown mirrored where it is nearer to the sample's mirror image. First half: the
samples nearest to a training picture. Second half: spread evenly up to the farthest.</p>
{histogram}
<p>Distance to the nearest training picture, for samples and for unseen reals ({unseen}). A
generator that copies lies to their left. {copied}</p>
<h2>Protocol</h2>
<pre>{protocol}</pre>
<p>Near-identical: 16 x 16 thumbnails that differ by less than {rms:g} of 255 levels (root mean
square); the number of samples that could be dropped.</p>
</html>
"""


def write_report(found: Evaluation, path: Path) -> None:
    """Write the report to `path` atomically, creating the folder if necessary."""
    shown = min(SHOWN, found.samples.count, found.reals.count)
    text = _PAGE.format(
        title=html.escape(found.samples.name), table=html.escape(table(found)), shown=shown,
        samples=_image(grid(found.samples.draw(0, shown)), "sheet of samples"),
        reals=_image(grid(found.reals.draw(0, shown)), "sheet of real pictures"),
        against=html.escape(found.reals.name), train=html.escape(found.train.name),
        pairs=_image(pairs_sheet(found), "samples next to their nearest training pictures"),
        histogram=_histogram(found.copying), unseen=html.escape(found.copying.unseen_are),
        copied=_share_of_copies(found.copying), rms=SAME_RMS,
        protocol=html.escape(json.dumps(found.protocol, indent=1)),
    )  # fmt: skip
    write_text(path, text)


def pairs_sheet(found: Evaluation) -> Tensor:
    """Return a sheet, uint8 [3, H, W], of samples next to their nearest training picture.

    Four pairs per row.
    """
    rows = closest_first(found.copying.samples, PAIRS)
    samples = found.samples.at(rows)
    nearest = found.train.at([int(found.copying.samples.rows[row]) for row in rows])
    mirrored = torch.from_numpy(found.copying.samples.mirrored[rows])
    nearest = torch.where(mirrored[:, None, None, None], nearest.flip(3), nearest)
    pairs = torch.cat([samples, _like(nearest, samples)], dim=3)
    return grid(pairs, columns=4, padding=4)


def _like(pictures: Tensor, others: Tensor) -> Tensor:
    """Return the pictures with the others' size and number of channels."""
    size = tuple(others.shape[2:])
    if tuple(pictures.shape[2:]) != size:
        small = F.interpolate(pictures.float(), size=size, mode="bilinear", antialias=True)
        pictures = small.round().to(torch.uint8)
    return pictures.expand(-1, others.shape[1], -1, -1)


def _image(sheet: Tensor, what: str) -> str:
    return f'<img alt="{html.escape(what)}" src="{data_uri(sheet)}">'


def _share_of_copies(found: Copying) -> str:
    """Return what the line in the histogram says, as HTML."""
    unseen = len(found.unseen) + found.left_out
    left_out = (
        f"{found.left_out:,} of {unseen:,} unseen reals are left out, because the training set has "
        "a near-identical picture, mirrored or not."
    )
    if found.copied is None:
        return f"{left_out} So there is no telling which samples are copies."
    return (
        f"{found.copied:.1%} of the samples lie on the line or to its left, as do 1&nbsp;% of the "
        f"unseen reals. {left_out}"
    )


def _histogram(found: Copying) -> str:
    """Plot both distributions of distances as an inline SVG."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    both = np.concatenate([found.samples.distances, found.unseen])
    edges = np.linspace(both.min(), both.max() + 1e-9, 61)
    for distances, name in ((found.samples.distances, "samples"), (found.unseen, "unseen reals")):
        share = np.full(len(distances), 1 / max(1, len(distances)))
        axes.hist(distances, edges.tolist(), weights=share, label=name, alpha=0.55)
    if found.near is not None:
        axes.axvline(found.near, color="black", linewidth=1)
    axes.set_xlabel("distance to the nearest training picture")
    axes.set_ylabel("share")
    axes.legend()
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]
