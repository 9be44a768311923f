"""What became of the tries of one kind, and how one of them is watched."""

import contextlib
import io
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from animegan.core.errors import UsageError

EXAMPLES = 5  # kept of the faults of one kind


@dataclass
class Tally:
    """Counts of tries: each survived, was silently wrong, ended in a traceback, or hung.

    `right` counts those that survived with the right answer; the others were refused in a line.
    """

    kind: str
    tried: int = 0
    right: int = 0
    refused: int = 0
    wrong: int = 0
    tracebacks: int = 0
    hangs: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, outcome: str, detail: str = "") -> None:
        """Count a try: `outcome` is the name of a count."""
        self.tried += 1
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome in ("wrong", "tracebacks", "hangs") and len(self.examples) < EXAMPLES:
            self.examples.append(f"{outcome}: {detail}")

    @property
    def faults(self) -> int:
        return self.wrong + self.tracebacks + self.hangs

    def cells(self) -> list[str]:
        """Return the row of the table."""
        counts = (self.tried, self.right, self.refused, self.wrong, self.tracebacks, self.hangs)
        return [self.kind, *map(str, counts)]


def each_said(tallies: Iterable[Tally]) -> list[Tally]:
    """Return the tallies, saying each on stderr as it is counted."""
    counted = []
    for tally in tallies:
        print(*tally.cells(), *tally.examples, sep=" | ", file=sys.stderr, flush=True)
        counted.append(tally)
    return counted


HEADS = ("kind", "tried", "right", "refused", "silently wrong", "tracebacks", "hangs")


class Hang(BaseException):
    """It took longer than `SECONDS`."""


SECONDS = 40.0  # a busy machine, and what is imported on the way


def watched(read: Callable[[], Any]) -> tuple[str, Any]:
    """Call `read` with an alarm; return ("answer", what it returned), or a fault and its text.

    A UsageError is ("refused", its text).
    """
    try:
        with _alarm(SECONDS), _silent():
            return "answer", read()
    except UsageError as error:
        return "refused", str(error)
    except Hang:
        return "hangs", "".join(traceback.format_exc().splitlines(keepends=True)[-3:])
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = next((f for f in reversed(frames) if "animegan/" in f.filename), frames[-1])
        place = f"{where.filename.rpartition('animegan/')[2]}:{where.lineno}"
        return "tracebacks", f"{type(error).__name__}: {str(error)[:100]} at {place}"


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def run_main(*words: str) -> str:
    """Run a command line in this process and return what it printed on stdout.

    Raises UsageError if it ends with another code than 0 after one line or more, and AssertionError
    if it ended so without a word.
    """
    from animegan.cli.app import main

    code = main(words)
    out, log = sys.stdout, sys.stderr
    assert isinstance(out, io.StringIO)
    assert isinstance(log, io.StringIO)
    if code:
        assert log.getvalue().strip(), f"exit code {code} without a word"
        raise UsageError(log.getvalue().strip().splitlines()[-1])
    return out.getvalue()
