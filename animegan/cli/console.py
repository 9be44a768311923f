"""What the tool says while it works: log records become lines on stderr (stdout is for results)."""

import logging
import sys

from animegan.core.printable import printable
from animegan.runtime.launch import Launch, launched


def write(text: str) -> None:
    """Print a line on stderr, above a progress bar if there is one."""
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr, flush=True)


class ConsoleHandler(logging.Handler):
    """Prints the records of the `animegan` loggers.

    Of several processes, the main one alone prints information; errors name their process.
    """

    def __init__(self, launch: Launch) -> None:
        super().__init__(logging.INFO)
        self._rank = launch.rank

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; see `write`."""
        text = printable(record.getMessage())
        if record.levelno >= logging.ERROR and self._rank:
            text = f"process {self._rank}: {text}"
        elif self._rank:
            return
        write(text)


def install() -> None:
    """Print what the loggers of `animegan` say, once; UsageError for a bad torchrun variable."""
    root = logging.getLogger("animegan")
    root.handlers = [
        handler for handler in root.handlers if not isinstance(handler, ConsoleHandler)
    ]
    root.addHandler(ConsoleHandler(launched()))
    root.setLevel(logging.INFO)
    root.propagate = False
