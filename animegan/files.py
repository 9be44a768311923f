"""Files that are there whole or not at all, and their hashes."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def aside(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to: moved there when the block ends, deleted where it fails.

    The folder has to be there. With `sync` the content is on the disk itself before it is moved,
    and the new name afterwards. What a killed process has left, `sweep` deletes.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield half
        if sync:
            with half.open("rb+") as file:
                os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        if error.filename is None:  # a write that failed does not say where: the disk is full, ...
            error.filename = str(path)
        raise
    finally:
        half.unlink(missing_ok=True)
    if sync:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows opens no folders, some network disks do not sync them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8, whole or not at all; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as half:
        half.write_text(text, encoding="utf-8")


def sweep(folder: Path) -> None:
    """Delete what killed processes were writing into the folder; nobody else may write there."""
    for half in folder.glob(".*.tmp"):
        half.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
