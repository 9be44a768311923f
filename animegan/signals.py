"""Ctrl-C and SIGTERM: the first asks training to save and stop, the second ends it at once."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self


class Stop:
    """Within `with Stop(say) as stop`, a signal sets `stop.asked` to its number."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = 0
        self._say = say
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
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
        if self.asked:
            os._exit(128 + number)
        self.asked = number
        # a Ctrl-C ends the `tee` that reads our words too, and a print may have been interrupted
        with suppress(OSError, ValueError, RuntimeError):
            self._say("\nstopping after this batch and saving; once more to leave at once")
