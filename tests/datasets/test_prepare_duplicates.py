"""Near pairs against a plain double loop; who stays; components."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from animegan.datasets import duplicates
from animegan.datasets.duplicates import (
    Pairs,
    choose,
    equal_to_earlier,
    groups,
    joined,
    pack,
    pairs_between,
    pairs_within,
)
from animegan.datasets.quality import measure, perceptual_hash
from tests.support.piles import art


def noise(seed: int, count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), np.uint8)


def distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    return int(np.unpackbits(a ^ b).sum())


def told(pairs: Pairs) -> set[tuple[int, int, int, bool]]:
    columns = (pairs.first, pairs.second, pairs.distance, pairs.mirrored)
    return set(zip(*(column.tolist() for column in columns), strict=True))


def test_pairs_are_those_of_a_double_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_BLOCK", 7)  # many blocks, the last ones not full
    hashes = noise(0, 40)
    hashes[5] = hashes[30] ^ 1
    mirrored = noise(1, 40)
    mirrored[17] = hashes[2]
    expected = {
        (i, j, min(d))
        for i in range(40)
        for j in range(i + 1, 40)
        if min(d := (distance(hashes[i], hashes[j]), distance(hashes[i], mirrored[j]))) <= 115
    }
    found = told(pairs_within(hashes, mirrored, 115))
    assert {(i, j, d) for i, j, d, _ in found} == expected
    assert (5, 30, 32, False) in found
    assert (2, 17, 0, True) in found
    assert len(found) > 20


def test_pairs_between_two_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_BLOCK", 3)
    here, there, mirrored = noise(2, 8), noise(3, 5), noise(4, 5)
    there[4], mirrored[1] = here[7], here[0]
    assert told(pairs_between(here, there, mirrored, 10)) == {
        (7, 4, 0, False), (0, 1, 0, True),
    }  # fmt: skip


def test_nothing_in_nothing_out() -> None:
    empty = pack([])
    assert told(pairs_within(empty, empty, 50)) == set()
    assert told(pairs_between(empty, noise(0, 3), noise(1, 3), 50)) == set()
    assert choose(0, pairs_within(empty, empty, 50), np.zeros(0)).tolist() == []


def pairs(*of: tuple[int, int]) -> Pairs:
    first, second = (np.array([pair[side] for pair in of], dtype=np.int64) for side in (0, 1))
    return Pairs(first, second, np.zeros(len(of), np.int64), np.zeros(len(of), bool))


def test_the_worthier_stays() -> None:
    assert choose(3, pairs((0, 2)), np.array([50.0, 60.0, 90.0])).tolist() == [2, -1, -1]
    assert choose(2, pairs((0, 1)), np.array([50.0, 50.0])).tolist() == [-1, 0]


def test_nothing_falls_for_what_falls_itself() -> None:
    # 0 - 1 - 2 in a chain: 1 falls for 0, so 2 has no reason to
    assert choose(3, pairs((0, 1), (1, 2)), np.array([9.0, 8.0, 7.0])).tolist() == [-1, 0, -1]
    assert choose(3, joined(pairs((0, 1)), pairs((0, 2))), np.ones(3)).tolist() == [-1, 0, 0]


def test_equal_ones_point_to_the_first() -> None:
    assert equal_to_earlier(["a", "b", "a", "a"]).tolist() == [-1, -1, 0, 0]


def test_components() -> None:
    assert groups(6, [(4, 1), (2, 4), (5, 3)]).tolist() == [0, 1, 1, 3, 1, 3]


@pytest.mark.parametrize("seed", range(4))
def test_real_copies_are_near_and_others_are_not(seed: int) -> None:
    original = measure(art(seed))
    small = measure(art(seed).resize((64, 64), Image.Resampling.LANCZOS))
    mirrored = measure(ImageOps.mirror(art(seed)))
    other = measure(art(seed + 100))
    hashes = pack([original.phash, small.phash, mirrored.phash, other.phash])
    flipped = pack([original.mirrored, small.mirrored, mirrored.mirrored, other.mirrored])
    found = {(i, j, flip) for i, j, _, flip in told(pairs_within(hashes, flipped, 56))}
    assert found == {(0, 1, False), (0, 2, True), (1, 2, True)}


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_hash_is_that_of_imagehash(mode):
    imagehash = pytest.importorskip("imagehash")
    for seed in range(20):
        picture = art(seed, 96 + seed).convert(mode)
        assert perceptual_hash(picture) == str(imagehash.phash(picture, hash_size=16))
    flat = Image.new(mode, (50, 50))
    assert perceptual_hash(flat) == str(imagehash.phash(flat, hash_size=16))
