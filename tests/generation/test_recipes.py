"""Recipes: what is taken, what is refused, and that the noise of every face is N(0, 1)."""

import json
import math
from typing import Any

import pytest

from animegan.core.errors import UsageError
from animegan.generation.recipes import (
    MOST_DEPTH,
    Candidate,
    as_json,
    origin,
    parse,
    read_recipes,
    shares,
)

FACE: dict[str, Any] = {"seed": 7, "index": 12}
OTHER: dict[str, Any] = {"seed": 8, "index": 0}
NEAR: dict[str, Any] = {"near": FACE, "distance": 0.4, "index": 3}
MIX: dict[str, Any] = {"mix": [[FACE, 1.0], [NEAR, 2.0], [OTHER, 0.5]]}


def deep(depth: int) -> dict[str, Any]:
    value = FACE
    for _ in range(depth):
        value = {"near": value, "distance": 0.5, "index": 0}
    return value


@pytest.mark.parametrize(
    "value",
    [FACE, NEAR, MIX, deep(MOST_DEPTH), {**MIX, "truncation": 0.5, "label": "hair=red"},
     {**NEAR, "edit": {"smile": -2.5, "hair": 3.0}}],
)  # fmt: skip
def test_a_recipe_comes_back_as_it_was(value: dict[str, Any]) -> None:
    assert as_json(parse(value, "recipe")) == value


def test_what_is_not_said_and_what_is_said_in_vain_are_the_same() -> None:
    assert parse({**FACE, "truncation": 1, "edit": {"smile": 0}}, "recipe") == parse(FACE, "recipe")
    assert parse({**FACE, "label": None}, "recipe") == parse(FACE, "recipe")


@pytest.mark.parametrize(
    "value",
    [
        None, 7, "x", [], [FACE], {}, {"seed": 7}, {**FACE, "more": 1}, {**FACE, **NEAR},
        {"seed": -1, "index": 0}, {"seed": 2**31, "index": 0}, {"seed": 0, "index": 10**10},
        {"seed": True, "index": 0}, {"seed": 1.0, "index": 0}, {"seed": "7", "index": 0},
        {**NEAR, "distance": 1.01}, {**NEAR, "distance": float("nan")}, {**NEAR, "distance": None},
        {**NEAR, "near": {**FACE, "truncation": 0.5}}, {**NEAR, "index": -1}, {**NEAR, "near": 3},
        {"mix": []}, {"mix": [[FACE, 0]]}, {"mix": [[FACE]]}, {"mix": [[FACE, -1], [OTHER, 2]]},
        {"mix": [[FACE, float("inf")]]}, {"mix": [[FACE, 1]] * 9}, {"mix": {"a": 1}},
        {**FACE, "truncation": -0.1}, {**FACE, "truncation": "1"}, {**FACE, "truncation": 10**400},
        {**FACE, "label": ""}, {**FACE, "label": 3}, {**FACE, "label": "x" * 301},
        {**FACE, "edit": []}, {**FACE, "edit": {"a": "1"}}, {**FACE, "edit": {"a": 21}},
        {**FACE, "edit": {str(k): 1 for k in range(33)}}, {**FACE, "edit": {"x" * 301: 1}},
        deep(MOST_DEPTH + 1), {"mix": [[{"mix": [[{"mix": [[FACE, 1]] * 8}, 1]] * 8}, 1]] * 8},
    ],
)  # fmt: skip
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(UsageError) as caught:
        parse(value, "--recipes here")
    assert caught.value.flags == ("--recipes",)


@pytest.mark.parametrize("value", [FACE, NEAR, MIX, deep(5), {"mix": [[FACE, 1], [FACE, 1]]}])
def test_the_noise_of_every_face_is_of_norm_one(value: dict[str, Any]) -> None:
    base = parse(value, "recipe").base
    assert math.isclose(sum(share**2 for share in shares(base).values()), 1)


def test_a_neighbour_keeps_what_its_distance_leaves() -> None:
    parts = shares(parse(NEAR, "recipe").base)
    assert list(parts.values()) == pytest.approx([math.sqrt(1 - 0.16), 0.4])
    (near,) = [source for source in parts if source[0] == "neighbours"]
    farther = shares(parse({**NEAR, "distance": 0.9}, "recipe").base)
    assert near in farther  # the slider moves along one line
    of_another = shares(parse({**NEAR, "near": OTHER}, "recipe").base)
    assert near not in of_another
    assert len(shares(parse(deep(5), "recipe").base)) == 6  # each with directions of its own


def test_equal_weights_meet_in_the_middle_and_a_face_with_itself_is_itself() -> None:
    middle = shares(parse({"mix": [[FACE, 3], [OTHER, 3]]}, "recipe").base)
    assert list(middle.values()) == pytest.approx([math.sqrt(0.5)] * 2)
    same = shares(parse({"mix": [[FACE, 1], [FACE, 2]]}, "recipe").base)
    assert same == {("candidates", 7, 12): pytest.approx(1)}


def test_labels_come_from_the_face_with_most_weight() -> None:
    assert origin(parse(MIX, "recipe").base) == Candidate(7, 12)
    assert origin(parse({"mix": [[NEAR, 1], [OTHER, 2]]}, "recipe").base) == Candidate(8, 0)


def test_a_file_and_the_json_itself_are_read_alike(tmp_path: Any) -> None:
    path = tmp_path / "favourites.json"
    path.write_text(json.dumps([FACE, NEAR]))
    assert read_recipes(str(path)) == read_recipes(json.dumps([FACE, NEAR]))
    assert read_recipes(json.dumps(FACE)) == [parse(FACE, "recipe")]


@pytest.mark.parametrize("text", ["[]", "[1]", "{", "[" * 100_000, "no/such/file.json", ".", "3"])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipes(text)
    assert caught.value.flags == ("--recipes",)
