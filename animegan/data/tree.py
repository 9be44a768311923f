"""Walk a folder: its files in the order of their names, and what is left out of it."""

import errno
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from animegan.core.errors import reason

# Thumbnails, deleted files and the like that disks and systems keep next to a user's own folders.
_SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@tmp", "@recycle", "@recently-snapshot", "@sharebin", "#recycle", "#snapshot"}
    | {"~snapshot", "$recycle.bin", "recycler", "recycled", "recycle.bin", "$sysreset"}
    | {"$winreagent", "system volume information", "lost+found", "__macosx", "network trash folder"}
    | {"temporary items", "thevolumesettingsfolder"}
)
_CHECKED_DISK = re.compile(r"found\.\d{3}")  # what Windows' chkdsk saves


class Found(NamedTuple):
    """A file below the folder, or a place that is not entered.

    `kind` is "file", "dangling" (a link to nothing), "special" (a pipe, socket or device),
    "system" (a folder of the system's own), "unreadable" (a folder; `why` says so), or a mark of a
    folder that is entered all the same: "prepared" (`prepare` made it) and "run" (of a training).
    """

    name: str  # relative to the root, with "/"; "" for the root itself
    kind: str
    why: str = ""


def is_left_out(name: str) -> bool:
    """Whether a folder of this name is hidden, or one of the system's own."""
    return name.startswith(".") or is_system_folder(name)


def is_system_folder(name: str) -> bool:
    """Whether a NAS, an operating system or an archiver keeps its own things under this name."""
    lower = name.lower()
    return lower in _SYSTEM_FOLDERS or _CHECKED_DISK.fullmatch(lower) is not None


def identity(path: str | os.PathLike[str] | None) -> tuple[int, int] | None:
    """Return (device, inode) of a file or folder, or None if there is none."""
    try:
        status = os.stat(path) if path is not None else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None


def walk_tree(root: str, without: tuple[int, int] | None = None) -> Iterator[Found]:
    """Yield what is below `root`, sorted by name within each folder, without hidden names.

    Links are followed. Below one subfolder of the root, a folder is entered once, however many
    links lead to it, so that links in loops end. Any depth is walked, as far as the system opens
    paths of that length.

    Args:
        root: a folder.
        without: `identity` of a folder not to enter.
    """
    top = identity(root)
    entered = {top, without}
    if top is not None and top == without:
        return
    stack = [_entries(root, "")]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        if entry.kind != "folder":
            yield entry
            continue
        path = os.path.join(root, entry.name)
        here = identity(path)
        if "/" not in entry.name:
            entered = {top, without}
        if here is None:
            stack.append(_entries(path, entry.name))  # which says why it cannot be entered
        elif here not in entered:
            entered.add(here)
            stack.append(_entries(path, entry.name))


def _entries(folder: str, above: str) -> Iterator[Found]:
    """Yield the entries of one folder; its subfolders have the kind "folder"."""
    try:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except OSError as error:
        yield Found(above, "unreadable", reason(error))
        return
    names = {entry.name for entry in entries}
    if "train" in names and names & {"manifest.jsonl", ".prepare"}:
        yield Found(above, "prepared")
    if "options.json" in names and names & {"states", "metrics.jsonl"}:
        yield Found(above, "run")
    prefix = f"{above}/" if above else ""
    for entry in entries:
        if not entry.name.startswith("."):
            yield Found(prefix + entry.name, _kind(entry))


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir():
            return "system" if is_system_folder(entry.name) else "folder"
        if entry.is_file():
            return "file"
        return "dangling" if not os.path.exists(entry.path) else "special"
    except OSError as error:
        # a link to itself, or a path that is too long to be asked about
        return "dangling" if error.errno == errno.ELOOP else "special"
