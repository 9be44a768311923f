"""Batches by step: a batch depends on the seed and the step alone, so resuming needs no state."""

import mmap

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animegan.core.errors import UsageError
from animegan.core.images import to_float
from animegan.data.face_set import FaceSet
from animegan.runtime.device import Runtime
from animegan.runtime.seeds import Streams

_CPU = torch.device("cpu")


def check_batch(pictures: int, batch_size: int, world_size: int = 1) -> None:
    """Raise UsageError for fewer pictures than a batch, or a batch not divisible by processes."""
    if pictures < batch_size:
        least = max(2, world_size)
        if pictures < least:
            who = "training needs" if world_size == 1 else f"{world_size} processes need"
            raise UsageError(
                f"--data-path: {who} at least {least} pictures (found {pictures}); add more"
            )
        raise UsageError(
            f"--batch-size {batch_size}: there are only {pictures} pictures; "
            f"use {pictures // world_size * world_size} or fewer"
        )
    if batch_size % world_size:
        raise UsageError(
            f"--batch-size {batch_size}: not divisible by {world_size} processes; use "
            f"{batch_size // world_size * world_size or world_size}"
        )


class Batches:
    """Endless shuffled batches; every epoch is a permutation, without the incomplete last batch.

    In a distributed run, every process draws the same batch and takes its own slice of it.
    """

    def __init__(
        self,
        faces: FaceSet,
        batch_size: int,
        seed: int,
        *,
        flip: bool = False,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device = _CPU,
        resident: bool = False,
    ) -> None:
        """Create the batches of a set.

        Args:
            faces: the set.
            batch_size: images per step over all processes.
            seed: seed of order and mirroring; `streams` draws from it.
            flip: mirror each image with probability 1/2.
            rank: index of this process.
            world_size: number of processes.
            device: where batches are placed.
            resident: keep the whole set on the device, as uint8; otherwise read it batch by batch.

        Raises:
            UsageError: there are fewer pictures than a batch, or the batch size is not divisible
                by the number of processes.
        """
        assert batch_size > 0
        assert 0 <= rank < world_size
        check_batch(len(faces), batch_size, world_size)
        self.faces = faces
        self.batch_size = batch_size
        self.streams = Streams(seed)
        self.flip = flip
        self.steps_per_epoch = len(faces) // batch_size
        rows = batch_size // world_size
        self._slice = slice(rank * rows, (rank + 1) * rows)
        self._runtime = Runtime(device)
        self._resident = self._whole() if resident else None
        self._expected = -1  # the step whose rows are being read ahead
        self._order: tuple[tuple[int, int], NDArray[np.int64]] = ((0, -1), np.empty(0, np.int64))

    def rows(self, step: int) -> NDArray[np.int64]:
        """Return this process's indices of batch `step` (from 0), int64 [B / world_size]."""
        assert step >= 0
        epoch, index = divmod(step, self.steps_per_epoch)
        order = self._order
        seed = self.streams.seed
        if order[0] != (seed, epoch):
            random = self.streams.generator("order", epoch)
            order = ((seed, epoch), torch.randperm(len(self.faces), generator=random).numpy())
            self._order = order
        batch = order[1][index * self.batch_size : (index + 1) * self.batch_size]
        return batch[self._slice]

    def images(self, step: int) -> Tensor:
        """Return this process's images of a step on the device, channels-last.

        float32 [B / world_size, C, S, S] in [-1, 1].
        """
        rows = self.rows(step)
        if self._resident is None:
            pixels = self._runtime.place(torch.from_numpy(self._read(step, rows)))
        else:
            pixels = self._resident[self._runtime.place(torch.from_numpy(rows))]
        if self.flip:
            random = self.streams.generator("flip", step)
            mirrored = torch.rand(self.batch_size, generator=random)[self._slice] < 0.5
            pick = torch.arange(len(rows)) + len(rows) * mirrored
            both = torch.cat([pixels, pixels.flip(2)])
            pixels = both.index_select(0, self._runtime.place(pick))
        return to_float(pixels.permute(0, 3, 1, 2))

    def _read(self, step: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return rows of the set, uint8 [B / world_size, S, S, C], and prefetch the next step's."""
        images = self.faces.images
        if step != self._expected:
            read_ahead(images, rows)
        pixels = images[rows]
        if (step + 1) % self.steps_per_epoch:  # not across epochs: only one epoch's order is kept
            self._expected = step + 1
            read_ahead(images, self.rows(self._expected))
        return pixels

    def _whole(self, rows: int = 4096) -> Tensor:
        """Return the whole set on the device, uint8 [N, S, S, C], copied in chunks."""
        whole = torch.empty(self.faces.images.shape, dtype=torch.uint8, device=self._runtime.device)
        for start in range(0, len(whole), rows):
            piece = np.array(self.faces.images[start : start + rows])  # copy: torch wants writable
            whole[start : start + rows] = self._runtime.place(torch.from_numpy(piece))
        return whole


def read_ahead(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
    """Ask the system to read rows of `images` [N, S, S, C] in the background.

    Otherwise each row costs a page fault, for which the system reads a lot around it: 64 random
    rows pull in up to 64 times its readahead (128 KB to 8 MB). Does nothing for arrays in memory,
    or where madvise is not available.
    """
    advise = getattr(images.base, "madvise", None)  # of an mmap, where supported
    if advise is None:
        return
    size = images.nbytes // len(images)
    for row in rows.tolist():
        start = row * size
        page = start - start % mmap.PAGESIZE
        advise(mmap.MADV_WILLNEED, page, start + size - page)
