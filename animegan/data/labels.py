"""Labels: subfolders as classes, or a CSV of attributes (`file,hair,eyes`).

A picture's labels are int64, one per attribute, and -1 where unknown.
"""

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch
from torch import Tensor

from animegan.core.errors import UsageError, refuse
from animegan.core.files import open_regular
from animegan.runtime import seeds

if TYPE_CHECKING:
    from animegan.data.folder import Listing

UNKNOWN = -1
_SHOWN = 12  # maximum number of values listed in an error
_COLUMNS = 257  # the file and this many attributes less one
_LINE = 2**20  # characters
_KEPT = 5000  # maximum number of combinations of labels stored in a weight file


@dataclass(frozen=True)
class Attributes:
    """The names of the attributes, and the values of each, in the order of their numbers."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each attribute: `classes` of the networks."""
        return tuple(len(values) for values in self.values)

    def lookup(self, text: str) -> list[int]:
        """Return the labels for "hair=blonde,eyes=blue"; other attributes are unknown.

        If there is only one attribute, its name may be left out. Raises UsageError for unknown
        attributes and values.
        """
        labels = [UNKNOWN] * len(self.names)
        problems = []
        for part in text.split(","):
            name, equals, value = (side.strip() for side in part.partition("="))
            if not equals and len(self.names) == 1:
                name, value = self.names[0], name
            if name not in self.names:
                problems.append(f"no attribute {name!r}; {_known(name, self.names, 'attributes')}")
                continue
            known = self.values[self.names.index(name)]
            if value not in known:
                problems.append(f"{name} has no value {value!r}; {_known(value, known, 'values')}")
                continue
            labels[self.names.index(name)] = known.index(value)
        refuse(f"--label {text}: {problem}" for problem in problems)
        return labels

    def words(self, labels: Sequence[int]) -> str:
        """Return labels as text such as "hair=blonde,eyes=blue", the inverse of `lookup`."""
        pairs = zip(self.names, self.values, labels, strict=True)
        return ",".join(f"{name}={known[i]}" for name, known, i in pairs if i != UNKNOWN)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for weight files."""
        return {"names": list(self.names), "values": [list(values) for values in self.values]}

    @classmethod
    def read(cls, saved: dict[str, Any]) -> "Attributes":
        """Restore from `as_dict`; KeyError or TypeError for anything else."""
        return cls(tuple(saved["names"]), tuple(tuple(values) for values in saved["values"]))


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a set of N pictures with A attributes: `rows` is int64 [N, A] on the CPU."""

    attributes: Attributes
    rows: Tensor
    names: tuple[str, ...]  # of the pictures, relative to their folder, with "/"

    @property
    def known(self) -> int:
        """The number of pictures with at least one known label."""
        return int((self.rows != UNKNOWN).any(1).sum())

    def of(self, names: Sequence[str]) -> "Labels":
        """Return the labels of the pictures `names`, in this order."""
        places = {name: i for i, name in enumerate(self.names)}
        rows = self.rows[[places[name] for name in names]]
        return Labels(self.attributes, rows, tuple(names))

    @property
    def digest(self) -> str:
        """A hash of all pictures' names and labels and of the attributes: 12 hexadecimal digits."""
        lines = [str(self.attributes)]
        lines += [
            f"{name}: {row}" for name, row in zip(self.names, self.rows.tolist(), strict=True)
        ]
        return sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:12]

    def shares(self, most: int, unknown: bool = False) -> tuple[Tensor, list[int]]:
        """Return the `most` most frequent combinations, int64 [K, A] in sorted order, and the
        number of pictures with each.

        Combinations with unknown labels are left out unless there are no others or `unknown` is
        set.
        """
        rows = self.rows
        whole = (rows != UNKNOWN).all(1)
        if not unknown and bool(whole.any()):
            rows = rows[whole]
        kinds, counts = torch.unique(rows, dim=0, return_counts=True)
        kept = counts.argsort(descending=True, stable=True)[:most].sort().values
        return kinds[kept], counts[kept].tolist()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for weight files: the attributes, and counts per combination.

        If there are more than _KEPT combinations, they are those of as many random pictures.
        """
        kinds, counts = self.shares(len(self.rows), unknown=True)
        if len(kinds) > _KEPT:
            source = seeds.generator(0, "labels-kept")
            some = self.rows[torch.randperm(len(self.rows), generator=source)[:_KEPT]]
            kinds, counts = replace(self, rows=some).shares(_KEPT, unknown=True)
        return {**self.attributes.as_dict(), "rows": kinds.tolist(), "counts": counts}


def read_labels(labels: str | None, listing: "Listing") -> Labels | None:
    """Return the labels that --labels assigns to the listed pictures; None without --labels.

    Raises UsageError if there are fewer than two classes, or as `read_tags` does.
    """
    if labels is None:
        return None
    if labels == "folders":
        if len(listing.classes) < 2:
            raise UsageError(
                f"--labels folders: there is only one class ({listing.classes[0]}); put the "
                "pictures of each class into a subfolder, or leave the option out"
            )
        rows = torch.tensor(listing.labels, dtype=torch.int64).unsqueeze(1)
        return Labels(from_classes(listing.classes), rows, listing.names)
    files = [listing.root / name for name in listing.names]
    return Labels(*read_tags(Path(labels), files, "--labels"), listing.names)


def sizes_of(labels: Labels | None) -> tuple[int, ...]:
    """Return `classes` of the networks: the number of values of each attribute, () if none."""
    return () if labels is None else labels.attributes.sizes


def from_classes(classes: Sequence[str]) -> Attributes:
    """Return a single attribute named "class", with the subfolders as its values."""
    return Attributes(("class",), (tuple(classes),))


def read_tags(path: Path, files: Sequence[Path], flag: str = "--tags") -> tuple[Attributes, Tensor]:
    """Read a CSV of attributes; return them and the pictures' labels, int64 [len(files), A].

    The header names the columns. The first is `file`, a path that matches the end of a picture's
    path. An empty cell means unknown, and so does a missing row. Raises UsageError if the file is
    missing or malformed (listing the wrong lines), or if no row matches any picture.
    """
    columns, rows = _read_rows(path, flag)
    values = tuple(
        tuple(sorted({row[i] for row in rows.values()} - {""})) for i in range(len(columns))
    )
    empty = [name for name, known in zip(columns, values, strict=True) if not known]
    if empty:
        raise UsageError(f"{flag} {path}: no row has a value for {', '.join(empty)}")
    numbers = [{value: i for i, value in enumerate(known)} for known in values]
    labels = torch.full((len(files), len(columns)), UNKNOWN, dtype=torch.int64)
    labelled = 0
    depths = sorted({name.count("/") + 1 for name in rows}, reverse=True)  # longest match first
    for i, file in enumerate(files):
        names = ("/".join(file.parts[-depth:]) for depth in depths)
        row = next((rows[name] for name in names if name in rows), None)
        if row is not None:
            labelled += 1
            known = [index.get(value, UNKNOWN) for index, value in zip(numbers, row, strict=True)]
            labels[i] = torch.tensor(known)
    if not labelled:
        raise UsageError(
            f"{flag} {path}: none of its {len(rows):,} rows matches any of the {len(files):,} "
            "pictures; the first cell of a row is a file name such as 1.jpg"
        )
    return Attributes(columns, values), labels


def _read_rows(path: Path, flag: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Read a CSV as (attribute names, {file: its values})."""
    try:
        with (
            open_regular(path) as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file,
        ):
            rows_of_cells = csv.reader(_bounded(file), strict=True)
            lines = [[cell.strip() for cell in row] for row in rows_of_cells]
    except FileNotFoundError:
        raise UsageError(f"{flag} {path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{flag} {path}: cannot be read as a UTF-8 CSV file ({error})") from None
    header = lines[0] if lines else []
    if len(header) > _COLUMNS:
        raise UsageError(
            f"{flag} {path}: its header has {len(header):,} columns; {_COLUMNS} are the most"
        )
    if len(header) < 2 or header[0] != "file" or "" in header or len(set(header)) < len(header):
        raise UsageError(
            f"{flag} {path}: its first line must be a header of distinct columns, such as "
            f"file,hair,eyes; it is {','.join(header)!r}"
        )
    rows: dict[str, tuple[str, ...]] = {}
    problems = []
    for number, cells in enumerate(lines[1:], 2):
        if not any(cells):
            continue
        name = cells[0].replace("\\", "/").removeprefix("./")
        if len(cells) != len(header):
            problems.append(f"line {number} has {len(cells)} cells, but the header {len(header)}")
        elif not name:
            problems.append(f"line {number} has no file name")
        elif name in rows:
            problems.append(f"line {number}: {name} already has a row")
        else:
            rows[name] = tuple(cells[1:])
    if len(problems) > 5:
        problems = [*problems[:5], f"and {len(problems) - 5} more lines"]
    refuse(f"{flag} {path}: {problem}" for problem in problems)
    return tuple(header[1:]), rows


def _bounded(file: TextIO) -> Iterator[str]:
    """Yield a file's lines; csv.Error for one that is longer than any of a table."""
    while line := file.readline(_LINE):
        if len(line) == _LINE:
            raise csv.Error(f"a line of more than {_LINE:,} characters")
        yield line


def _known(wrong: str, known: Sequence[str], what: str) -> str:
    near = difflib.get_close_matches(wrong, known, 1)
    if near:
        return f"did you mean {near[0]}?"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"the {what} are {', '.join(known[:_SHOWN])}{more}"
