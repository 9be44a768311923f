"""kill -9 at random moments, each time followed by going on until the command is done."""

import random
import shutil
from collections.abc import Mapping
from pathlib import Path

from animegan.core.errors import UsageError
from benchmarks.reliability.commands import Command, commands, half_written, start
from benchmarks.reliability.tally import Tally, each_said

MOST_KILLS = 3  # of one folder, before it is left to finish


def campaign(root: Path, tries: int, seed: int) -> list[Tally]:
    """Kill each command about equally often, `tries` times in all.

    `right` is an end equal to the undisturbed one, bit for bit; `wrong` is another end, a
    half-written file, a worker left alive, or a folder that the command refuses to go on with.
    """
    every = commands(root)
    rng = random.Random(seed)
    each = -(-tries // len(every))
    return each_said(_tally(command, root / "kills", each, rng) for command in every)


def undisturbed(command: Command, folder: Path) -> tuple[Mapping[str, str], float]:
    """Return what the command leaves when nothing happens, and its seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command.begin(folder)
    end = start(command.words(folder))
    assert end.code == 0, end.text
    return command.result(folder), end.seconds


def _tally(command: Command, folder: Path, tries: int, rng: random.Random) -> Tally:
    tally = Tally(f"kill -9: {command.name}")
    right, seconds = undisturbed(command, folder)
    while tally.tried < tries:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command.begin(folder)
        for _ in range(rng.randint(1, MOST_KILLS)):
            moment = rng.uniform(0, seconds)
            end = start(command.words(folder), kill_after=moment)
            bad = half_written(folder, right)
            where = f"killed after {moment:.2f} of {seconds:.2f} s"
            if bad or end.left_alive or "Traceback" in end.text:
                tally.add("wrong", f"{where}: {bad or end.text[-300:]}")
            if end.code == 0:
                break
        tally.add(*finished(command, folder, right, where))
    return tally


def finished(
    command: Command, folder: Path, right: Mapping[str, str], where: str
) -> tuple[str, str]:
    """Go on to the end; return the outcome and what happened.

    A training that left weights but no state yet refuses its name, so that they are not lost.
    """
    if is_done(command, folder, right):
        return "right", ""
    end = start(command.words(folder))
    if "Traceback" in end.text:
        return "tracebacks", f"{where}: {end.text[-300:]}"
    if end.code is None:
        return "hangs", where
    if end.code == 2 and "already holds a run" in end.text:  # weights without a state: kept
        return "refused", ""
    if end.code != 0:
        return "wrong", f"{where}: could not go on: {end.text[-200:]}"
    return ("right", "") if is_done(command, folder, right) else ("wrong", f"{where}: another end")


def is_done(command: Command, folder: Path, right: Mapping[str, str]) -> bool:
    """Whether the folder holds what the undisturbed command leaves."""
    try:
        return command.result(folder) == right
    except (OSError, UsageError):  # not yet there
        return False
