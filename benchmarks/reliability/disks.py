"""Disks that are full: files that cannot grow, and a small disk where one can be mounted."""

import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability.commands import Command, commands, half_written, start
from benchmarks.reliability.kills import finished, undisturbed
from benchmarks.reliability.tally import Tally, each_said

ROOM = "size=512m"


def campaign(root: Path, tries: int, seed: int) -> list[Tally]:
    """Fill each command's disk about equally often, then make room and go on to its end.

    `right` is an end equal to the undisturbed one, bit for bit. `wrong` is another end, a
    half-written file, or an error that is not said in a line.
    """
    every = commands(root)
    rng = random.Random(seed)
    each = -(-tries // len(every))
    return each_said(_tally(command, root / "disks", each, rng) for command in every)


def _tally(command: Command, folder: Path, tries: int, rng: random.Random) -> Tally:
    tally = Tally(f"full disk: {command.name}")
    right, _ = undisturbed(command, folder)
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    for number in range(tries):
        if number % 2:
            size = int(sum(files) * rng.uniform(0.05, 1))
            with _small_disk(folder, size) as mounted:
                if mounted:
                    tally.add(*_filled(command, folder, right, None, f"a disk of {size} bytes"))
                    continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        size = int(max(files) * rng.uniform(0, 1.1))
        tally.add(*_filled(command, folder, right, size, f"files of at most {size} bytes"))
    return tally


def _filled(
    command: Command, folder: Path, right: Mapping[str, str], most: int | None, where: str
) -> tuple[str, str]:
    try:
        command.begin(folder)
    except (OSError, shutil.Error):  # no room for what comes before: nothing to try
        _make_room(folder)
        shutil.rmtree(folder / "x", ignore_errors=True)
        command.begin(folder)
    end = start(command.words(folder), most_bytes=most)
    if "Traceback" in end.text:
        return "tracebacks", f"{where}: {end.text[-300:]}"
    if end.code is None:
        return "hangs", where
    if end.code not in (0, 1, 2) or (end.code and not end.text.strip()):
        return "wrong", f"{where}: exit code {end.code}: {end.text[-200:]}"
    if bad := half_written(folder, right):
        return "wrong", f"{where}: half-written: {bad}"
    _make_room(folder)
    return finished(command, folder, right, where)


def _make_room(folder: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,{ROOM}", str(folder)], capture_output=True)


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[bool]:
    """Mount a disk of `size` bytes; yields False where that is not permitted."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={max(size, 4096)}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        done = False
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", str(folder)], check=True)
