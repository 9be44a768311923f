"""Locks between processes, on disks that have none too."""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from animegan.core.errors import reason

logger = logging.getLogger(__name__)

_MISSING = frozenset(
    getattr(errno, name)
    for name in ("ENOSYS", "ENOLCK", "EOPNOTSUPP", "ENOTSUP", "EINVAL")
    if hasattr(errno, name)
)


class Held(Exception):  # noqa: N818  (the lock is)
    """Another process holds the lock."""


@contextmanager
def lock(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock on the file `path`, whose folder must exist, while the block runs.

    A disk that cannot lock (some network and container disks) is told about in the log, and the
    block runs without.

    Args:
        path: the lock's own file.
        waiting: called once if another process holds the lock, before waiting for it; None raises
            Held instead.

    Raises:
        Held: another process holds it, and `waiting` is None.
        OSError: the file cannot be written.
    """
    from filelock import FileLock, Timeout  # slow to import; keeps `--help` fast

    held = FileLock(path)
    try:
        _probe(path)
        try:
            held.acquire(timeout=0)
        except Timeout:
            if waiting is None:
                raise Held(str(path)) from None
            waiting()
            held.acquire()
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _MISSING:
            raise
        logger.info(
            f"{path.parent}: this disk has no locks ({reason(error)}); going on without, so do "
            "not let two commands write there at once"
        )
        yield
        return
    try:
        yield
    finally:
        held.release()


def _probe(path: Path) -> None:
    """Raise OSError if the disk cannot lock: the library would try again for ever, or give up."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    with open(path, "a") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # held by another: so there are locks
            return
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
