"""Labels: subfolders as classes, or a CSV of attributes (`file,hair,eyes`).

A picture's labels are int64, one an attribute, -1 where unknown.
"""

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from animegan.errors import UsageError, refuse

if TYPE_CHECKING:
    from animegan.data.folder import Listing

UNKNOWN = -1
_SHOWN = 12  # values listed in an error
_KEPT = 1000  # combinations of labels that a weight file keeps, the most frequent


@dataclass(frozen=True)
class Attributes:
    """Attributes' names, and each one's values in the order of their numbers."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each attribute has: `classes` of the networks."""
        return tuple(len(one) for one in self.values)

    def lookup(self, text: str) -> list[int]:
        """Labels for "hair=blonde,eyes=blue"; attributes not named are unknown.

        Where there is but one attribute its name may be left out. Raises UsageError.
        """
        labels = [UNKNOWN] * len(self.names)
        problems = []
        for part in text.split(","):
            name, equals, value = (one.strip() for one in part.partition("="))
            if not equals and len(self.names) == 1:
                name, value = self.names[0], name
            if name not in self.names:
                problems.append(f"there is no {name!r}; {_known(name, self.names, 'attributes')}")
                continue
            known = self.values[self.names.index(name)]
            if value not in known:
                problems.append(f"{name} is never {value!r}; {_known(value, known, 'values')}")
                continue
            labels[self.names.index(name)] = known.index(value)
        refuse(f"--label {text}: {problem}" for problem in problems)
        return labels

    def words(self, labels: Sequence[int]) -> str:
        """The inverse of `lookup`: "hair=blonde,eyes=blue"."""
        pairs = zip(self.names, self.values, labels, strict=True)
        return ",".join(f"{name}={known[i]}" for name, known, i in pairs if i != UNKNOWN)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for files."""
        return {"names": list(self.names), "values": [list(one) for one in self.values]}

    @classmethod
    def read(cls, saved: dict[str, Any]) -> "Attributes":
        """From `as_dict`. Raises KeyError or TypeError for what is none."""
        return cls(tuple(saved["names"]), tuple(tuple(one) for one in saved["values"]))


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a set of pictures: int64 [N, A] on the CPU, a row a picture."""

    attributes: Attributes
    rows: Tensor
    names: tuple[str, ...]  # of the pictures, relative to their folder, with "/"

    @property
    def known(self) -> int:
        """How many pictures have a label of some attribute."""
        return int((self.rows != UNKNOWN).any(1).sum())

    def of(self, names: Sequence[str]) -> "Labels":
        """Those of some of the pictures, in this order."""
        places = {name: i for i, name in enumerate(self.names)}
        rows = self.rows[[places[name] for name in names]]
        return Labels(self.attributes, rows, tuple(names))

    @property
    def digest(self) -> str:
        """A word that changes with any picture's labels, or their names."""
        lines = [str(self.attributes)]
        lines += [
            f"{name}: {row}" for name, row in zip(self.names, self.rows.tolist(), strict=True)
        ]
        return sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:12]

    def shares(self, most: int, unknown: bool = False) -> tuple[Tensor, list[int]]:
        """The `most` frequent combinations in order, [K, A], and how many pictures have each.

        Those with unknown labels are left out unless there are no others, or `unknown` is set.
        """
        rows = self.rows
        whole = (rows != UNKNOWN).all(1)
        if not unknown and bool(whole.any()):
            rows = rows[whole]
        kinds, counts = torch.unique(rows, dim=0, return_counts=True)
        kept = counts.argsort(descending=True, stable=True)[:most].sort().values
        return kinds[kept], counts[kept].tolist()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for weight files: the attributes, and how often each combination is."""
        kinds, counts = self.shares(_KEPT, unknown=True)
        return {**self.attributes.as_dict(), "rows": kinds.tolist(), "counts": counts}


def read_labels(labels: str | None, listing: "Listing") -> Labels | None:
    """What `--labels` asks for, of these pictures. Raises UsageError."""
    if labels is None:
        return None
    if labels == "folders":
        if len(listing.classes) < 2:
            raise UsageError(
                f"--labels folders: there is one class only ({listing.classes[0]}); put the "
                "pictures of each class into a subfolder, or leave the option out"
            )
        rows = torch.tensor(listing.labels, dtype=torch.int64).unsqueeze(1)
        return Labels(from_classes(listing.classes), rows, listing.names)
    files = [listing.root / name for name in listing.names]
    return Labels(*read_tags(Path(labels), files, "--labels"), listing.names)


def sizes_of(labels: Labels | None) -> tuple[int, ...]:
    """`classes` of the networks: none without labels."""
    return () if labels is None else labels.attributes.sizes


def from_classes(classes: Sequence[str]) -> Attributes:
    """Subfolders as the values of one attribute named "class"."""
    return Attributes(("class",), (tuple(classes),))


def read_tags(path: Path, files: Sequence[Path], flag: str = "--tags") -> tuple[Attributes, Tensor]:
    """Attributes of a CSV and the labels int64 [len(files), attributes] of the pictures.

    The header names the columns; the first is `file`: a path whose end is the end of a picture's
    path. An empty cell, like a picture without a row, is unknown. Raises UsageError for a file that
    is missing or no such CSV, with each line that is wrong, and if no row names any picture.
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
    found = 0
    depths = sorted({name.count("/") + 1 for name in rows}, reverse=True)  # the longest end wins
    for i, file in enumerate(files):
        names = ("/".join(file.parts[-depth:]) for depth in depths)
        row = next((rows[name] for name in names if name in rows), None)
        if row is not None:
            found += 1
            known = [one.get(value, UNKNOWN) for one, value in zip(numbers, row, strict=True)]
            labels[i] = torch.tensor(known)
    if not found:
        raise UsageError(
            f"{flag} {path}: none of its {len(rows):,} rows names one of the {len(files):,} "
            "pictures; a row starts with a file's name, 1.jpg"
        )
    return Attributes(columns, values), labels


def _read_rows(path: Path, flag: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """(attributes, {file: its values})."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except FileNotFoundError:
        raise UsageError(f"{flag} {path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{flag} {path}: cannot be read as a CSV in UTF-8 ({error})") from None
    header = lines[0] if lines else []
    if len(header) < 2 or header[0] != "file" or "" in header or len(set(header)) < len(header):
        raise UsageError(
            f"{flag} {path}: its first line must name the columns, each once, like file,hair,eyes; "
            f"it is {','.join(header)!r}"
        )
    rows: dict[str, tuple[str, ...]] = {}
    problems = []
    for number, cells in enumerate(lines[1:], 2):
        if not any(cells):
            continue
        name = cells[0].replace("\\", "/").removeprefix("./")
        if len(cells) != len(header):
            problems.append(f"line {number} has {len(cells)} cells, the header {len(header)}")
        elif not name:
            problems.append(f"line {number} names no file")
        elif name in rows:
            problems.append(f"line {number}: {name} has a row already")
        else:
            rows[name] = tuple(cells[1:])
    if len(problems) > 5:
        problems = [*problems[:5], f"and {len(problems) - 5} more lines"]
    refuse(f"{flag} {path}: {problem}" for problem in problems)
    return tuple(header[1:]), rows


def _known(wrong: str, known: Sequence[str], what: str) -> str:
    near = difflib.get_close_matches(wrong, known, 1)
    if near:
        return f"did you mean {near[0]}?"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"the {what} are {', '.join(known[:_SHOWN])}{more}"
