"""Memory: running out of it, and glibc keeping what is freed.

`keep_freed` lets the tensors of a training step reuse their pages.

Each step allocates and frees the same tensors. By default glibc returns large blocks to the system
and gets zeroed pages for the next ones, with a page fault each: about 30,000 per step of DCGAN at
96 x 96 with a batch of 64.
"""

import ctypes
import sys

import torch

# <malloc.h>
TRIM_THRESHOLD = -1  # free bytes at the top of the heap above which they are returned; -1: never
MMAP_THRESHOLD = -3  # bytes above which a block is mapped separately, and unmapped when freed
MMAP_MAX = -4  # maximum number of such blocks


def option(name: int, value: int) -> bool:
    """Set a malloc option (mallopt); return False if the C library is not glibc or refuses."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(name, value) == 1


def keep_freed() -> bool:
    """Keep freed memory in the process; return False if that is not possible."""
    return option(MMAP_MAX, 0) and option(TRIM_THRESHOLD, -1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error means that a device or the machine ran out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text
        or "can't allocate memory" in text
        or "not enough memory" in text  # Windows
        or "alloc_failed" in text  # cuDNN, cuBLAS
    )


def free_memory(device: torch.device) -> None:
    """Release cached blocks after an out-of-memory error."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
