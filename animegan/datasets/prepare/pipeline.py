"""The command `prepare`: from pictures to train/, heldout/, manifest.jsonl and report.html."""

import logging
import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from animegan.core.errors import UsageError, refuse
from animegan.core.files import aside
from animegan.core.locks import Held, lock
from animegan.core.outputs import not_apart, writable
from animegan.core.parallel import spread
from animegan.core.program import command_line
from animegan.data.decode import parse_background
from animegan.datasets.archives import DamagedMember, Entry, is_archive
from animegan.datasets.prepare.examine import Cutting, Job, Searching, begin, examine
from animegan.datasets.prepare.manifest import Journal, SourceRecord, key_hash
from animegan.datasets.prepare.publish import places, publish, write_manifest
from animegan.datasets.prepare.report import Counts, count, write_report
from animegan.datasets.prepare.select import Selection, select
from animegan.datasets.prepare.split import held_out
from animegan.datasets.quality import Limits
from animegan.datasets.sources import count as count_entries
from animegan.datasets.sources import walk

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Options of `prepare`, named like the flags."""

    src: str
    out: str
    image_size: int = 96
    native: bool = False  # keep each crop's own size
    channels: int = 3
    background: str = "white"
    detect: bool = True  # False takes the central square of every picture
    cascade: str | None = None
    margin: float = 0.2
    upright: bool = False
    min_size: int | None = None  # None means image_size, so that nothing is enlarged
    min_score: float = Limits.min_score
    min_spread: float = Limits.min_spread
    min_colour: float = Limits.min_colour
    min_sharpness: float = Limits.min_sharpness
    min_detail: float = Limits.min_detail
    near: int = Limits.near
    classes: str = "one"
    heldout: float = 0.1
    seed: int = 0
    num_workers: int = 4

    @property
    def limits(self) -> Limits:
        """The quality limits of faces."""
        return Limits(
            min_score=self.min_score,
            min_size=self.image_size if self.min_size is None else self.min_size,
            min_spread=self.min_spread,
            min_colour=self.min_colour if self.channels == 3 else 0.0,
            min_sharpness=self.min_sharpness,
            min_detail=self.min_detail,
            near=self.near,
        )

    @property
    def cutting(self) -> Cutting:
        """How faces are cropped."""
        size = None if self.native else self.image_size
        margin = self.margin if self.detect else 0.0
        upright = self.upright and self.detect
        return Cutting(size, margin, upright, self.channels, self.background)

    @property
    def searching(self) -> Searching:
        """How faces are detected."""
        smallest = max(24, round(self.limits.min_size / (1 + 2 * self.margin)))
        return Searching(self.detect, self.cascade, smallest if self.detect else 0)


def prepare(options: Options, command: str = "") -> Counts:
    """Run the whole pipeline.

    Running it again after an interruption continues it: pictures in the journal are not processed
    again.

    Args:
        options: what to do.
        command: the command line, for the report.

    Returns:
        The numbers of pictures and faces; the caller prints `Counts.lines()`.

    Raises:
        UsageError: invalid options, before any work, or another `prepare` is writing to --out.
    """
    source, out = Path(options.src), Path(options.out)
    _check(options, source, out)
    work = out / ".prepare"
    refuse(writable("--out", out))
    work.mkdir(exist_ok=True)
    try:
        with lock(work / "lock"), Journal(work / "journal.jsonl") as journal:
            _claim(source, out, journal)
            order = _search(options, source, out, journal)
            return _finish(options, out, journal, order, command)
    except Held as error:
        raise UsageError(f"--out {out}: another prepare is writing to it; wait for it") from error


def _check(options: Options, source: Path, out: Path) -> None:
    problems = []
    if not source.exists():
        problems.append(f"SRC {source}: no such folder or archive")
    elif not source.is_dir() and not (source.is_file() and is_archive(source.name)):
        problems.append(f"SRC {source}: must be a folder, or a zip or tar archive")
    problems += not_apart("--out", out, "SRC", source)
    if out.exists() and not out.is_dir():
        problems.append(f"--out {out}: is a file; use a folder")
    elif out.is_dir() and not (out / ".prepare").is_dir() and any(out.iterdir()):
        problems.append(f"--out {out}: contains other files; use a new or empty folder")
    if options.cascade is not None and not options.detect:
        problems.append(f"--cascade {options.cascade}: not used with --no-detect; omit one")
    if options.cascade is not None and options.upright:
        problems.append("--upright: a cascade does not find eyes; omit --cascade or --upright")
    for check in (
        lambda: parse_background(options.background),
        lambda: options.searching.detector(),
    ):
        try:
            check()
        except UsageError as error:
            problems += error.problems
    refuse(problems)


def _claim(source: Path, out: Path, journal: Journal) -> None:
    """Note the source in `out`; UsageError if `out` holds the set made from another one.

    A source that was moved is known by its pictures: the journal has one under the same name and
    with the same size and time.
    """
    note, here = out / ".prepare" / "source", os.path.realpath(source)
    before = os.fsdecode(note.read_bytes()) if note.exists() else ""
    if before == here:
        return
    if len(journal) and (os.path.exists(before) or not _is_known(source, out, journal)):
        made_from = before or "another source"
        raise UsageError(f"--out {out}: contains the set made from {made_from}; use another folder")
    with aside(note) as half:
        half.write_bytes(os.fsencode(here))


def _is_known(source: Path, out: Path, journal: Journal) -> bool:
    return any(
        entry.stamp and (known := journal.get(entry.key)) is not None and known.stamp == entry.stamp
        for entry in walk(source, without=out)
    )


def _search(options: Options, source: Path, out: Path, journal: Journal) -> "array[int]":
    """Update the journal; return the key hashes of all sources in the order of `walk`."""
    order = array("Q")
    searching, cutting = options.searching, options.cutting
    search = searching.fingerprint
    crops = out / ".prepare" / "crops"
    total = count_entries(source, without=out)

    def plain(entry: Entry, problem: tuple[str, str]) -> SourceRecord:
        return SourceRecord(
            entry.key, entry.folder, entry.stamp, search, searching.smallest,
            cutting.fingerprint, problem=problem,
        )  # fmt: skip

    def crashed(job: Job) -> SourceRecord:
        entry = Entry(job.key, job.stamp)
        return plain(entry, ("broken", "the process that read it died"))

    with tqdm(total=total, unit="file", desc="prepare", dynamic_ncols=True) as bar:

        def jobs() -> Iterator[Job]:
            for entry in walk(source, without=out):
                order.append(key_hash(entry.key))
                known = journal.get(entry.key)
                if entry.problem is not None:
                    if known is None or known.problem != entry.problem:
                        journal.add(plain(entry, entry.problem))
                    bar.update()
                    continue
                if known is not None and known.stamp != entry.stamp:
                    known = None
                if known is not None and known.search != search:
                    known = None
                if known is not None and known.smallest > searching.smallest:
                    known = None
                if known is not None and _is_done(known, cutting, crops):
                    bar.update()
                    continue
                try:
                    content = entry.read() if entry.read is not None else entry.path
                except DamagedMember as error:
                    journal.add(plain(entry, ("broken", str(error))))
                    bar.update()
                    continue
                assert content is not None
                yield Job(entry.key, entry.folder, entry.stamp, content, known)

        settings = (searching, cutting, crops)
        for record in spread(examine, jobs(), options.num_workers, begin, settings, crashed):
            journal.add(record)
            bar.update()
    return order


def _is_done(known: SourceRecord, cutting: Cutting, crops: Path) -> bool:
    if known.problem is not None:
        return True
    return known.cutting == cutting.fingerprint and all(
        (crops / face.file).exists() for face in known.faces
    )


def _finish(
    options: Options,
    out: Path,
    journal: Journal,
    order: "array[int]",
    command: str,
) -> Counts:
    """Select and split the faces, and write the results."""
    logger.info("selecting faces: limits, duplicates, split")
    unique = list(dict.fromkeys(order))

    def records() -> Iterator[SourceRecord]:
        for hashed in unique:
            record = journal.at(hashed)
            if record is not None:
                yield record

    limits = options.limits
    selection = select(records(), limits)
    held = _split(records(), selection, options)
    placed = places(records(), selection, held, options.classes == "from-folders")
    crops = out / ".prepare" / "crops"
    counts = count(records(), selection, int(held.sum()))
    publish(out, crops, placed.values())
    write_manifest(out / "manifest.jsonl", records(), selection, placed)
    write_report(out / "report.html", records, selection, limits, counts, crops, command)
    if not counts.to_train_on:
        logger.info(f"no faces to train on; {out / 'report.html'} lists why")
        return counts
    usual = {"image_size": (options.image_size, 96), "channels": (options.channels, 3)}
    others = {name: value for name, (value, default) in usual.items() if value != default}
    train = command_line("train", data_path=out / "train", **others)
    logger.info(f"check {out / 'report.html'}, then run: {train}")
    return counts


def _split(
    records: Iterable[SourceRecord], selection: Selection, options: Options
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    families = selection.family[selection.source[selection.kept]]
    needed = set(families.tolist())
    names = {number: record.key for number, record in enumerate(records) if number in needed}
    return held_out(families, names, options.heldout, options.seed)
