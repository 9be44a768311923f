"""Streams that are missing, full or gone, and text that would change what is around it."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from animegan.core import streams
from animegan.core.printable import printable
from animegan.core.streams import Lasting

ROOT = Path(__file__).resolve().parents[2]


class Failing(io.StringIO):
    """A stream of which every write fails with this error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize("number", [5, 28, 32, 122])  # EIO, ENOSPC, EPIPE, EDQUOT
def test_writing_raises_nothing_and_the_reason_is_kept(number: int) -> None:
    stream = Lasting(Failing(OSError(number, os.strerror(number))))
    assert stream.write("text") == 4
    stream.flush()
    assert stream.failure is not None
    assert stream.failure.errno == number
    assert (stream.lost is None) == (number in (5, 32))  # nobody reads that any more


def test_a_closed_stream_raises_nothing() -> None:
    closed = io.StringIO()
    closed.close()
    stream = Lasting(closed)
    stream.write("text")
    stream.flush()


def test_a_stream_that_works_again_is_written_to() -> None:
    plain = io.StringIO()
    stream = Lasting(plain)
    stream.failure = OSError(28, "full")
    stream.write("text")
    assert plain.getvalue() == "text"


def test_missing_streams_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with streams.lasting():
        assert sys.stdin.read() == ""
        assert not sys.stdin.isatty()
        print("text")
        print("text", file=sys.stderr, flush=True)
    assert sys.stdout is None


def test_stdout_is_escaped_and_stderr_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with streams.lasting():
        print("a\x1b[2Jb")
        print("\x1b[A", file=sys.stderr, end="")  # progress bars move the cursor
    out, err = capsys.readouterr()
    assert out == "a\\u001b[2Jb\n"
    assert err == "\x1b[A"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 脸 é\ttab\nline　wide", "plain 脸 é\ttab\nline　wide"),
        ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
        ("a\rb\x00\x7f\x9b", "a\\u000db\\u0000\\u007f\\u009b"),
        ("gnp\u202egpj", "gnp\\u202egpj"),
        ("\u2066a\u2069\u200f", "\\u2066a\\u2069\\u200f"),
        ("\udcff", "\\udcff"),
        (Path("a\x1b"), "a\\u001b"),
    ],
)
def test_what_would_change_other_text_is_escaped(text: object, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("closing", "code"),
    [
        ("<&-", 0),
        (">&-", 0),
        ("2>&-", 0),
        ("<&- >&- 2>&-", 0),
        (">/dev/full", 1),
        ("2>/dev/full", 0),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the shell's words")
def test_the_tool_runs_with_any_streams(closing: str, code: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' main.py --help {closing}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == code
