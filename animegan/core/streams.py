"""The standard streams: missing ones are replaced, and one that fails ends nothing."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from animegan.core.printable import printable

_NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO)  # a pipe, terminal that is gone


class Lasting:
    """A text stream whose failures are kept in `failure` instead of raised.

    The terminal may be closed, the log's disk full, the reader of a pipe gone: what is shown is
    lost, what the process works on must not be. With `escape`, text is made `printable`.
    """

    def __init__(self, stream: TextIO, escape: bool = False) -> None:
        self._stream, self._escape = stream, escape
        self.failure: OSError | None = None  # the first one

    def write(self, text: str) -> int:
        """Write text, if it can be written."""
        try:
            self._stream.write(printable(text) if self._escape else text)
        except OSError as error:
            self.failure = self.failure or error
        except ValueError:  # closed, or an encoding without these characters
            pass
        return len(text)

    def flush(self) -> None:
        """Write out what is buffered, if it can be written."""
        try:
            self._stream.flush()
        except OSError as error:
            self.failure = self.failure or error
        except ValueError:
            pass

    def settle(self) -> None:
        """Write out what is buffered, or drop it, so that the interpreter's exit says nothing."""
        self.flush()
        if self.failure is not None:
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._stream.fileno())
                os.close(null)
            self.flush()

    @property
    def lost(self) -> OSError | None:
        """Why somebody who waits for the text did not get all of it; None if nobody waits."""
        gone = self.failure is not None and self.failure.errno in _NOBODY_READS
        return None if gone else self.failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting() -> Iterator[Lasting]:
    """Within it, stdin, stdout and stderr are there, and writing to them raises nothing.

    Yields stdout, whose text is escaped; stderr is not, since progress bars move its cursor.
    A stream that the launcher has closed (pythonw has none) becomes the null device.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    out, log = sys.stdout or _null(), sys.stderr or _null()
    for stream in (out, log):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of what its encoding lacks
    lasting_out, lasting_log = Lasting(out, escape=True), Lasting(log)
    sys.stdout, sys.stderr = lasting_out, lasting_log
    try:
        yield lasting_out
    finally:
        lasting_out.settle()
        lasting_log.settle()
        sys.stdin, sys.stdout, sys.stderr = before


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")
