"""The command `doctor`: check an existing set, report problems, optionally write a clean copy."""

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from animegan.core import html
from animegan.core.errors import UsageError, refuse
from animegan.core.outputs import not_apart, writable, writable_file, writing_report
from animegan.core.parallel import spread
from animegan.data.decode import BrokenPicture, parse_background
from animegan.data.folder import find_pictures
from animegan.datasets.doctor import survey
from animegan.datasets.doctor.diagnosis import DROPPED, Diagnosis, diagnose
from animegan.datasets.doctor.survey import Seen, Task
from animegan.datasets.pictures import read_picture
from animegan.datasets.quality import Limits
from animegan.datasets.sources import walk

logger = logging.getLogger(__name__)

_SHOWN = 36


@dataclass(frozen=True)
class Options:
    """Options of `doctor`, named like the flags."""

    folder: str
    against: str | None = None
    fix: str | None = None  # folder for a copy without the problematic pictures
    report: str | None = None  # HTML file
    image_size: int | None = None  # check the pictures at this size
    background: str = "white"
    min_spread: float = Limits.min_spread
    min_colour: float = Limits.min_colour
    min_sharpness: float = Limits.min_sharpness
    min_detail: float = Limits.min_detail
    near: int = Limits.near
    num_workers: int = 4

    @property
    def limits(self) -> Limits:
        """The quality limits of pictures; there is no detector's score."""
        return Limits(
            min_score=0.0,
            min_size=self.image_size or 0,
            min_spread=self.min_spread,
            min_colour=self.min_colour,
            min_sharpness=self.min_sharpness,
            min_detail=self.min_detail,
            near=self.near,
        )


def doctor(
    options: Options,
    show: Callable[[Diagnosis], None] = lambda found: None,
) -> Diagnosis:
    """Check a folder without changing it.

    The caller prints `Diagnosis.lines()`, in `show`, which is called before anything is written;
    `.hurts` sets the exit code. Raises UsageError for invalid options, Ended if the report cannot
    be written.
    """
    _check(options)
    problems = writable_file("--report", Path(options.report)) if options.report else []
    if options.fix:
        problems += writable("--fix", Path(options.fix))
    refuse(problems)
    folder = Path(options.folder)
    seen = _survey(folder, options)
    if not seen:
        raise UsageError(f"DIR {folder}: holds no pictures; name a folder of pictures")
    others = _survey(Path(options.against), options) if options.against else []
    diagnosis = diagnose(seen, others, options.limits, _layout(folder))
    show(diagnosis)
    if options.fix is not None:
        kept = _copy(folder, Path(options.fix), seen, diagnosis)
        logger.info(f"{kept:,} of {len(seen):,} pictures copied to {options.fix}")
    if options.report is not None:
        page = Path(options.report)
        with writing_report(page):
            _write_report(page, options, seen, others, diagnosis)
        logger.info(f"report: {options.report}")
    return diagnosis


def _check(options: Options) -> None:
    problems = []
    folders = [("DIR", options.folder), ("--against", options.against)]
    for flag, name in folders:
        if name is not None and not Path(name).is_dir():
            fact = "is a file" if Path(name).exists() else "no such folder"
            problems.append(f"{flag} {name}: {fact}; give a folder of pictures")
    against = options.against
    if against is not None and Path(against).is_dir() and not _holds_pictures(Path(against)):
        problems.append(f"--against {against}: no pictures in it; give a folder of pictures")
    if options.fix is not None:
        fix = Path(options.fix)
        for flag, name in folders:
            if name is not None:
                problems += not_apart("--fix", fix, flag, Path(name))
        if fix.exists() and (not fix.is_dir() or any(fix.iterdir())):
            problems.append(f"--fix {fix}: is not empty; use a new folder")
    try:
        parse_background(options.background)
    except UsageError as error:
        problems += error.problems
    refuse(problems)


def _holds_pictures(folder: Path) -> bool:
    return any(entry.problem is None for entry in walk(folder, archives=False))


def _survey(folder: Path, options: Options) -> list[Seen]:
    broken: list[Seen] = []

    def tasks() -> Iterator[Task]:
        for entry in walk(folder, archives=False):
            if entry.problem is None and entry.path is not None:
                yield Task(entry.key, entry.path)
            elif entry.problem is not None and entry.problem[0] == "broken":
                broken.append(Seen(entry.key, entry.problem[1]))

    total = sum(entry.problem is None for entry in walk(folder, archives=False))
    settings = (options.image_size, options.background)
    results = spread(
        survey.look, tasks(), options.num_workers, survey.begin, settings, survey.crashed
    )
    seen = list(tqdm(results, total=total, unit="file", desc=folder.name, dynamic_ncols=True))
    return sorted(seen + broken, key=lambda picture: picture.key)


