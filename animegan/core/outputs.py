"""Where a command may write, checked before any work starts; outputs that it can do without."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from animegan.core.errors import Ended, reason
from animegan.core.files import is_inside

logger = logging.getLogger(__name__)


def not_apart(flag: str, target: Path, name: str, source: Path) -> list[str]:
    """Return the problem if `target`, to be written to, is inside or around `source`."""
    if is_inside(target, source):
        return [f"{flag} {target}: is inside {name}, which is never written to; use another"]
    if is_inside(source, target):
        return [f"{flag} {target}: contains {name}; use another folder, such as data/mine"]
    return []


def writable(flag: str, folder: Path) -> list[str]:
    """Create a folder; return the problem if it cannot be written to, else an empty list."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        why = "" if os.access(folder, os.W_OK) else "Permission denied"
    except OSError as error:
        why = reason(error)
    return [f"{flag} {folder}: cannot be written to ({why}); use another folder"] if why else []


def writable_file(flag: str, path: Path) -> list[str]:
    """Return the problem if a file cannot be written, creating its folder if necessary."""
    if path.is_dir():
        return [f"{flag} {path}: is a folder; give a file name"]
    return writable(flag, path.parent)


@contextmanager
def writing_report(path: Path) -> Iterator[None]:
    """If the report cannot be written after all, say so and end with exit code 1."""
    try:
        yield
    except OSError as error:
        logger.info(f"--report {path}: cannot be written to ({reason(error)}); use another file")
        raise Ended(1) from error


class Dispensable:
    """Does what a long job can do without: a failure is said once, and never ends the job."""

    def __init__(self) -> None:
        self._failed: set[str] = set()

    def __call__(self, name: str, work: Callable[[], object]) -> bool:
        """Do `work`; return whether it succeeded. Failures of one `name` in a row are said once."""
        try:
            work()
        except Exception as error:  # whatever it is, the job is worth more
            if name not in self._failed:
                logger.info(f"{name}: {reason(error, 200)}; going on without")
            self._failed.add(name)
            return False
        if name in self._failed:
            self._failed.remove(name)
            logger.info(f"{name}: works again")
        return True
