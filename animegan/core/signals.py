"""Ctrl-C and SIGTERM: the first saves and stops training, the second exits at once.

Other commands stop at the first SIGTERM, once their worker processes have ended.
"""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Self

logger = logging.getLogger(__name__)

_HANG_UP = getattr(signal, "SIGHUP", None)  # the terminal was closed; Windows has none
SIGNALS = [signal.SIGINT, signal.SIGTERM, *([] if _HANG_UP is None else [_HANG_UP])]


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

    A signal that is ignored stays ignored: `nohup` and the shell's background jobs start a process
    that way. Closing a terminal sends SIGHUP more than once, so that one never exits at once.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
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

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == _HANG_UP:
            return
        if self.asked:
            os._exit(128 + number)
        self.asked = number
        with suppress(RuntimeError):  # interrupted during a print, which is not reentrant
            logger.info("\nsaving and stopping after this batch; repeat to exit at once")
