"""The command `doctor`: check an existing set, report problems, optionally write a clean copy."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from animegan.core.errors import UsageError, reason, refuse
from animegan.core.files import open_regular, sweep, write_text
from animegan.core.outputs import not_apart, writable, writable_file, writing_report
from animegan.core.parallel import spread
from animegan.data.decode import parse_background
from animegan.data.folder import Contents, find_pictures, scan
from animegan.datasets.doctor import survey
from animegan.datasets.doctor.diagnosis import Diagnosis, diagnose
from animegan.datasets.doctor.report import write_report
from animegan.datasets.doctor.survey import Seen, Task
from animegan.datasets.filling import Filling
from animegan.datasets.quality import Limits
from animegan.datasets.targets import Targets

logger = logging.getLogger(__name__)

_NOTE = ".doctor.json"  # in the folder of --fix, until it is complete


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
    show: Callable[[Diagnosis], None] = lambda diagnosis: None,
) -> Diagnosis:
    """Check a folder without changing it.

    The caller prints `Diagnosis.lines()`, in `show`, which is called once the copy and the report
    are written, or could not be; `.hurts` sets the exit code. Raises UsageError for invalid
    options, Ended if the report cannot be written.
    """
    _check(options)
    problems = writable_file("--report", Path(options.report)) if options.report else []
    if options.fix:
        problems += writable("--fix", Path(options.fix))
    refuse(problems)
    folder = Path(options.folder)
    contents = scan(folder)
    seen = _survey(folder, contents, options)
    if not seen:
        raise UsageError(f"DIR {folder}: holds no pictures; name a folder of pictures")
    against = Path(options.against) if options.against else None
    others = _survey(against, scan(against), options) if against else []
    diagnosis = diagnose(seen, others, options.limits, _layout(folder), contents.left_words())
    try:
        if options.report is not None:
            page = Path(options.report)
            with writing_report(page):
                write_report(
                    page, folder, seen, options.against, others, diagnosis, options.limits,
                    options.background,
                )  # fmt: skip
            logger.info(f"report: {options.report}")
        if options.fix is not None:
            _fix(folder, Path(options.fix), options, seen, diagnosis)
    finally:
        show(diagnosis)
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
            problems += _not_ours(fix, options)
    try:
        parse_background(options.background)
    except UsageError as error:
        problems += error.problems
    refuse(problems)


def _holds_pictures(folder: Path) -> bool:
    return bool(scan(folder).pictures)


def _survey(folder: Path, contents: Contents, options: Options) -> list[Seen]:
    broken = [Seen(name or ".", f"folder: {why}") for name, why in contents.unreadable]
    tasks = (Task(name, folder / name) for name in contents.pictures)
    settings = (options.image_size, options.background)
    results = spread(
        survey.look, tasks, options.num_workers, survey.begin, settings, survey.crashed
    )
    total = len(contents.pictures)
    seen = list(tqdm(results, total=total, unit="file", desc=folder.name, dynamic_ncols=True))
    return sorted(seen + broken, key=lambda picture: picture.key)


def _layout(folder: Path) -> list[str]:
    """Return the problems that `train` would report for the folder."""
    try:
        find_pictures(folder, "DIR")
    except UsageError as error:
        return [f"train rejects this folder: {problem}" for problem in error.problems]
    return []


def request(options: Options) -> dict[str, object]:
    """Return what decides which pictures --fix copies, for the note in its folder."""
    return {
        "folder": str(Path(options.folder).resolve()),
        "against": options.against and str(Path(options.against).resolve()),
        "limits": [str(options.limits), options.background],
    }


def _not_ours(fix: Path, options: Options) -> list[str]:
    """Return the problem of a folder that is in use; one that this very call began may go on."""
    if not fix.is_dir():
        return [f"--fix {fix}: is a file; use a new folder"]
    try:
        note = json.loads((fix / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return [f"--fix {fix}: is not empty; use a new folder"]
    if note != request(options):
        return [f"--fix {fix}: was begun with other options; repeat those, or use a new folder"]
    return []


def _fix(folder: Path, fix: Path, options: Options, seen: list[Seen], diagnosis: Diagnosis) -> None:
    """Copy the pictures without problems under the same names, made portable.

    A note says whose folder it is until all are there, so that the same call can go on with it.
    """
    write_text(fix / _NOTE, json.dumps(request(options)))
    filling, targets = Filling(fix), Targets(as_they_are=True)
    for part in (fix, *(path for path in fix.rglob("*") if path.is_dir())):
        sweep(part)
    for picture, why in zip(seen, diagnosis.why, strict=True):
        if why is not None:
            continue
        try:
            with open_regular(folder / picture.key) as file:
                content = file.read()
        except OSError as error:  # gone or locked since it was examined
            logger.info(f"not copied: {picture.key}: {reason(error)}")
            continue
        filling.write(targets.place(picture.key), content)
    (fix / _NOTE).unlink()
    there = filling.count - filling.new
    also = f", {there:,} of them by an earlier call" if there else ""
    logger.info(f"{filling.count:,} of {len(seen):,} pictures copied to {fix}{also}")
    if words := targets.words():
        logger.info(words)
