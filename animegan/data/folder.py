"""List the pictures of a folder and their classes: like torchvision's ImageFolder, or flat."""

import os
import shlex
import tarfile
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from animegan.core.errors import UsageError
from animegan.core.files import is_inside
from animegan.data.formats import is_picture
from animegan.data.tree import walk_tree

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
    left_out: str = ""  # what else is in the folder, for messages: "80 .txt, 2 folders @eaDir"

    def counted(self) -> str:
        """Describe the number of pictures per subfolder: "110 pictures, of the folders ..."."""
        counts = Counter(self.labels)
        shown = [f"{name} {counts[label]:,}" for label, name in enumerate(self.classes[:5])]
        more = f" and {len(self.classes) - 5:,} more" if len(self.classes) > 5 else ""
        return f"{len(self.names):,} pictures, of the folders {', '.join(shown)}{more}"

    def holds(self, folder: str | Path) -> bool:
        """Whether some of the pictures lie in `folder` or below it, through links too."""
        parents = {os.path.dirname(name) for name in self.names}
        return any(is_inside(self.root / parent, folder) for parent in parents)


@dataclass
class Contents:
    """What `scan` finds below a folder; all names are relative to it, with "/"."""

    pictures: list[str] = field(default_factory=list)  # sorted
    left_out: Counter[str] = field(default_factory=Counter)  # by kind: a suffix, a folder's name
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # folders, and why
    prepared: list[str] = field(default_factory=list)  # folders that `prepare` made; "" is the root
    runs: list[str] = field(default_factory=list)  # folders of trainings

    def left_words(self) -> str:
        """Describe what is left out, the most frequent kinds first; empty if nothing is."""
        return _some([f"{count:,} {kind}" for kind, count in self.left_out.most_common()], 5)


def scan(root: Path) -> Contents:
    """Find the pictures below a folder, by the one rule of `formats.is_picture`.

    Hidden names, the system's own folders and the folders of trainings are not looked into. Links
    are followed; a dangling link is listed, and reported as broken when decoded. Nothing but the
    first bytes of files without a known suffix is read.
    """
    contents = Contents()
    for name, kind, why in walk_tree(str(root)):
        if contents.runs and name.startswith(f"{contents.runs[-1]}/"):
            continue
        if kind in ("file", "dangling"):
            path = os.path.join(root, name)
            base = name.rpartition("/")[2]
            try:
                wanted = is_picture(path, base)
            except OSError:  # to be named as broken when decoded, unless it is none
                wanted = kind == "file"
            if wanted:
                contents.pictures.append(name)
            else:
                contents.left_out[_kind_of_file(base)] += 1
        elif kind == "special":
            contents.left_out["pipes, sockets or devices"] += 1
        elif kind == "system":
            contents.left_out[f"{name.rpartition('/')[2]} (folder)"] += 1
        elif kind == "unreadable":
            contents.unreadable.append((name, why))
        elif kind == "prepared":
            contents.prepared.append(name)
        elif kind == "run":
            contents.runs.append(name)
            contents.left_out[f"run ({name or '.'})"] += 1
    contents.pictures.sort()
    return contents


def _kind_of_file(name: str) -> str:
    suffix = os.path.splitext(name)[1].lower()
    return suffix if 1 < len(suffix) <= 12 else "without a suffix"


def find_pictures(data_path: str | Path, flag: str = "--data-path") -> Listing:
    """List the pictures of a folder; subfolders are classes and are searched recursively.

    What is a picture, and what is left out, is `scan`'s rule; subfolders without pictures are no
    classes. The order depends on the names alone. `flag` is the option that named the folder, for
    messages.

    Raises:
        UsageError: the folder is missing or unreadable, contains no pictures, contains pictures
            both directly and in subfolders, or holds a set made by `prepare` (whose held-out
            pictures would be in it).
    """
    root = Path(os.path.abspath(data_path))
    if not root.is_dir():
        raise UsageError(f"{flag} {data_path}: {_no_folder(root)}")
    contents = scan(root)
    _refuse_others(contents, data_path, flag)
    by_class: dict[str, list[str]] = {}
    loose = []
    for name in contents.pictures:
        top, slash, _ = name.partition("/")
        if slash:
            by_class.setdefault(top, []).append(name)
        else:
            loose.append(name)
    if loose and by_class:
        raise UsageError(f"{flag} {data_path}: {_mixed(data_path, loose, by_class, flag)}")
    if loose:
        by_class = {root.name: loose}
    if not by_class:
        raise UsageError(
            f"{flag} {data_path}: no pictures (.jpg, .png, .webp, .avif, ...) in {root} or its "
            f"subfolders, {_what_else(contents)}; {_SHAPE}"
        )
    by_class = dict(sorted(by_class.items()))
    return Listing(
        root=root,
        names=tuple(name for names in by_class.values() for name in names),
        labels=tuple(label for label, names in enumerate(by_class.values()) for _ in names),
        classes=tuple(by_class),
        flag=flag,
        left_out=contents.left_words(),
    )


def _no_folder(root: Path) -> str:
    if not root.exists():
        return f"no such folder; create the folder and {_SHAPE}"
    if root.is_file() and (zipfile.is_zipfile(root) or _is_tar(root)):
        archive, out = shlex.quote(str(root)), shlex.quote(f"data/{root.name.partition('.')[0]}")
        return (
            f"is an archive; unpack it with `python main.py download archive --archive={archive} "
            f"--out={out}`, or crop faces from it with `python main.py prepare {archive} "
            f"--out={out}`"
        )
    return f"is a file, not a folder; name a folder and {_SHAPE}"


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, tarfile.TarError, EOFError, ValueError):
        return False


def _refuse_others(contents: Contents, data_path: str | Path, flag: str) -> None:
    """Raise UsageError for a folder that cannot be listed whole, or holds one in use otherwise."""
    for name, why in contents.unreadable:
        raise UsageError(
            f"{flag} {data_path}: cannot read {Path(data_path) / name}: {why}; "
            "check its permissions, or move it elsewhere"
        )
    part = "heldout" if flag in ("--eval-path", "--against") else "train"
    for name in contents.prepared:
        folder = Path(data_path) / name
        raise UsageError(
            f"{flag} {data_path}: {f'it holds {folder}, which' if name else 'this'} was made by "
            f"prepare: its train and heldout pictures would be one set; use {flag}={folder / part}"
        )
    if "" in contents.runs:
        raise UsageError(
            f"{flag} {data_path}: is the folder of a run, and its pictures are sample grids; "
            "use the folder of the pictures"
        )


def _mixed(
    data_path: str | Path, loose: list[str], by_class: dict[str, list[str]], flag: str
) -> str:
    largest = max(by_class, key=lambda name: len(by_class[name]))
    below = sum(len(names) for names in by_class.values())
    way = "move the loose ones into a subfolder"
    if below < len(loose):
        way = f"move {_some(sorted(by_class))} elsewhere, or {way}"
    elif len(by_class) == 1 or len(by_class[largest]) >= len(loose):
        way += f", or use one of them: {flag} {Path(data_path) / largest}"
    return (
        f"{len(loose):,} pictures ({_some(loose)}) are next to subfolders with {below:,} pictures "
        f"({_some(sorted(by_class))}), and subfolders are classes; {way}"
    )


def _some(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _what_else(contents: Contents) -> str:
    words = contents.left_words()
    return f"only {words}" if words else "which are empty"
