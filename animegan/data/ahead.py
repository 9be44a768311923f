"""Readahead for memory-mapped sets."""

import mmap

import numpy as np
from numpy.typing import NDArray


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
