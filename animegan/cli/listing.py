"""`runs`: list the runs with their progress, best KID and options, or print a run's command."""

import csv
import io
import json
import math
import os
import textwrap
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from animegan.config.config import OPTIONS
from animegan.config.presets import DEFAULT_PRESET, usual
from animegan.config.resume import options_of_run, read_options
from animegan.core.errors import UsageError
from animegan.core.program import command_line
from animegan.runs.find import all_runs, last_change, named
from animegan.runs.folder import Run, parse_record

NARROW = 100  # columns below which a table that does not fit becomes blocks
HEAD = ("run", "epoch", "step", "time", "last seen", "last metrics", "best KID", "options")


@dataclass(frozen=True)
class Entry:
    """What `runs` knows about a run. Numbers are None if the run has none yet; KIDs are x 1000.

    options: texts such as `lr1=0.0001`, of the values other than the default.
    problem: why its options cannot be read, or "".
    """

    name: str
    path: str
    epoch: float | None
    step: float | None
    seconds: float | None
    last_seen: float  # seconds since 1970
    loss_d: float | None
    loss_g: float | None
    fd: float | None
    kid_x1000: float | None
    best_kid_x1000: float | None
    best_step: float | None
    evaluations: int
    options: tuple[str, ...]
    problem: str


def listing(root: str, form: str = "table", sort: str = "time", columns: int = 0) -> str:
    """Return the runs in `root` as a table, JSON or CSV, sorted as `--sort` says.

    The table has blocks instead of rows if these do not fit into `columns`; 0: any width.
    """
    entries = sorted(map(entry_of, all_runs(root)), key=lambda entry: _order(entry, sort))
    if form == "json":
        return json.dumps([_plain(entry) for entry in entries], indent=1)
    if form == "csv":
        return _csv(entries)
    if not entries:
        return f"no runs in {root}; `{command_line('train')}` starts one"
    readable = [entry.options for entry in entries if not entry.problem]
    shared = [text for text in readable[0] if all(text in options for options in readable)
              ] if readable[1:] else []  # fmt: skip
    rows = [HEAD, *(_row(entry, shared) for entry in entries)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD) - 1)]
    if 0 < columns < NARROW and sum(widths) + 2 * len(widths) + 10 > columns:
        return _blocks(rows[1:], shared, columns)
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    if shared:
        lines.append(f"all of them: {' '.join(shared)}")
    return "\n".join(lines)


def entry_of(run: Run) -> Entry:
    """Read what a run has left; whatever is damaged or missing in it is left out."""
    last, evaluated = _metrics(run)
    kids = [(kid, record) for record in evaluated if (kid := _number(record, "kid_x1000"))
            is not None]  # fmt: skip
    best, at = min(kids, key=lambda pair: pair[0]) if kids else (None, {})
    options: list[str] = []
    problem = ""
    try:
        options = _changed(run)
    except UsageError:
        problem = "options.json is damaged"
    return Entry(
        run.name, str(run.path), _number(last, "epoch"), _number(last, "step"),
        _number(last, "seconds"), last_change(run), _number(last, "loss_d"),
        _number(last, "loss_g"), _number(last, "fd"), _number(last, "kid_x1000"), best,
        _number(at, "step"), len(kids), tuple(options), problem,
    )  # fmt: skip


def _metrics(run: Run) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the newest value of each metric, and the records of evaluations.

    Of a long file only these and the last lines are parsed.
    """
    newest: deque[bytes] = deque(maxlen=50)
    evaluations: list[bytes] = []
    try:
        with run.metrics.open("rb") as file:
            for line in file:
                newest.append(line)
                if b'"kid' in line:
                    evaluations.append(line)
    except OSError:
        pass
    evaluated = [record for line in evaluations if (record := parse_record(line))]
    last = dict(evaluated[-1]) if evaluated else {}
    for line in newest:
        last |= parse_record(line) or {}
    return last, evaluated


def _number(record: dict[str, Any], key: str) -> float | None:
    value = record.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _changed(run: Run) -> list[str]:
    """Return the run's options that its recipe does not bring. Raises UsageError if damaged.

    A precision that the machine chose is left out.
    """
    record = run.read_options()
    sources = record.get("sources")
    by = str(sources.get("precision", "run")) if isinstance(sources, dict) else "run"
    saved = _with_preset(read_options(record["options"], run.name))
    without = usual(saved) | {"preset": DEFAULT_PRESET}
    return [
        f"{name}={value}"
        for name, value in saved.items()
        if value != without[name] and OPTIONS[name].scope != "call"
        and not (name == "precision" and by.startswith("run"))
    ]  # fmt: skip


def _with_preset(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's options with the preset of today that adds nothing, if it names none."""
    return {**saved, "preset": saved.get("preset") or "scratch"}


