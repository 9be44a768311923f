"""Iterate over the files of a folder and its archives without unpacking them to disk.

Nothing is ever written below the source, and no name in an archive is used as a path on disk.
"""

import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from animegan.core.errors import reason
from animegan.datasets.pictures import looks_like_picture, picture_suffixes

MAX_MEMBERS = 1_000_000  # per archive
MAX_MEMBER_BYTES = 256 * 2**20  # per member, unpacked
MAX_GROWTH = 200  # an archive may unpack to this many times its size plus _FREE_BYTES
_FREE_BYTES = 2**30

_ZIPS = (".zip", ".cbz")
_TARS = (".tar", ".cbt", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
_OTHER_ARCHIVES = (".rar", ".cbr", ".7z", ".cb7", ".tar.zst", ".gz", ".bz2", ".xz", ".zst")
_DAMAGE = (
    OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, tarfile.TarError, zlib.error,
    lzma.LZMAError, NotImplementedError, RuntimeError, ValueError, UnicodeError,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A file of the source, or a member of an archive in it.

    `read` returns the bytes of an archive's member and is valid until the next entry is requested.
    `problem` is (reason, detail) if the entry is known to be unusable without reading it.
    """

    key: str  # path relative to the source, with "/"; an archive's member follows "!/"
    stamp: str = ""  # changes if the content may have changed
    path: Path | None = None
    read: Callable[[], bytes] | None = None
    problem: tuple[str, str] | None = None

    @property
    def folder(self) -> str:
        """Name of the top-level folder; an archive at the top level counts as one."""
        parts = PurePosixPath(self.key.replace("!/", "/")).parts
        if len(parts) < 2:
            return ""
        return _stem(parts[0]) if is_archive(parts[0]) and "!/" in self.key else parts[0]


class DamagedMember(Exception):  # noqa: N818  (what is damaged is the member)
    """A member of an archive that cannot be read; the message is the reason, on one line."""


def is_archive(name: str) -> bool:
    """Whether the name is that of an archive that `walk` can read."""
    return name.lower().endswith(_ZIPS + _TARS)


def walk(source: Path, archives: bool = True, without: Path | None = None) -> Iterator[Entry]:
    """Yield every file of a folder or archive, in an order that depends on names only.

    Hidden names are skipped. Links are followed, except into a folder that is already being
    walked.

    Args:
        source: a folder or an archive.
        archives: read archives inside the folder; otherwise they are reported as other files.
        without: a folder to skip.
    """
    if source.is_dir():
        yield from _folder(source, "", archives, _identity(without), frozenset())
    else:
        yield from _archive(source, "")


def count(source: Path, archives: bool = True, without: Path | None = None) -> int | None:
    """Return the number of entries of `walk`, or None if it is unknown without unpacking."""
    if not source.is_dir() or not archives:
        return None if archives else sum(1 for _ in walk(source, archives, without))
    total = 0
    for entry in walk(source, False, without):
        name = entry.key.lower()
        if name.endswith(_TARS):
            return None
        if name.endswith(_ZIPS):
            try:
                with zipfile.ZipFile(source / entry.key) as opened:
                    total += len(opened.infolist())
            except _DAMAGE:
                total += 1
        else:
            total += 1
    return total


def _folder(
    folder: Path,
    above: str,
    archives: bool,
    without: tuple[int, int] | None,
    open_folders: frozenset[tuple[int, int]],
) -> Iterator[Entry]:
    here = _identity(folder)
    if here is None or here == without or here in open_folders:
        return
    try:
        with os.scandir(folder) as found:
            names = sorted(entry.name for entry in found if not entry.name.startswith("."))
    except OSError as error:
        yield Entry(above.rstrip("/") or ".", problem=("broken", f"folder: {reason(error)}"))
        return
    for name in names:
        path, key = folder / name, above + name
        try:
            status = os.stat(path)
        except OSError as error:
            dangling = "dangling link" if path.is_symlink() else reason(error)
            yield Entry(key, problem=("broken", dangling))
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _folder(path, key + "/", archives, without, open_folders | {here})
        elif not stat.S_ISREG(status.st_mode):  # opening a pipe would block
            yield Entry(key, problem=("other file", "not a regular file"))
        elif is_archive(name) and archives:
            yield from _archive(path, key)
        else:
            stamp = f"{status.st_size}:{status.st_mtime_ns}"
            yield Entry(key, stamp, path, problem=_not_a_picture(name, path))


def _not_a_picture(name: str, path: Path) -> tuple[str, str] | None:
    lower = name.lower()
    if os.path.splitext(lower)[1] in picture_suffixes():
        return None
    if lower.endswith(_ZIPS + _TARS + _OTHER_ARCHIVES):
        return "other file", "an unsupported archive; unpack it"
    try:
        with open(path, "rb") as file:
            head = file.read(32)
    except OSError as error:
        return "broken", reason(error)
    return None if looks_like_picture(head) else ("other file", "not a picture")


# ---------------------------------------------------------------------------------------------
# archives


@dataclass
class _Budget:
    """Tracks an archive's members and unpacked size against the limits."""

    size: int  # of the archive
    members: int = 0
    unpacked: int = field(default=0)

    def over(self, member_bytes: int) -> str | None:
        """Count a member; return the reason to stop reading the archive, or None."""
        self.members += 1
        self.unpacked += member_bytes
        if self.members > MAX_MEMBERS:
            return f"more than {MAX_MEMBERS:,} members; the rest is skipped"
        if self.unpacked > MAX_GROWTH * self.size + _FREE_BYTES:
            return f"unpacks to more than {MAX_GROWTH} times its size; the rest is skipped"
        return None


def _archive(path: Path, key: str) -> Iterator[Entry]:
    """Yield the members of a zip or tar; `key` is its own, empty if it is the whole source."""
    reader = _zip_members if path.name.lower().endswith(_ZIPS) else _tar_members
    try:
        yield from reader(path, f"{key}!/" if key else "")
    except _DAMAGE as error:
        yield Entry(key or path.name, problem=("broken", f"archive: {reason(error)}"))


def _zip_members(path: Path, prefix: str) -> Iterator[Entry]:
    status = os.stat(path)
    budget = _Budget(status.st_size)
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            if info.is_dir():
                continue
            key = prefix + info.filename
            if stop := budget.over(info.file_size):
                yield Entry(key, problem=("refused", stop))
                return
            problem = _member_problem(info.filename, info.file_size)
            if problem is None and opened.getinfo(info.filename) is not info:
                problem = ("refused", "duplicate name in the archive")
            if problem is None and info.flag_bits & 1:
                problem = ("refused", "encrypted")
            if problem == _HIDDEN:
                continue

            def read(info: zipfile.ZipInfo = info) -> bytes:
                with opened.open(info) as member:
                    return member.read(MAX_MEMBER_BYTES + 1)

            stamp = f"{info.CRC:08x}:{info.file_size}:{status.st_mtime_ns}"
            yield Entry(key, stamp, read=_guarded(read), problem=problem)


def _tar_members(path: Path, prefix: str) -> Iterator[Entry]:
    status = os.stat(path)
    budget = _Budget(status.st_size)
    with tarfile.open(path, "r|*") as opened:
        for info in opened:
            opened.members = []  # type: ignore[attr-defined]  # do not keep every header
            if info.isdir():
                continue
            key = prefix + info.name
            if stop := budget.over(info.size if info.isreg() else 0):
                yield Entry(key, problem=("refused", stop))
                return
            problem = _member_problem(info.name, info.size)
            if problem is None and not info.isreg():
                problem = ("refused", "a link or device")
            if problem == _HIDDEN:
                continue

            def read(info: tarfile.TarInfo = info) -> bytes:
                member = opened.extractfile(info)
                return b"" if member is None else member.read(MAX_MEMBER_BYTES + 1)

            stamp = f"{info.size}:{info.mtime}:{status.st_mtime_ns}"
            yield Entry(key, stamp, read=_guarded(read), problem=problem)


def _guarded(read: Callable[[], bytes]) -> Callable[[], bytes]:
    def guarded() -> bytes:
        try:
            data = read()
        except _DAMAGE as error:
            raise DamagedMember(reason(error)) from error
        if len(data) > MAX_MEMBER_BYTES:  # the header claimed less
            raise DamagedMember(f"unpacks to more than {MAX_MEMBER_BYTES >> 20} MiB")
        return data

    return guarded


_HIDDEN = ("hidden", "")


def _member_problem(name: str, size: int) -> tuple[str, str] | None:
    parts = PurePosixPath(name).parts
    if is_unsafe(name):
        return "refused", "unsafe name: it points outside the archive"
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return _HIDDEN
    lower = name.lower()
    if lower.endswith(_ZIPS + _TARS + _OTHER_ARCHIVES):
        return "other file", "an archive inside an archive; unpack the outer one"
    if os.path.splitext(lower)[1] not in picture_suffixes():
        return "other file", "not a picture"
    if size > MAX_MEMBER_BYTES:
        return "refused", f"unpacks to more than {MAX_MEMBER_BYTES >> 20} MiB"
    return None


def is_unsafe(name: str) -> bool:
    """Whether a member's name would escape the folder that it is unpacked into."""
    return (
        not name
        or name.startswith(("/", "\\"))
        or re.match(r"[A-Za-z]:", name) is not None
        or "\0" in name
        or ".." in re.split(r"[/\\]", name)
    )


def _stem(name: str) -> str:
    for suffix in sorted(_ZIPS + _TARS, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or name
    return name


def _identity(path: Path | None) -> tuple[int, int] | None:
    try:
        status = os.stat(path) if path is not None else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None
