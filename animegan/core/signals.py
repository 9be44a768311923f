"""Ctrl-C and SIGTERM: the first saves and stops training, the second exits at once.

Other commands stop at the first SIGTERM, once their worker processes have ended.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self, TextIO

logger = logging.getLogger(__name__)

# SIGHUP: the terminal was closed
SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Terminated(KeyboardInterrupt):
    """What SIGTERM raises within `terminable`."""


@contextmanager
def terminable() -> Iterator[None]:
    """Within it, the first SIGTERM raises Terminated, and the second ends the process at once."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # somebody else wants it
        yield
        return

    def take(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, take)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Stop:
    """Context manager in which a signal sets `stop.asked` to its number.

    Ctrl-C in a terminal also kills a `tee` that reads our stderr, so a broken pipe there is ignored
    rather than ending the training before it has saved.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._stderr = sys.stderr
        sys.stderr = _Lasting(sys.stderr)
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        sys.stderr = self._stderr

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(128 + number)
        self.asked = number
        with suppress(RuntimeError):  # interrupted during a print, which is not reentrant
            logger.info("\nsaving and stopping after this batch; repeat to exit at once")


class _Lasting:
    """A stream that switches to the null device when its pipe is broken."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._to_nowhere()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._to_nowhere()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _to_nowhere(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
