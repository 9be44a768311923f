"""What the C library does with memory that is freed: kept, a step's tensors need no new pages.

A step makes and drops the same tensors again and again. glibc hands large ones back to the system
and gets zeroed pages for the next ones, a fault each: some 30,000 a step of DCGAN at 96 x 96 and a
batch of 64.
"""

import ctypes
import sys

# <malloc.h>
TRIM_THRESHOLD = -1  # free bytes at the end of the heap above which they are handed back; -1: never
MMAP_THRESHOLD = -3  # bytes above which a block is mapped by itself, and unmapped when freed
MMAP_MAX = -4  # how many such blocks there may be


def option(name: int, value: int) -> bool:
    """Set one of malloc's options; False where the C library is not glibc."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(name, value) == 1


def keep_freed() -> bool:
    """Freed memory stays with the process; False where that cannot be asked for."""
    return option(MMAP_MAX, 0) and option(TRIM_THRESHOLD, -1)
