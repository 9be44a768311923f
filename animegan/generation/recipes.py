"""Recipes: what a face is drawn from, as a small JSON value that a page, a file and a call share.

A recipe is one of

- `{"seed": 7, "index": 12}`: candidate 12 of seed 7, as `generate` numbers them;
- `{"near": RECIPE, "distance": 0.4, "index": 3}`: the third neighbour of another face;
- `{"mix": [[RECIPE, weight], ...]}`: between faces;

and may say `"truncation"` (factor of the noise), `"label"` (as --label) and `"edit"` (strengths of
directions by name), which hold for the picture as a whole and so stand outside, not in its parts.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animegan.core.errors import UsageError, reason

MOST_SEED = 2**31 - 1
MOST_INDEX = 10**10 - 1
MOST_DEPTH = 32  # of recipes in recipes
MOST_PARTS = 256  # of one recipe, over all depths
MOST_MIXED = 8  # parts of one mix
MOST_EDITS = 32
MOST_STRENGTH = 20.0
MOST_TRUNCATION = 2.0
MOST_TEXT = 300  # characters of a label or a direction's name
MOST_RECIPES = 10_000  # of one file
MOST_BYTES = 16 * 2**20  # of one file


@dataclass(frozen=True)
class Candidate:
    """Candidate `index` of a seed."""

    seed: int
    index: int


@dataclass(frozen=True)
class Near:
    """Neighbour `index` of a face: 0 is at `distance` 0, an unrelated face at 1."""

    parent: "Base"
    distance: float
    index: int


@dataclass(frozen=True)
class Mix:
    """A mixture of faces; the weights are at least 0, and not all 0."""

    parts: tuple[tuple["Base", float], ...]


Base = Candidate | Near | Mix


@dataclass(frozen=True)
class Recipe:
    """A face and what is done to it as a whole.

    Attributes:
        base: where its noise comes from.
        truncation: factor of the noise; below 1, faces are more alike and cleaner.
        label: as --label takes it; None: as its candidate has it.
        edit: (name of a direction, strength in standard deviations of the noise).
    """

    base: Base
    truncation: float = 1.0
    label: str | None = None
    edit: tuple[tuple[str, float], ...] = ()


def read_recipes(text: str, flag: str = "--recipes") -> list[Recipe]:
    """Read a JSON file of recipes, or the JSON itself: one recipe, or a list of at least one.

    Raises UsageError if there is no such file, or it holds anything else.
    """
    shown = f"{flag} {text[:60]}"
    content = text
    if not text.lstrip().startswith(("[", "{")):
        path = Path(text)
        try:
            if path.stat().st_size > MOST_BYTES:
                raise UsageError(
                    f"{shown}: has more than {MOST_BYTES:,} bytes; give a smaller file"
                )
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{shown}: cannot be read ({reason(error)}); give a file of recipes, as the studio "
                "saves them"
            ) from None
    value = parse_json(content, shown)
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= MOST_RECIPES:
        raise UsageError(f"{shown}: has {len(values):,} recipes; give 1 to {MOST_RECIPES:,}")
    return [parse(one, shown) for one in values]


def parse_json(text: str, where: str) -> Any:
    """Return the value of a JSON text. Raises UsageError, beginning with `where`, for others."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: is not JSON ({reason(error, 60)})") from None


def parse(value: object, where: str) -> Recipe:
    """Check a JSON value and return its recipe.

    Raises UsageError, beginning with `where`, for anything but a recipe, or one that is too deep.
    """
    reader = _Reader(where)
    if not isinstance(value, dict):
        raise reader.wrong("a recipe is an object such as", value)
    whole = {name: value[name] for name in ("truncation", "label", "edit") if name in value}
    base = reader.base({name: value[name] for name in value.keys() - whole.keys()}, 0)
    label = whole.get("label")
    if label is not None and not (isinstance(label, str) and 0 < len(label) <= MOST_TEXT):
        raise reader.wrong('"label" is a text such as "hair=blonde", not', label)
    edit = whole.get("edit", {})
    if not isinstance(edit, dict) or len(edit) > MOST_EDITS:
        raise reader.wrong('"edit" is an object of strengths by direction, not', edit)
    strengths = tuple(
        (name, reader.number(edit[name], "strength", -MOST_STRENGTH, MOST_STRENGTH))
        for name in sorted(edit)
    )
    if any(len(name) > MOST_TEXT for name in edit):
        raise reader.wrong("a direction's name is shorter than", max(edit, key=len))
    return Recipe(
        base,
        reader.number(whole.get("truncation", 1), "truncation", 0, MOST_TRUNCATION),
        label,
        tuple((name, strength) for name, strength in strengths if strength),
    )


