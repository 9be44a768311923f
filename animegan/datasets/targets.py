"""Where a source's file goes: portable names, of which no two are ever the same on any disk."""

import os
import re
import unicodedata
from collections import Counter
from hashlib import blake2b

from animegan.datasets.encodings import undo_escapes

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")  # by Windows
_LONGEST = 180  # bytes of a name; disks take 255, temporary names add some


def portable(name: str) -> str:
    """Turn a file's or folder's name into one that every system accepts; never empty or hidden."""
    readable = unicodedata.normalize("NFC", undo_escapes(name))
    clean = re.sub(r"[^\w .()+-]", "_", readable).strip(" .")
    if not clean or _RESERVED.fullmatch(clean):
        clean = f"_{clean}"
    return clean


class Targets:
    """Assigns paths to sources: different sources get different paths, also on disks that do not
    tell upper from lower case or composed from decomposed characters.

    A name that is taken gets a suffix made from the source's own name, so that the same sources in
    the same order get the same paths in every run.
    """

    def __init__(self, *, as_they_are: bool = False) -> None:
        """With `as_they_are`, names are changed only if they are taken."""
        self._as_they_are = as_they_are
        self._taken: dict[str, str] = {}  # folded path -> the source's path
        self._paths: dict[str, str] = {}  # of folders: source's path -> ours
        self.renamed: Counter[str] = Counter()  # "source's name -> ours"
        self.changed = 0  # names that had to be changed

    def place(self, source: str) -> str:
        """Return the path, with "/", for a source's path with "/"; one call for each file."""
        folder, _, name = source.rpartition("/")
        return self._assign(source, self.folder(folder) if folder else "", name)

    def folder(self, source: str) -> str:
        """Return the path, with "/", for a source's folder; the same one in every call."""
        known = self._paths.get(source)
        if known is None:
            above, _, name = source.rpartition("/")
            known = self._assign(source + "/", self.folder(above) if above else "", name)
            self._paths[source] = known
        return known

    def _assign(self, source: str, above: str, name: str) -> str:
        clean = name if self._as_they_are else portable(name)
        prefix = f"{above}/" if above else ""
        stem, suffix = os.path.splitext(clean)
        long = not self._as_they_are and len(clean.encode()) > _LONGEST
        if long or prefix + fold(clean) in self._taken:
            mark = hashed(source.encode("utf-8", "surrogateescape"))
            suffix = suffix[:10]  # a longer one is none
            room = _LONGEST - len(suffix.encode(errors="surrogateescape")) - len(mark) - 1
            while len(stem.encode(errors="surrogateescape")) > room:
                stem = stem[:-1]
            clean = f"{stem}-{mark}{suffix}"
        while prefix + fold(clean) in self._taken:  # the name is that of another source by chance
            clean = f"_{clean}"
        self._taken[prefix + fold(clean)] = source
        if clean != name:
            self.changed += 1
            if len(self.renamed) < 3:
                self.renamed[f"{name} -> {clean}"] += 1
        return prefix + clean

    def words(self) -> str:
        """Return which names were changed, for messages; empty if none were."""
        if not self.changed:
            return ""
        shown = ", ".join(self.renamed) + (", ..." if self.changed > len(self.renamed) else "")
        return f"{self.changed:,} names changed to portable, different ones: {shown}"


def fold(name: str) -> str:
    """Return what a disk that ignores case and composition would compare."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def hashed(content: bytes) -> str:
    """Return 8 hexadecimal digits that stand for some bytes."""
    return blake2b(content, digest_size=4).hexdigest()
