"""Split faces into train and held-out, by source picture."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def held_out(
    families: NDArray[np.int64], names: Mapping[int, str], share: float, seed: int
) -> NDArray[np.bool_]:
    """Choose the held-out faces, bool [F]; faces of one family are never split.

    Families are chosen by `seed` and name alone, so a growing set keeps most of its split.

    Args:
        families: int64 [F], equal for faces that belong together (faces of one picture and of its
            duplicates).
        names: name of each family, the same in every run.
        share: share of faces to hold out, 0 to 1; an upper bound.
        seed: seed of the choice.
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
