"""What the tool says through its loggers, as a list."""

import logging


class Heard(logging.Handler):
    """Appends each message to `lines`."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def heard() -> list[str]:
    """Return a list that takes all messages from now on, until the end of the test."""
    handler = Heard()
    logger = logging.getLogger("animegan")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler.lines


def forget() -> None:
    """Detach all lists, and what `main` has attached."""
    logger = logging.getLogger("animegan")
    logger.handlers = []
    logger.propagate = True
