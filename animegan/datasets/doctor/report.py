"""The report of `doctor`: its findings, with the pictures that they are about."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from animegan.core import html
from animegan.data.decode import BrokenPicture, decode
from animegan.datasets.doctor.diagnosis import DROPPED, Diagnosis
from animegan.datasets.doctor.survey import Seen
from animegan.datasets.quality import Limits

_SHOWN = 36  # pictures per sheet
_NAMED = 50  # broken files listed


def write_report(
    path: Path, folder: Path, seen: Sequence[Seen], against: str | None, others: Sequence[Seen],
    diagnosis: Diagnosis, limits: Limits, background: str,
) -> None:  # fmt: skip
    """Write the report.

    Args:
        path: the page.
        folder: the set.
        seen: its surveyed pictures.
        against: the other set's folder, if there is one.
        others: the surveyed pictures of the other set.
        diagnosis: what was found.
        limits: the quality limits, for the histograms.
        background: colour laid under transparent pictures.
    """

    def sheet(files: Iterable[Path], title: str) -> str:
        pictures = (_read(file, background) for file in files)
        return html.contact_sheet([picture for picture in pictures if picture is not None], title)

    def of_set(rows: Iterable[int]) -> list[Path]:
        return [folder / seen[row].key for row in rows]

    hurts = diagnosis.hurts
    verdict = "Problems would hurt training" if hurts else "Ready for training"
    findings = [("hurts" if f.hurts else "note", f.words) for f in diagnosis.findings]
    parts = [
        html.paragraph(verdict, "bad" if hurts else "good"),
        html.table([], diagnosis.facts),
        html.heading("Findings"),
        html.table([], findings) if findings else html.paragraph("None."),
        html.heading("Advice"),
        html.bullets(diagnosis.advice),
        html.heading("Measurements"),
        html.row(_histograms(seen, limits)),
    ]
    for name in DROPPED[1:]:
        rows = [row for row, why in enumerate(diagnosis.why) if why == name]
        if rows:
            parts += [html.heading(f"{name}: {len(rows):,}"), sheet(of_set(rows[:_SHOWN]), name)]
    for name in ("exact duplicate", "near duplicate"):
        rows = [row for row, why in enumerate(diagnosis.why) if why == name]
        if rows:
            pairs = [n for row in rows[: _SHOWN // 2] for n in (row, int(diagnosis.like[row]))]
            parts += [
                html.heading(f"{name}: {len(rows):,}"),
                html.paragraph("In pairs: a picture, then the one it duplicates."),
                sheet(of_set(pairs), name),
            ]
    leaks = np.flatnonzero(diagnosis.leak >= 0).tolist()
    if leaks and against is not None:
        both = [
            file
            for row in leaks[: _SHOWN // 2]
            for file in (
                folder / seen[row].key, Path(against) / others[int(diagnosis.leak[row])].key
            )
        ]  # fmt: skip
        parts += [
            html.heading(f"Also in {against}: {len(leaks):,}"),
            html.paragraph("In pairs: the picture in this set, then its match in the other."),
            sheet(both, "leaks"),
        ]
    if len(diagnosis.strange) >= 50:
        far = of_set(diagnosis.strange[: _SHOWN // 3 * 2].tolist())
        parts += [html.heading("Outliers"), sheet(far, "outliers")]
    broken = [(picture.key, picture.problem) for picture in seen if picture.problem]
    if broken:
        parts += [
            html.heading(f"broken: {len(broken):,}"),
            html.table(["file", "problem"], broken[:_NAMED]),
        ]
    html.write_page(path, f"doctor: {folder}", parts)


def _read(file: Path, background: str) -> Image.Image | None:
    try:
        return decode(file, 3, background)
    except BrokenPicture:
        return None


def _histograms(seen: Sequence[Seen], limits: Limits) -> list[str]:
    sides = np.array([float(picture.side) for picture in seen if picture.measures is not None])
    measures = [picture.measures for picture in seen if picture.measures is not None]
    columns = (
        ("luma spread (--min-spread)", [m.spread for m in measures], limits.min_spread),
        ("colour (--min-colour)", [m.colour for m in measures], limits.min_colour),
        ("sharpness (--min-sharpness)", [m.sharpness for m in measures], limits.min_sharpness),
        ("detail, dB (--min-detail)", [m.detail for m in measures], limits.min_detail),
    )
    return [
        html.histogram("short side, px", {"pictures": sides}, float(limits.min_size) or None),
        *(
            html.histogram(title, {"pictures": np.array(values)}, limit)
            for title, values, limit in columns
        ),
    ]