def _order(entry: Entry, sort: str) -> tuple[Any, ...]:
    keys = {
        "time": entry.last_seen,
        "name": entry.name,
        "steps": entry.step or 0,
        "kid": -math.inf if entry.best_kid_x1000 is None else -entry.best_kid_x1000,
    }
    return keys[sort], entry.last_seen, entry.name


def _row(entry: Entry, shared: Sequence[str]) -> tuple[str, ...]:
    metrics = {"loss_d": entry.loss_d, "loss_g": entry.loss_g, "fd": entry.fd,
               "kid x 1000": entry.kid_x1000}  # fmt: skip
    texts = [f"{key}={value:.3g}" for key, value in metrics.items() if value is not None]
    best = "-"
    if entry.best_kid_x1000 is not None:
        best = f"{entry.best_kid_x1000:.3g} of {entry.evaluations}"
    options = [text for text in entry.options if text not in shared]
    return (
        entry.name,
        "-" if entry.epoch is None else f"{entry.epoch:.1f}",
        "-" if entry.step is None else f"{entry.step:.0f}",
        _duration(entry.seconds or 0.0),
        f"{datetime.fromtimestamp(entry.last_seen):%Y-%m-%d %H:%M}",
        " ".join(texts) or "-",
        best,
        entry.problem or " ".join(options),
    )


def _blocks(rows: Sequence[tuple[str, ...]], shared: Sequence[str], columns: int) -> str:
    """Return a few short lines per run instead of a row."""
    lines = []
    for name, *cells in rows:
        lines += textwrap.wrap(name, columns)
        for title, cell in zip(HEAD[1:], cells, strict=True):
            if cell not in ("-", ""):
                lines += textwrap.wrap(f"{title} {cell}", columns, initial_indent="  ",
                                       subsequent_indent="    ")  # fmt: skip
    if shared:
        lines += textwrap.wrap(f"all of them: {' '.join(shared)}", columns, subsequent_indent="  ")
    return "\n".join(lines)


def _plain(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON values: times in ISO 8601, what is not a finite number as null."""
    values = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in vars(entry).items()
    }
    seen = datetime.fromtimestamp(entry.last_seen).astimezone()
    return values | {"last_seen": seen.isoformat(timespec="seconds"), "options": entry.options}


def _csv(entries: Sequence[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Entry.__dataclass_fields__)
    for entry in entries:
        writer.writerow((_plain(entry) | {"options": " ".join(entry.options)}).values())
    return text.getvalue().rstrip("\n")


def _duration(seconds: float) -> str:
    if not 0 <= seconds < 1e12:
        return "-"
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{int(seconds) % 60:02d}s"


def command_of(root: str, name: str) -> str:
    """Return the command line that repeats a run as a new one; UsageError if there is none.

    What the preset, the loss and the features bring is not written out.
    """
    path = named(root, name)
    if not Run(path).options_file.exists():
        known = ", ".join(run.name for run in all_runs(root)[-5:]) or "none"
        raise UsageError(f"--repeat {name}: no such run in {root}; the newest are: {known}")
    saved = _with_preset(options_of_run(Run(path), "--repeat"))
    without = usual(saved) | {"preset": DEFAULT_PRESET}
    words = [
        f"{OPTIONS[key].flag}={'' if value is None else value}"
        for key, value in saved.items()
        if OPTIONS[key].scope != "call" and value != without[key]
    ]
    home = os.path.dirname(os.path.abspath(path))
    if home != os.path.abspath(OPTIONS["runs_path"].default):
        words.insert(0, f"--runs-path={home}")
    return command_line("train", *words)
