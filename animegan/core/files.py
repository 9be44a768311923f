"""Atomic writing of files, opening only what is a file, and hashes."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading bytes; OSError for a pipe, socket or device, which could hang."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def aside(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Provide a temporary path next to `path`, moved to it if the block succeeds, else deleted.

    The folder must exist. With `sync`, the content is flushed to disk before the move, and the
    folder after it. `sweep` deletes what killed processes leave behind.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield half
        if sync:
            with half.open("rb+") as file:
                os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        if error.errno and error.filename in (None, str(half)):  # a full disk, a removed folder
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):  # the disk is gone; that is not what went wrong first
            half.unlink(missing_ok=True)
    if sync:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows cannot open folders, some network disks cannot sync them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, creating the folder if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as half:
        half.write_text(text, encoding="utf-8")


def same_place(path: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to the same file or folder, through links too."""
    return os.path.realpath(path) == os.path.realpath(other)


def is_inside(path: str | Path, other: str | Path) -> bool:
    """Whether `one` is the folder `other` or lies below it, through links too."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(other))


def sweep(folder: Path) -> None:
    """Delete temporary files left by killed processes; no other process may be writing there."""
    for half in folder.glob(".*.tmp"):
        half.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
