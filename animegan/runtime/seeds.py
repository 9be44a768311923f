"""Random numbers that depend on a seed, a stream and a step alone."""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

BLOCK = 64  # rows that one generator makes for `in_blocks`; part of what a seed means


def generator(seed: int, stream: str, step: int = 0) -> torch.Generator:
    """Return a CPU generator seeded by (seed, stream, step) alone.

    Since the seed includes the step, no random state has to be saved: a resumed run draws the same
    numbers as an uninterrupted one, on any device and any number of processes.

    torch uses 32 bits of the seed, so of n generators about n² / 2^33 pairs draw the same numbers:
    one pair of blocks (`in_blocks`) in six million candidates, three in ten million.
    """
    digest = hashlib.blake2b(f"{seed}/{stream}/{step}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))


def in_blocks(
    seed: int, stream: str, indices: Sequence[int], make: Callable[[torch.Generator], Tensor]
) -> Tensor:
    """[len(indices), ...]: row `i` of a stream is the same whatever else is drawn, and in what
    pieces. `make` draws BLOCK rows.
    """
    blocks = {
        block: make(generator(seed, stream, block))
        for block in {index // BLOCK for index in indices}
    }
    return torch.stack([blocks[index // BLOCK][index % BLOCK] for index in indices])


def seed_everything(seed: int) -> None:
    """Seed torch's global generators (weight initialisation, dropout)."""
    torch.manual_seed(seed)


class Streams:
    """The random streams of one training, which all of its parts draw from.

    `seed` is the seed in use: the run's own until a rollback, which `reseed` gives a new one.
    """

    def __init__(self, seed: int) -> None:
        self.first = self.seed = seed
        self.salt = 0

    def reseed(self, salt: int) -> None:
        """Switch to the seed of the `salt`-th rollback; 0 is the run's own."""
        self.salt = salt
        self.seed = self.first + salt * 1_000_003

    def generator(self, stream: str, step: int = 0) -> torch.Generator:
        """Return the generator of a stream at a step; see `generator`."""
        return generator(self.seed, stream, step)

    def fixed(self, stream: str) -> torch.Generator:
        """Return the generator of a stream that no rollback changes."""
        return generator(self.first, stream)
