"""Ctrl-C and SIGTERM: the first asks training to save and stop, the second ends it at once."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self, TextIO

# a closed terminal too, where the system tells
SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Stop:
    """Within `with Stop(say) as stop`, a signal sets `stop.asked` to its number.

    A Ctrl-C in a terminal also ends the `tee` that may read our words; so stderr then goes nowhere
    instead of ending the training that is about to save.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = 0
        self._say = say
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
        with suppress(RuntimeError):  # a print was interrupted: it cannot be entered twice
            self._say("\nstopping after this batch and saving; once more to leave at once")


class _Lasting:
    """A stream on a pipe, whose words go to the null device once nobody reads them."""

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
