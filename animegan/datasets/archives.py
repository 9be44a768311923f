"""The members of zip and tar archives, read without unpacking them to disk, within limits."""

import bz2
import gzip
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

from animegan.core.errors import reason
from animegan.data.formats import HEAD, has_picture_suffix, kind_of
from animegan.data.tree import is_left_out
from animegan.datasets.encodings import encoding_of, undo_escapes

MAX_MEMBERS = 1_000_000  # per archive
MAX_MEMBER_BYTES = 256 * 2**20  # per member, unpacked
MAX_GROWTH = 200  # an archive may unpack to this many times its size plus _FREE_BYTES
_FREE_BYTES = 2**30

ZIPS = (".zip", ".cbz")
TARS = (".tar", ".cbt", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
OTHER_ARCHIVES = (".rar", ".cbr", ".7z", ".cb7", ".tar.zst", ".gz", ".bz2", ".xz", ".zst")
DAMAGE = (
    OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, tarfile.TarError, zlib.error,
    lzma.LZMAError, NotImplementedError, RuntimeError, ValueError, UnicodeError,
)  # fmt: skip
NO_PICTURE = ("other file", "not a picture")


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
    return name.lower().endswith(ZIPS + TARS)


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


def members(path: Path, key: str) -> Iterator[Entry]:
    """Yield the members of a zip or tar; `key` is its own, empty if it is the whole source."""
    reader = _zip_members if path.name.lower().endswith(ZIPS) else _tar_members
    try:
        yield from reader(path, f"{key}!/" if key else "")
    except DAMAGE as error:
        yield Entry(key or path.name, problem=("broken", f"archive: {reason(error)}"))


def _zip_members(path: Path, prefix: str) -> Iterator[Entry]:
    status = os.stat(path)
    budget = _Budget(status.st_size)
    with zipfile.ZipFile(path) as opened:
        names = _zip_names(opened.infolist())
        last = dict(zip(names, opened.infolist(), strict=True))
        for info, name in zip(opened.infolist(), names, strict=True):
            if info.is_dir():
                continue
            key = prefix + name
            if stop := budget.over(info.file_size):
                yield Entry(key, problem=("refused", stop))
                return
            problem = _member_problem(name, info.file_size)
            if problem == _HIDDEN:
                continue
            if problem is None and last[name] is not info:
                problem = ("refused", "duplicate name in the archive")
            if problem is None and info.flag_bits & 1:
                problem = ("refused", "encrypted")

            if problem is None and not has_picture_suffix(name):
                problem = _sniffed(partial(_unzipped, opened, info, HEAD))
            read = partial(_unzipped, opened, info)
            stamp = f"{info.CRC:08x}:{info.file_size}:{status.st_mtime_ns}"
            yield Entry(key, stamp, read=_guarded(read), problem=problem)


def _unzipped(
    opened: zipfile.ZipFile, info: zipfile.ZipInfo, size: int = MAX_MEMBER_BYTES + 1
) -> bytes:
    with opened.open(info) as member:
        return member.read(size)


def _zip_names(members: list[zipfile.ZipInfo]) -> list[str]:
    """Return the members' names; those without the flag of UTF-8 in the encoding that fits all."""
    raw = {
        index: info.orig_filename.encode("cp437")
        for index, info in enumerate(members)
        if not info.flag_bits & 0x800
        and not info.filename.isascii()
        and info.filename == info.orig_filename.replace(os.sep, "/")  # else a field held the name
    }
    encoding = encoding_of(raw.values())
    return [
        raw[index].decode(encoding).partition("\0")[0] if index in raw else info.filename
        for index, info in enumerate(members)
    ]


def _tar_members(path: Path, prefix: str) -> Iterator[Entry]:
    status = os.stat(path)
    budget = _Budget(status.st_size)
    with (
        _unpacked(path) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as opened,
    ):
        for info in opened:
            opened.members = []  # type: ignore[attr-defined]  # do not keep every header
            if info.isdir():
                continue
            name = undo_escapes(info.name)
            key = prefix + name
            if stop := budget.over(info.size if info.isreg() else 0):
                yield Entry(key, problem=("refused", stop))
                return
            problem = _member_problem(name, info.size)
            if problem == _HIDDEN:
                continue
            if problem is None and not info.isreg():
                problem = ("refused", "a link or device")

            read = partial(_read_member, opened, info)

            if problem is None and not has_picture_suffix(name):
                try:  # a stream cannot go back, so the bytes are kept
                    content = _guarded(read)()
                except DamagedMember as error:
                    yield Entry(key, problem=("broken", str(error)))
                    continue
                if kind_of(content[:HEAD]) is None:
                    problem = NO_PICTURE
                read = partial(bytes, content)
            stamp = f"{info.size}:{info.mtime}:{status.st_mtime_ns}"
            yield Entry(key, stamp, read=_guarded(read), problem=problem)
        while rest := len(stream.read(2**20)):  # behind the last member are checksums, which it
            if stop := budget.over(rest):  # takes reading to the end to compare
                yield Entry(prefix.removesuffix("!/") or path.name, problem=("refused", stop))
                return


def _unpacked(path: Path) -> IO[bytes]:
    """Open what a tar is packed with, by its first bytes; unlike tarfile, it compares checksums."""
    with path.open("rb") as file:
        first = file.read(6)
    for start, opener in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open)):
        if first.startswith(start):
            return cast(IO[bytes], opener(path, "rb"))
    return path.open("rb")


def _read_member(opened: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    member = opened.extractfile(info)
    return b"" if member is None else member.read(MAX_MEMBER_BYTES + 1)


class _Header(tarfile.TarInfo):
    """A header whose long name, or whose table of attributes, is held to a sensible size.

    tarfile reads them into memory whole, however large the header says that they are.
    """

    def _proc_member(self, opened: tarfile.TarFile) -> Self | tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        member: tarfile.TarInfo = super()._proc_member(opened)  # type: ignore[misc]
        return member


_MAX_HEADER = 2**20
_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip


def _sniffed(head: Callable[[], bytes]) -> tuple[str, str] | None:
    """Return the problem of a member whose first bytes are not those of a picture."""
    try:
        return None if kind_of(head()) is not None else NO_PICTURE
    except DAMAGE as error:
        return "broken", reason(error)


def _guarded(read: Callable[[], bytes]) -> Callable[[], bytes]:
    def guarded() -> bytes:
        try:
            data = read()
        except DAMAGE as error:
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
    if any(is_left_out(part) for part in parts):
        return _HIDDEN
    lower = name.lower()
    if lower.endswith(ZIPS + TARS + OTHER_ARCHIVES):
        return "other file", "an archive inside an archive; unpack the outer one"
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
    for suffix in sorted(ZIPS + TARS, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or name
    return name
