"""List the pictures of a folder and their classes: like torchvision's ImageFolder, or flat."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from animegan.core.errors import UsageError, reason
from animegan.data.decode import PICTURE_SUFFIXES

_SHAPE = (
    "put pictures into it (data/1.jpg, ...), or one subfolder for each class (data/faces/1.jpg)"
)


@dataclass(frozen=True)
class Listing:
    """Pictures sorted by class and name; `labels[i]` indexes `classes`.

    A flat folder is a single class with the folder's name.
    """

    root: Path  # absolute
    names: tuple[str, ...]  # relative to root, with "/"; a million Path objects take 0.3 GB
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    flag: str = "--data-path"  # the option that named the folder

    def counted(self) -> str:
        """Describe the number of pictures per subfolder: "110 pictures, of the folders ..."."""
        counts = Counter(self.labels)
        shown = [f"{name} {counts[label]:,}" for label, name in enumerate(self.classes[:5])]
        more = f" and {len(self.classes) - 5:,} more" if len(self.classes) > 5 else ""
        return f"{len(self.names):,} pictures, of the folders {', '.join(shown)}{more}"


def find_pictures(data_path: str | Path, flag: str = "--data-path") -> Listing:
    """List the pictures of a folder; subfolders are classes and are searched recursively.

    Hidden names, files that are not pictures, and subfolders without pictures are ignored. Links
    are followed; a dangling link is listed, and reported as broken when decoded. The order depends
    on the names alone. `flag` is the option that named the folder, for messages.

    Raises:
        UsageError: the folder is missing or unreadable, contains no pictures, or contains pictures
            both directly and in subfolders.
    """
    root = Path(os.path.abspath(data_path))
    if not root.is_dir():
        fact = "is a file, unpack it first" if root.exists() else "no such folder"
        raise UsageError(f"{flag} {data_path}: {fact}; create the folder and {_SHAPE}")
    try:
        loose, folders = _scan(str(root))
        found = {name: sorted(_below(str(root), name, frozenset())) for name in sorted(folders)}
    except OSError as error:
        raise UsageError(
            f"{flag} {data_path}: cannot read {error.filename}: {reason(error)}; "
            "check its permissions"
        ) from error
    found = {name: pictures for name, pictures in found.items() if pictures}
    if loose and found:
        raise UsageError(
            f"{flag} {data_path}: {len(loose)} pictures ({_some(sorted(loose))}) are next to "
            f"subfolders with pictures ({_some(list(found))}), and subfolders are classes; move "
            f"the loose ones into a subfolder, or use one of them: {flag} "
            f"{Path(data_path) / next(iter(found))}"
        )
    if loose:
        found = {root.name: sorted(loose)}
    if not found:
        raise UsageError(
            f"{flag} {data_path}: no pictures ({' '.join(sorted(PICTURE_SUFFIXES))}) in "
            f"{root} or its subfolders, {_what_else(root)}; {_SHAPE}"
        )
    names = tuple(name for pictures in found.values() for name in pictures)
    return Listing(
        root=root,
        names=names,
        labels=tuple(label for label, pictures in enumerate(found.values()) for _ in pictures),
        classes=tuple(found),
        flag=flag,
    )


def _scan(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the pictures and subfolders directly in `folder`."""
    pictures, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                folders.append(entry.name)
            elif os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES and (
                entry.is_symlink() or entry.is_file()
            ):
                pictures.append(entry.name)
    return pictures, folders


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _below(root: str, folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Yield the pictures below `folder`, relative to `root`, with "/".

    `above` holds (device, inode) of the parent folders, so that link cycles are not followed.
    """
    path = os.path.join(root, folder)
    status = os.stat(path)
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    pictures, folders = _scan(path)
    for name in pictures:
        yield f"{folder}/{name}"
    for name in folders:
        yield from _below(root, f"{folder}/{name}", above | {here})


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _what_else(root: Path) -> str:
    """Describe the files of a folder that contains no pictures."""
    kinds: Counter[str] = Counter()
    for _, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name[0] != "."]
        kinds.update(os.path.splitext(name)[1].lower() or name for name in files if name[0] != ".")
    if not kinds:
        return "which are empty"
    return "only " + _some([f"{count} {kind}" for kind, count in kinds.most_common()])
