"""Rows of a memory-mapped set, read by the system while other work goes on."""

import mmap

import numpy as np
from numpy.typing import NDArray


def read_ahead(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
    """Have the system bring these rows of `images` [N, S, S, C]; does not wait for them.

    A row that is met without this costs a page fault, and the system then reads a lot around it:
    64 rows chosen at random pull in up to 64 times its readahead (128 KB to 8 MB). Does nothing
    for a set in memory, or where the system takes no advice.
    """
    advise = getattr(images.base, "madvise", None)  # of a map, on systems that have it
    if advise is None:
        return
    size = images.nbytes // len(images)
    for row in rows.tolist():
        start = row * size
        page = start - start % mmap.PAGESIZE
        advise(mmap.MADV_WILLNEED, page, start + size - page)
