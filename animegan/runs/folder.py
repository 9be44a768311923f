"""A run's folder: layout, lock, options and metrics. Does not import torch.

checkpoints/<name>/
  options.json                  resolved options, the source of each, the command line
  metrics.jsonl                 one line per --plot-every steps: step, epoch, seconds, losses, ...
  netg_<epoch>.pth netd_<epoch>.pth netg_last.pth netd_last.pth
  states/state_<step>.pt        everything needed to resume
  samples/fake_e<epoch>_s<step>.png
  curves.png strip.png timelapse.webp
"""

import errno
import json
import logging
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from animegan.core.errors import UsageError, reason
from animegan.core.files import open_regular, sweep, write_text
from animegan.core.program import command_line

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # what a network disk may answer
STATE = re.compile(r"state_(\d+)\.pt")


def read_records(metrics: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a metrics.jsonl in order; see `parse_record`."""
    with open_regular(metrics) as file:
        for line in file:
            if record := parse_record(line):
                yield record


def parse_record(line: bytes) -> dict[str, Any] | None:
    """Return the metrics in a line of metrics.jsonl; None if a crash or an edit has damaged it.

    KID is in `kid_x1000`; older runs recorded `kid`, without the factor.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    if isinstance(record.get("kid"), int | float):
        record["kid_x1000"] = 1000 * record.pop("kid")
    return record


@dataclass(frozen=True)
class Run:
    """The folder of one run."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.absolute().name

    @property
    def options_file(self) -> Path:
        return self.path / "options.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def states(self) -> Path:
        return self.path / "states"

    @property
    def best_state(self) -> Path:
        return self.states / "best.pt"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder for this process. Raises UsageError if another one is training in it.

        The operating system releases the lock when the process ends, however it ends. On a disk
        without locks, the folder is used without one.
        """
        from filelock import FileLock, Timeout  # slow to import; keeps `--help` fast

        lock = FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"--name {self.name}: {self._holder()} is training in {self.path}; "
                "wait for it to finish, or use another name"
            ) from None
        except (OSError, NotImplementedError) as error:
            if not isinstance(error, NotImplementedError) and error.errno not in _NO_LOCKS:
                raise UsageError(
                    f"--runs-path {self.path.parent}: {self.path} cannot be written to "
                    f"({reason(error)}); use another folder"
                ) from None
            logger.info(f"{self.path}: its disk has no locks; start no second training in it")
        holder = {
            "pid": os.getpid(),
            "host": platform.node(),
            "since": f"{datetime.now():%F %H:%M}",
        }
        try:
            with suppress(OSError):
                self._holder_file.write_text(json.dumps(holder) + "\n", encoding="utf-8")
            yield
        finally:
            with suppress(OSError):
                self._holder_file.unlink()
            lock.release()

    def refuse_if_held(self) -> None:
        """Raise UsageError if a process is training in the folder."""
        if (self.path / ".lock").exists():
            with self.lock():
                pass

    @property
    def _holder_file(self) -> Path:
        return self.path / ".lock.json"

    def _holder(self) -> str:
        """Describe the process that has locked the folder, as far as it is known."""
        try:
            with open_regular(self._holder_file) as file:
                holder = json.load(file)
            return f"process {holder['pid']} on {holder['host']}, since {holder['since']},"
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return "another process"

    @property
    def is_begun(self) -> bool:
        """Whether the folder holds something that a new run would replace."""
        return bool(self.state_files()) or self.best_state.exists() or any(self.weight_files())

    def weight_files(self) -> list[Path]:
        """Return the generators' weight files, the one to draw with first: best, last, newest."""
        order = {"netg_best.pth": 0, "netg_last.pth": 1}
        ranked = [(order.get(path.name, 2), -path.stat().st_mtime, path)
                 for path in self.path.glob("netg_*.pth")]  # fmt: skip
        return [path for _, _, path in sorted(ranked)]

    def write_options(self, values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        """Write the resolved options, their sources and the command line to options.json."""
        record = {"options": dict(values), "sources": dict(sources), "command": sys.argv[1:]}
        write_text(self.options_file, json.dumps(record, indent=1) + "\n")

    def read_options(self, flag: str = "--resume") -> dict[str, Any]:
        """Read what `write_options` wrote. Raises UsageError if it is missing or damaged."""
        try:
            with open_regular(self.options_file) as file:
                record = json.load(file)
            if not isinstance(record["options"], dict):
                raise TypeError("options are not a table")
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise UsageError(
                f"{flag} {self.path}: not a run (options.json is missing or damaged); "
                f"`{command_line('runs')}` lists the runs"
            ) from None
        return record  # type: ignore[no-any-return]

    def record(self, values: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl, or nothing if the disk is full (OSError)."""
        line = (json.dumps(dict(values)) + "\n").encode()
        self.path.mkdir(parents=True, exist_ok=True)
        with self.metrics.open("ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if file.write(line) < len(line):  # what fitted; the next write would raise
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.metrics))

    def history(self) -> Iterator[dict[str, Any]]:
        """Yield the records of metrics.jsonl, if there is one; see `read_records`."""
        if not self.metrics.exists():
            return
        yield from read_records(self.metrics)

    def forget_after(self, step: int) -> None:
        """Delete records and states after `step`, which a resumed run will write again.

        Also deletes temporary files left by a killed process.
        """
        if self.metrics.exists():
            kept = [line for line in self.history() if line.get("step", 0) <= step]
            write_text(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))
        for path in self.states_after(step):
            path.unlink()
        for folder in (self.path, self.states):
            sweep(folder)

    def states_after(self, step: int) -> list[Path]:
        """Return the states after `step`, newest first."""
        return [path for path in self.state_files() if int(path.stem.rpartition("_")[2]) > step]

    def state_files(self) -> list[Path]:
        """Return the states that can be resumed from, newest first."""
        numbered = [(int(m[1]), path) for path in self.states.glob("state_*.pt")
                 if (m := STATE.fullmatch(path.name))]  # fmt: skip
        return [path for _, path in sorted(numbered, reverse=True)]


def new_run(root: str, name: str | None, preset: str | None) -> Run:
    """Choose the folder of a new run; `name` defaults to the date, time and preset.

    A folder that a killed process left without states and weights is free. Raises UsageError if the
    name is invalid or taken, or the folder is not writable.
    """
    if name is None:
        stem = f"{datetime.now():%Y%m%d-%H%M%S}-{preset or 'default'}"
        taken = {path.name for path in Path(root).glob(f"{stem}*")}
        names = (stem, *(f"{stem}-{k}" for k in range(2, 1000)))
        name = next(choice for choice in names if choice not in taken)
    elif not re.fullmatch(r"[\w.\-+=@ ]{1,100}", name) or name.startswith("."):
        raise UsageError(
            f"--name {name[:110]}: not a folder name; use letters, digits and . - _ + = @, "
            "at most 100"
        )
    run = Run(Path(root) / name)
    there = next(folder for folder in (run.path, *run.path.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(f"--runs-path {root}: {there} is not a writable folder; use another")
    run.refuse_if_held()
    _refuse_begun(run)
    return run


def _refuse_begun(run: Run) -> None:
    if run.is_begun:
        way = "add --resume to continue it" if run.state_files() else "it has no state to continue"
        raise UsageError(
            f"--name {run.name}: {run.path} already holds a run; {way}, or use another name"
        )


@contextmanager
def claim(root: str, name: str | None, preset: str | None) -> Iterator[Run]:
    """Choose the folder of a new run as `new_run` does, make it and hold its lock.

    Of several processes that want a folder, one gets it: unnamed runs go on to the next name. It is
    looked at once more when it is locked, since another may have trained in it and finished. A
    folder in which nothing was written is removed at the end.
    """
    while True:
        run = new_run(root, name, preset)
        try:
            run.path.mkdir(parents=True, exist_ok=name is not None)
            break
        except FileExistsError:
            if name is not None:
                raise
        except OSError as error:
            raise UsageError(
                f"--runs-path {root}: {run.path} cannot be written to ({reason(error)}); "
                "use another folder"
            ) from None
    try:
        with run.lock():
            _refuse_begun(run)
            yield run
    finally:
        if {path.name for path in run.path.glob("*")} <= {".lock"}:
            with suppress(OSError):
                (run.path / ".lock").unlink(missing_ok=True)
                run.path.rmdir()
