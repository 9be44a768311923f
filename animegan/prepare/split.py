"""Train and held-out, parted by source pictures."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def held_out(
    families: NDArray[np.int64], names: Mapping[int, str], share: float, seed: int
) -> NDArray[np.bool_]:
    """For each face whether it is held out: about `share` of them, never a family in two parts.

    `families[i]` says what belongs together (all faces of one picture and of those that show the
    same), `names[family]` is a name that stays from run to run. Which families go is decided by
    `seed` and the names alone, so that a set which grows keeps most of its split.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for face, family in enumerate(families.tolist()):
        members[family].append(face)
    chosen = np.zeros(len(families), dtype=bool)
    room = round(share * len(families))
    for family in sorted(members, key=lambda family: _lot(seed, names[family])):
        if len(members[family]) <= room:
            chosen[members[family]] = True
            room -= len(members[family])
    return chosen


def _lot(seed: int, name: str) -> bytes:
    return hashlib.blake2b(
        f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=16
    ).digest()
