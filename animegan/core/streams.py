"""The standard streams: missing ones are replaced, and one that fails ends nothing."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    with ExitStack() as opened:
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # descriptors 0, 1, 2
            if getattr(sys, name) is None:
                null = opened.enter_context(open(os.devnull, mode, encoding="utf-8"))
                setattr(sys, name, null)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # of what its encoding lacks
        out, log = Lasting(sys.stdout, escape=True), Lasting(sys.stderr)
        sys.stdout, sys.stderr = out, log
        try:
            yield out
        finally:
            out.settle()
            log.settle()
            sys.stdin, sys.stdout, sys.stderr = before
