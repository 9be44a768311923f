"""The folder of everything that can be made again: where it is, what is in it, clearing it.

A decoded set is `<cache>/<name>-<hash of the path>/<key>/`, with `images.bin` and `meta.json`.
"""

import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from animegan.core.locks import Held, lock

GROUP = re.compile(r".*-[0-9a-f]{12}")  # the caches of one folder of pictures
KEY = re.compile(r"[0-9a-f]{32}(\.tmp)?")  # one of them, or one being built
_OTHERS = ("features",)  # of evaluations


@dataclass(frozen=True)
class Cached:
    """Something in the cache."""

    folder: Path
    name: str  # of the folder of pictures, or "features"
    bytes: int
    days: float  # since it was last written


def cache_root() -> Path:
    """Return $ANIMEGAN_CACHE, else $XDG_CACHE_HOME/animegan, else ~/.cache/animegan.

    A user without a home folder gets one below the system's temporary folder.
    """
    if named := os.environ.get("ANIMEGAN_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base.startswith("~"):
        user = os.getuid() if hasattr(os, "getuid") else "user"
        return Path(tempfile.gettempdir()) / f"animegan-{user}"
    return Path(base) / "animegan"


def cached(root: Path | None = None) -> list[Cached]:
    """Return what is in the cache, the largest first; nothing is ever taken for ours that is not
    named like it.
    """
    root = cache_root() if root is None else root
    entries = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not folder.is_dir() or folder.is_symlink():
            continue
        if folder.name in _OTHERS:
            entries.append(_entry(folder, folder.name))
        elif GROUP.fullmatch(folder.name):
            entries += [
                _entry(key, folder.name[:-13])
                for key in sorted(folder.iterdir())
                if KEY.fullmatch(key.name) and key.is_dir() and not key.is_symlink()
            ]
    return sorted(entries, key=lambda entry: -entry.bytes)


def clear(root: Path | None = None) -> tuple[int, int]:
    """Delete what `cached` lists; return how many entries and bytes went.

    One that another process is building is left.
    """
    count = size = 0
    for entry in cached(root):
        group = entry.folder.parent
        try:
            if GROUP.fullmatch(group.name):
                with lock(group / "lock"):
                    shutil.rmtree(entry.folder)
            else:
                shutil.rmtree(entry.folder)
        except (Held, OSError):
            continue
        count, size = count + 1, size + entry.bytes
    return count, size


def _entry(folder: Path, name: str) -> Cached:
    size, newest = 0, 0.0
    for where, _, files in os.walk(folder):
        for file in files:
            try:
                status = os.stat(os.path.join(where, file))
            except OSError:  # gone meanwhile
                continue
            size, newest = size + status.st_size, max(newest, status.st_mtime)
    return Cached(folder, name, size, max(0.0, time.time() - newest) / 86400 if newest else 0.0)
