"""Limits, duplicates by crop and by place, families, the split, and what is published."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from animegan.datasets.crop import Square
from animegan.datasets.prepare.manifest import FaceRecord, SourceRecord
from animegan.datasets.prepare.publish import places, publish, write_manifest
from animegan.datasets.prepare.select import Selection, select
from animegan.datasets.prepare.split import held_out
from animegan.datasets.quality import Limits, measure, perceptual_hash
from animegan.datasets.targets import portable
from tests.support.piles import art

LIMITS = Limits(min_size=64)


def face(picture: Image.Image, x: int = 0, side: int = 96, score: float = 0.9) -> FaceRecord:
    box = (x + 10, 10, x + side - 10, side - 10)
    return FaceRecord(box, score, None, Square(x, 0, side), measure(picture), f"ab/{x:016x}_0.png")


def source(key: str, *faces: FaceRecord, whole: Image.Image | None = None) -> SourceRecord:
    whole = whole or art(sum(key.encode()) + 1000, 200)
    return SourceRecord(
        key, "", "", "", 0, "", (400, 300), perceptual_hash(whole),
        perceptual_hash(ImageOps.mirror(whole)), None if faces else ("no face", "x"), faces,
    )  # fmt: skip


def reasons(selection: Selection) -> list[str | None]:
    return [selection.why(number) for number in range(len(selection.reason))]


def test_limits_and_copies() -> None:
    records = [
        source("a", face(art(1)), face(art(2), side=63)),
        source("b"),
        source("c", face(art(1)), face(art(3), score=0.1)),
        source("d", face(ImageOps.mirror(art(1)), side=200)),
    ]
    selection = select(records, LIMITS)
    assert reasons(selection) == [
        "near duplicate", "too small", "exact duplicate", "low score", None,
    ]  # fmt: skip
    assert selection.instead.tolist() == [4, -1, 4, -1, -1]  # the largest of them stays
    assert selection.source.tolist() == [0, 0, 2, 2, 3]
    assert selection.kept.tolist() == [4]


def test_near_zero_drops_equal_pixels_only() -> None:
    records = [source("a", face(art(1))), source("b", face(ImageOps.mirror(art(1))))]
    selection = select(records, replace(LIMITS, near=0))
    assert reasons(selection) == [None, None]
    assert selection.family[0] == selection.family[1]  # yet they may not part


def test_faces_at_one_place_of_pictures_that_look_alike_are_one() -> None:
    page = art(50, 200)
    smaller = page.resize((160, 160), Image.Resampling.LANCZOS)
    flipped = ImageOps.mirror(page)
    at_right = replace(face(art(4)), box=(320, 10, 390, 80))  # 10-80 mirrored in 400
    records = [
        source("a", face(art(1)), whole=page),
        source("b", face(art(2)), face(art(3), x=200), whole=smaller),
        source("c", at_right, whole=flipped),
        source("d", face(art(5))),
    ]
    selection = select(records, LIMITS)
    assert reasons(selection) == [None, "near duplicate", None, "near duplicate", None]
    family = selection.family
    assert family[0] == family[1] == family[2] != family[3]


def test_no_faces_at_all() -> None:
    selection = select([source("a"), source("b")], LIMITS)
    assert selection.kept.tolist() == []
    assert selection.family.tolist() == [0, 1]
    assert select([], LIMITS).kept.tolist() == []


def test_a_family_is_never_parted_and_the_seed_decides() -> None:
    families = np.repeat(np.arange(50), 4)
    names = {number: f"page{number}.png" for number in range(50)}
    held = held_out(families, names, 0.25, seed=0)
    assert held.sum() == 48  # 12 families of 4 fit into 50
    for family in range(50):
        assert len(set(held[families == family].tolist())) == 1
    assert np.array_equal(held, held_out(families, names, 0.25, seed=0))
    assert not np.array_equal(held, held_out(families, names, 0.25, seed=1))
    assert not held_out(families, names, 0.0, seed=0).any()


def test_a_set_that_grows_keeps_most_of_its_split() -> None:
    names = {number: f"page{number}.png" for number in range(110)}
    before = held_out(np.arange(100), names, 0.2, seed=0)
    after = held_out(np.arange(110), names, 0.2, seed=0)[:100]
    assert (before != after).sum() <= 4


@pytest.mark.parametrize(
    ("name", "folder"),
    [("miku", "miku"), ("..", "_"), ("a/b\\c", "a_b_c"), (" .x. ", "x"), ("con", "_con"), ("", "_"),
     ("aux.png", "_aux.png"), ("日本", "日本"), ("a\0b", "a_b")],
)  # fmt: skip
def test_class_folders_are_plain_names(name: str, folder: str) -> None:
    assert portable(name) == folder


def test_publish_makes_the_folders_hold_just_the_wanted(tmp_path: Path) -> None:
    crops, out = tmp_path / "crops", tmp_path / "out"
    names = [f"ab{n:014x}_0.png" for n in range(3)]
    for name in names:
        (crops / "ab").mkdir(parents=True, exist_ok=True)
        (crops / "ab" / name).write_text(name)
    publish(out, crops, [f"train/x/{names[0]}", f"train/{names[1]}"])
    (out / "train" / "mine.png").write_text("the user's")
    publish(out, crops, [f"heldout/{names[2]}", f"train/{names[1]}"])
    files = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert files == [f"heldout/{names[2]}", f"train/{names[1]}", "train/mine.png"]
    assert not (out / "train" / "x").exists()
    (crops / "ab" / "new").write_text("new pixels")
    (crops / "ab" / "new").replace(crops / "ab" / names[1])
    publish(out, crops, [f"train/{names[1]}"])
    assert (out / "train" / names[1]).read_text() == "new pixels"


def test_manifest_tells_of_every_face_and_of_sources_without(tmp_path: Path) -> None:
    records = [source("a", face(art(1))), source("b"), source("c", face(art(1)))]
    selection = select(records, LIMITS)
    placed = places(records, selection, np.array([True]), by_folder=True)
    assert list(placed.values()) == [f"heldout/unsorted/{0:016x}_0.png"]
    write_manifest(tmp_path / "m.jsonl", records, selection, placed)
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert [(line["source"], line["kept"], line["why"]) for line in lines] == [
        ("a", True, None), ("b", False, "no face"), ("c", False, "exact duplicate"),
    ]  # fmt: skip
    assert lines[2]["like"] == lines[0]["file"]
    assert {"box", "score", "phash", "sharpness", "square"} <= lines[0].keys()
