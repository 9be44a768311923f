"""The report of `prepare`: which faces were kept and dropped, and why."""

import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animegan.core import html
from animegan.datasets.prepare.manifest import FaceRecord, SourceRecord
from animegan.datasets.prepare.select import OF_FACES, REASONS, Selection
from animegan.datasets.quality import Limits

_SHOWN = 48  # faces per sheet
_NAMED = 12  # sources listed per reason


@dataclass(frozen=True)
class Limit:
    """A measure: the reason for dropping, the option of its limit, a description."""

    reason: str
    option: str
    words: str
    of: Callable[[FaceRecord], float]
    value: Callable[[Limits], float]


LIMITS = (
    Limit("too small", "min-size", "side of the crop in the source, px",
          lambda f: f.square.side, lambda x: x.min_size),
    Limit("low score", "min-score", "the detector's confidence",
          lambda f: f.score, lambda x: x.min_score),
    Limit("uniform", "min-spread", "standard deviation of the luma",
          lambda f: f.measures.spread, lambda x: x.min_spread),
    Limit("grey", "min-colour", "mean of max(R, G, B) - min(R, G, B)",
          lambda f: f.measures.colour, lambda x: x.min_colour),
    Limit("blurred", "min-sharpness", "variance of the Laplacian / variance",
          lambda f: f.measures.sharpness, lambda x: x.min_sharpness),
    Limit("upscaled", "min-detail", "power of the highest frequencies, dB",
          lambda f: f.measures.detail, lambda x: x.min_detail),
)  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Numbers of sources and faces, and of dropped ones by reason."""

    sources: int
    pictures: int
    faces: int
    kept: int
    held_out: int
    reasons: Counter[str]

    @property
    def to_train_on(self) -> int:
        """Number of faces that were kept and not held out."""
        return self.kept - self.held_out

    def lines(self) -> list[str]:
        """Return the counts as lines of text."""
        lines = [
            f"{self.sources:,} files, {self.pictures:,} pictures, {self.faces:,} faces: "
            f"{self.to_train_on:,} to train on, {self.held_out:,} held out"
        ]
        dropped = [f"  {name}: {self.reasons[name]:,}" for name in REASONS if self.reasons[name]]
        return lines + (["dropped:", *dropped] if dropped else [])


def count(records: Iterable[SourceRecord], selection: Selection, held_out: int) -> Counts:
    """Count sources by their problem and faces by their reason."""
    reasons: Counter[str] = Counter()
    sources = pictures = 0
    for record in records:
        sources += 1
        if record.problem is not None:
            reasons[record.problem[0]] += 1
        pictures += record.size != (0, 0)
    for code, times in zip(*np.unique(selection.reason, return_counts=True), strict=True):
        if code >= 0:
            reasons[REASONS[code]] += int(times)
    kept = len(selection.kept)
    return Counts(sources, pictures, len(selection.reason), kept, held_out, reasons)


def write_report(
    path: Path,
    records: Callable[[], Iterable[SourceRecord]],
    selection: Selection,
    limits: Limits,
    counts: Counts,
    crops: Path,
    command: str,
) -> None:
    """Write the report; `records()` starts a new pass over the records and is called twice."""
    values, examples = _survey(records())
    sheets = _choose_sheets(values, selection, limits)
    files = _files(records(), {face for _, _, faces in sheets for face in faces})
    parts = [
        html.paragraph(counts.lines()[0] + "."),
        html.paragraph("Created by"),
        html.code(command, block=True),
        html.heading("Why faces and pictures were dropped"),
        html.table(
            ["reason", "dropped", "option"],
            [
                (name, counts.reasons[name], _option(name, limits))
                for name in REASONS
                if counts.reasons[name]
            ],
        ),
        html.heading("Measurements"),
        html.paragraph(
            "All detected faces; the line is the limit. To try other limits, run the same command "
            "again: faces are not detected again."
        ),
        html.row(
            html.histogram(
                f"{limit.words} (--{limit.option})", {"faces": column}, limit.value(limits)
            )
            for limit, column in zip(LIMITS, values, strict=True)
        ),
    ]
    for title, note, faces in sheets:
        shown = [picture for face in faces if (picture := _open(crops / files[face])) is not None]
        parts += [html.heading(title), html.paragraph(note), html.contact_sheet(shown, title)]
    for name in REASONS:
        if name in examples and name not in OF_FACES:
            parts += [
                html.heading(f"Sources: {name}"),
                html.table(["source", "problem"], examples[name]),
            ]
    html.write_page(path, "What prepare kept and dropped", parts)


def _survey(
    records: Iterable[SourceRecord],
) -> tuple[list[NDArray[np.float64]], dict[str, list[tuple[str, str]]]]:
    """Return the six measures of every face, and the first sources with each problem."""
    columns = [array("d") for _ in LIMITS]
    examples: dict[str, list[tuple[str, str]]] = {}
    for record in records:
        if record.problem is not None:
            some = examples.setdefault(record.problem[0], [])
            if len(some) < _NAMED:
                some.append((record.key, record.problem[1]))
        for face in record.faces:
            for column, limit in zip(columns, LIMITS, strict=True):
                column.append(limit.of(face))
    return [np.array(column) for column in columns], examples


def _choose_sheets(
    values: list[NDArray[np.float64]], selection: Selection, limits: Limits
) -> list[tuple[str, str, list[int]]]:
    """Return the title, note and faces of each sheet."""
    kept = selection.kept.tolist()
    some = random.Random(0).sample(kept, min(len(kept), _SHOWN))
    sheets = [(f"Kept: {len(kept):,}", f"A random sample of {len(some)}.", sorted(some))]
    for limit, column in zip(LIMITS, values, strict=True):
        dropped = np.flatnonzero(selection.reason == REASONS.index(limit.reason))
        if not len(dropped):
            continue
        nearest = dropped[np.argsort(-column[dropped], kind="stable")][:_SHOWN]
        note = f"Below --{limit.option} {limit.value(limits):g} ({limit.words}); closest first."
        sheets.append((f"Dropped as {limit.reason}: {len(dropped):,}", note, nearest.tolist()))
        close = selection.kept[np.argsort(column[selection.kept], kind="stable")][:12]
        sheets.append((f"Kept, but closest to {limit.reason}", "Closest first.", close.tolist()))
    for reason in ("exact duplicate", "near duplicate"):
        dropped = np.flatnonzero(selection.reason == REASONS.index(reason))[: _SHOWN // 2]
        if len(dropped):
            pairs = [n for face in dropped for n in (int(face), int(selection.instead[face]))]
            number = int((selection.reason == REASONS.index(reason)).sum())
            note = "In pairs: the dropped face, then the one it duplicates."
            sheets.append((f"Dropped as {reason}: {number:,}", note, pairs))
    return sheets


def _files(records: Iterable[SourceRecord], wanted: set[int]) -> dict[int, str]:
    """Return the crop's file name of each of the wanted faces."""
    files, number = {}, 0
    for record in records:
        for face in record.faces:
            if number in wanted:
                files[number] = face.file
            number += 1
    return files


def _option(reason: str, limits: Limits) -> str:
    if reason == "near duplicate":
        return f"--near {limits.near}"
    for limit in LIMITS:
        if limit.reason == reason:
            return f"--{limit.option} {limit.value(limits):g}"
    return ""


def _open(path: Path) -> Image.Image | None:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()
            return picture
    except OSError:
        return None
