"""Decode many image files in order, in threads, with a progress bar."""

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from animegan.data.decode import BrokenPicture, decode, fit

_CHUNK = 16  # pictures per thread task

Row: TypeAlias = tuple[NDArray[np.uint8], bool]  # pixels, and whether they were enlarged


@dataclass(frozen=True)
class Recipe:
    """The arguments of `decode` and `fit`."""

    image_size: int
    channels: int
    background: str
    resize: str

    def row(self, file: Path) -> Row:
        """Decode a file to uint8 [S, S, C]; also return whether it had to be enlarged."""
        size, cropped = self.image_size, self.resize == "crop"
        at_least = 4 * size if cropped else 0
        image = decode(file, self.channels, self.background, at_least=at_least)
        return fit(image, size, self.resize), cropped and min(image.size) < size

    def rows(self, root: Path, names: Sequence[str]) -> list[Row | BrokenPicture]:
        """Decode files in `root`; a broken one gives its BrokenPicture instead of a row."""
        rows: list[Row | BrokenPicture] = []
        for name in names:
            try:
                rows.append(self.row(root / name))
            except BrokenPicture as reason:
                rows.append(reason)
        return rows


@dataclass
class Outcome:
    """Broken pictures, and the number of enlarged ones."""

    broken: dict[str, str] = field(default_factory=dict)  # name -> reason
    enlarged: int = 0


def decode_all(
    root: Path,
    names: Sequence[str],
    recipe: Recipe,
    outcome: Outcome,
    num_workers: int,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the decoded images, uint8 [S, S, C], in the given order.

    It uses threads rather than processes: Pillow releases the GIL while it decodes and resizes, so
    threads use all cores; they start instantly, copy nothing, and interfere neither with CUDA nor
    with scripts without a `__main__` guard. Only a few chunks are decoded ahead.

    Args:
        root: folder of the files.
        names: file names relative to `root`.
        recipe: how to decode them.
        outcome: receives broken pictures and the number of enlarged ones.
        num_workers: decoding threads (0 means 1).
    """
    workers = max(1, num_workers)
    chunks = deque(names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))
    running: deque[Future[list[Row | BrokenPicture]]] = deque()
    left = iter(names)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    with (
        warnings.catch_warnings(),  # for all threads; see `decode`
        tqdm(total=len(names), desc="decode", unit=" pictures", disable=None) as bar,
    ):
        warnings.simplefilter("ignore")
        try:
            while chunks or running:
                while chunks and len(running) < 4 * workers:
                    running.append(pool.submit(recipe.rows, root, chunks.popleft()))
                for row in running.popleft().result():
                    name = next(left)
                    bar.update()
                    if isinstance(row, BrokenPicture):
                        outcome.broken[name] = str(row)
                    else:
                        outcome.enlarged += row[1]
                        yield row[0]
        finally:
            pool.shutdown(cancel_futures=True)