def _layout(folder: Path) -> list[str]:
    """Return the problems that `train` would report for the folder."""
    try:
        find_pictures(folder, "DIR")
    except UsageError as error:
        return [f"train rejects this folder: {problem}" for problem in error.problems]
    return []


def _copy(folder: Path, fix: Path, seen: list[Seen], diagnosis: Diagnosis) -> int:
    """Copy the pictures without problems under the same names; return their number."""
    kept = 0
    for picture, why in zip(seen, diagnosis.why, strict=True):
        if why is None:
            target = fix / picture.key
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / picture.key, target)
            kept += 1
    return kept


def _write_report(
    path: Path, options: Options, seen: list[Seen], others: list[Seen], diagnosis: Diagnosis
) -> None:
    folder = Path(options.folder)

    def picture(base: Path, key: str) -> Image.Image | None:
        try:
            return read_picture(key, base / key, 3, options.background)
        except BrokenPicture:
            return None

    def sheet(pictures: list[tuple[Path, str]], title: str) -> str:
        shown = [found for base, key in pictures if (found := picture(base, key)) is not None]
        return html.contact_sheet(shown, title)

    verdict = "Problems would hurt training" if diagnosis.hurts else "Ready for training"
    rows = [
        f"<tr><td class='n {'bad' if f.hurts else 'good'}'>{'hurts' if f.hurts else 'note'}</td>"
        f"<td>{html.text(f.words)}</td></tr>"
        for f in diagnosis.findings
    ]
    parts = [
        f"<p class={'bad' if diagnosis.hurts else 'good'}><b>{verdict}</b></p>",
        html.table(["", ""], diagnosis.facts),
        html.heading("Findings"),
        f"<table>{''.join(rows)}</table>" if rows else html.paragraph("None."),
        html.heading("Advice"),
        "<ul>" + "".join(f"<li>{html.text(line)}</li>" for line in diagnosis.advice) + "</ul>",
        html.heading("Measurements"),
        '<div class="row">',
        *_histograms(seen, options.limits),
        "</div>",
    ]
    for name in DROPPED[1:]:
        found = [(folder, p.key) for p, why in zip(seen, diagnosis.why, strict=True) if why == name]
        if found:
            parts += [
                html.heading(f"{name}: {len(found):,}"),
                sheet(found[:_SHOWN], name),
            ]
    for name in ("exact duplicate", "near duplicate"):
        pairs = [i for i, why in enumerate(diagnosis.why) if why == name]
        shown = [n for i in pairs[: _SHOWN // 2] for n in (i, int(diagnosis.like[i]))]
        if pairs:
            parts += [
                html.heading(f"{name}: {len(pairs):,}"),
                html.paragraph("In pairs: a picture, then the one it duplicates."),
                sheet([(folder, seen[n].key) for n in shown], name),
            ]
    leaks = np.flatnonzero(diagnosis.leak >= 0).tolist()
    if leaks and options.against is not None:
        both = [
            place
            for i in leaks[: _SHOWN // 2]
            for place in (
                (folder, seen[i].key),
                (Path(options.against), others[int(diagnosis.leak[i])].key),
            )
        ]
        parts += [
            html.heading(f"Also in {options.against}: {len(leaks):,}"),
            html.paragraph("In pairs: the picture in this set, then its match in the other."),
            sheet(both, "leaks"),
        ]
    if len(diagnosis.strange) >= 50:
        far = [(folder, seen[i].key) for i in diagnosis.strange[: _SHOWN // 3 * 2].tolist()]
        parts += [html.heading("Outliers"), sheet(far, "outliers")]
    broken = [(p.key, p.problem) for p in seen if p.problem]
    if broken:
        parts += [
            html.heading(f"broken: {len(broken):,}"),
            html.table(["file", "problem"], broken[:50]),
        ]
    html.write_page(path, f"doctor: {folder}", parts)


def _histograms(seen: list[Seen], limits: Limits) -> list[str]:
    sound = [picture for picture in seen if picture.measures is not None]
    measures = [picture.measures for picture in sound if picture.measures is not None]
    sides = np.array([float(picture.side) for picture in sound])
    columns = (
        ("luma spread (--min-spread)", [m.spread for m in measures], limits.min_spread),
        ("colour (--min-colour)", [m.colour for m in measures], limits.min_colour),
        ("sharpness (--min-sharpness)", [m.sharpness for m in measures], limits.min_sharpness),
        ("detail, dB (--min-detail)", [m.detail for m in measures], limits.min_detail),
    )
    return [
        html.histogram(sides, "short side, px", float(limits.min_size) or None),
        *(html.histogram(np.array(values), title, limit) for title, values, limit in columns),
    ]
