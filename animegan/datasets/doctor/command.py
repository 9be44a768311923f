"""The command `doctor`: check an existing set, report problems, optionally write a clean copy."""

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from animegan.core.errors import UsageError, refuse
from animegan.core.outputs import not_apart, writable, writable_file, writing_report
from animegan.core.parallel import spread
from animegan.data.decode import parse_background
from animegan.data.folder import find_pictures
from animegan.datasets.doctor import survey
from animegan.datasets.doctor.diagnosis import Diagnosis, diagnose
from animegan.datasets.doctor.report import write_report
from animegan.datasets.doctor.survey import Seen, Task
from animegan.datasets.quality import Limits
from animegan.datasets.sources import walk

logger = logging.getLogger(__name__)


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
            write_report(
                page, folder, seen, options.against, others, diagnosis, options.limits,
                options.background,
            )  # fmt: skip
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
