"""Iterate over the files of a folder and its archives without unpacking them to disk.

Nothing is ever written below the source, and no name in an archive is used as a path on disk.
"""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from animegan.core.errors import reason
from animegan.data.formats import has_picture_suffix, is_picture
from animegan.data.tree import identity, walk_tree
from animegan.datasets.archives import (
    DAMAGE,
    NO_PICTURE,
    OTHER_ARCHIVES,
    TARS,
    ZIPS,
    Entry,
    is_archive,
    members,
)


def walk(source: Path, archives: bool = True, without: Path | None = None) -> Iterator[Entry]:
    """Yield every file of a folder or archive, in an order that depends on names only.

    Hidden names are skipped. How folders and links are walked, see `tree.walk_tree`.

    Args:
        source: a folder or an archive.
        archives: read archives inside the folder; otherwise they are reported as other files.
        without: a folder to skip.
    """
    if source.is_dir():
        yield from _folder(source, archives, identity(without))
    else:
        yield from members(source, "")


def count(source: Path, archives: bool = True, without: Path | None = None) -> int | None:
    """Return the number of entries of `walk`, or None if it is unknown without unpacking."""
    if not source.is_dir() or not archives:
        return None if archives else sum(1 for _ in walk(source, archives, without))
    total = 0
    for entry in walk(source, False, without):
        name = entry.key.lower()
        if name.endswith(TARS):
            return None
        if name.endswith(ZIPS):
            try:
                with zipfile.ZipFile(source / entry.key) as opened:
                    total += len(opened.infolist())
            except DAMAGE:
                total += 1
        else:
            total += 1
    return total


def _folder(source: Path, archives: bool, without: tuple[int, int] | None) -> Iterator[Entry]:
    for key, kind, why in walk_tree(str(source), without):
        path = source / key
        if kind == "unreadable":
            yield Entry(key or ".", problem=("broken", f"folder: {why}"))
        elif kind == "dangling":
            yield Entry(key, problem=("broken", "dangling link"))
        elif kind == "special":  # opening a pipe would block
            yield Entry(key, problem=("other file", "not a regular file"))
        elif kind == "system":
            yield Entry(key, problem=("other file", "a folder of the system's own"))
        elif kind == "file" and archives and is_archive(path.name):
            yield from members(path, key)
        elif kind == "file":
            yield _file(path, key)


def _file(path: Path, key: str) -> Entry:
    try:
        status = os.stat(path)
    except OSError as error:
        return Entry(key, problem=("broken", reason(error)))
    stamp = f"{status.st_size}:{status.st_mtime_ns}"
    return Entry(key, stamp, path, problem=_not_a_picture(path))


def _not_a_picture(path: Path) -> tuple[str, str] | None:
    lower = path.name.lower()
    if lower.endswith(ZIPS + TARS + OTHER_ARCHIVES) and not has_picture_suffix(lower):
        return "other file", "an unsupported archive; unpack it"
    try:
        return None if is_picture(str(path)) else NO_PICTURE
    except OSError as error:
        return "broken", reason(error)