class _Reader:
    """Reads one recipe; counts its parts."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.parts = 0

    def wrong(self, rule: str, value: object) -> UsageError:
        """Return the error that a value breaks a rule."""
        shown = reason(ValueError(json.dumps(value, ensure_ascii=False)), 60)
        return UsageError(f'{self.where}: {rule} {shown}; write {{"seed": 7, "index": 12}}')

    def base(self, value: object, depth: int) -> Base:
        self.parts += 1
        if depth > MOST_DEPTH or self.parts > MOST_PARTS:
            raise UsageError(
                f"{self.where}: has more than {MOST_DEPTH} recipes in each other or {MOST_PARTS} "
                "parts; begin from another face"
            )
        if not isinstance(value, dict):
            raise self.wrong("a face is a recipe, not", value)
        match sorted(value):
            case ["index", "seed"]:
                return Candidate(
                    self.whole(value["seed"], "seed", MOST_SEED),
                    self.whole(value["index"], "index", MOST_INDEX),
                )
            case ["distance", "index", "near"]:
                return Near(
                    self.base(value["near"], depth + 1),
                    self.number(value["distance"], "distance", 0, 1),
                    self.whole(value["index"], "index", MOST_INDEX),
                )
            case ["mix"]:
                return self.mix(value["mix"], depth)
        raise self.wrong("a recipe has seed and index, near, distance and index, or mix, not",
                         sorted(value))  # fmt: skip

    def mix(self, value: object, depth: int) -> Mix:
        if not isinstance(value, list) or not 0 < len(value) <= MOST_MIXED:
            raise self.wrong(f"a mix is a list of 1 to {MOST_MIXED} [recipe, weight], not", value)
        parts = []
        for pair in value:
            if not isinstance(pair, list) or len(pair) != 2:
                raise self.wrong("a part of a mix is [recipe, weight], not", pair)
            parts.append((self.base(pair[0], depth + 1), self.number(pair[1], "weight", 0, 1e3)))
        if sum(weight for _, weight in parts) < 1e-6:
            raise self.wrong("a mix has a weight above 0, not", [weight for _, weight in parts])
        return Mix(tuple(parts))

    def whole(self, value: object, name: str, most: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise self.wrong(f'"{name}" is a whole number from 0 to {most}, not', value)
        return value

    def number(self, value: object, name: str, low: float, high: float) -> float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits or not low <= value <= high:  # type: ignore[operator]
            raise self.wrong(f'"{name}" is a number from {low:g} to {high:g}, not', value)
        return float(value)  # type: ignore[arg-type]


def as_json(recipe: Recipe) -> dict[str, Any]:
    """Return the value that `parse` reads, without what has its default."""
    value = _base_as_json(recipe.base)
    if recipe.truncation != 1:
        value["truncation"] = recipe.truncation
    if recipe.label is not None:
        value["label"] = recipe.label
    if recipe.edit:
        value["edit"] = dict(recipe.edit)
    return value


def _base_as_json(base: Base) -> dict[str, Any]:
    match base:
        case Candidate(seed, index):
            return {"seed": seed, "index": index}
        case Near(parent, distance, index):
            return {"near": _base_as_json(parent), "distance": distance, "index": index}
        case Mix(parts):
            return {"mix": [[_base_as_json(part), weight] for part, weight in parts]}


def origin(base: Base) -> Candidate:
    """Return the candidate that gives a face its labels: the one with most weight in a mix."""
    match base:
        case Near(parent):
            return origin(parent)
        case Mix(parts):
            return origin(max(parts, key=lambda part: part[1])[0])
        case Candidate():
            return base


Source = tuple[str, int, int]
"""An independent N(0, 1) vector: stream, seed and index of `runtime.seeds.in_blocks`."""


def shares(base: Base) -> Mapping[Source, float]:
    """Return how much of each independent N(0, 1) vector a face's noise has.

    The squares sum to 1, so every face's noise is N(0, 1), as in training, even between a face and
    its own neighbours.
    """
    match base:
        case Candidate(seed, index):
            return {("candidates", seed, index): 1.0}
        case Near(parent, distance, index):
            kept = math.sqrt(1 - distance**2)
            found = {source: kept * share for source, share in shares(parent).items()}
            return found | {("neighbours", _number(parent), index): distance}
        case Mix(parts):
            found = {}
            for part, weight in parts:
                for source, share in shares(part).items():
                    found[source] = found.get(source, 0.0) + weight * share
            norm = math.sqrt(sum(share**2 for share in found.values()))
            return {source: share / norm for source, share in found.items()}


def _number(base: Base) -> int:
    """Return a number that no other face has: its neighbours lie in directions of their own."""
    text = json.dumps(_base_as_json(base), sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
