"""animeface's compiled part, called with pixels of our own.

animeface (Apache 2.0, nagadomi's nvxs with its network inside the package) was compiled against
the headers of Pillow 4.2.1 and reads the pixels out of Pillow's own C struct. Pillow 12 changed
that struct (`mode` became a number of 4 bytes where 7 letters were), so that the compiled code now
reads half a pointer as the height of the picture, takes the picture for empty and finds nothing,
without a word. `_Pixels` lays the old struct out itself; the answers are Pillow 11's to the bit.
"""

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from animegan.errors import UsageError

PIP = 'pip install -e ".[prepare]" brings animeface 2.0.3, which works with Python 3.8 to 3.13'
Pixels = npt.NDArray[np.uint8]  # [H, W, 3]


class _Pixels(ctypes.Structure):
    """The head of Pillow 4.2.1's ImagingMemoryInstance, as far as animeface reads it."""

    _fields_ = (
        ("mode", ctypes.c_char * 7),
        ("type", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("bands", ctypes.c_int),
        ("xsize", ctypes.c_int),
        ("ysize", ctypes.c_int),
        ("palette", ctypes.c_void_p),
        ("image8", ctypes.c_void_p),
        ("image32", ctypes.c_void_p),
        ("image", ctypes.c_void_p),  # one pointer a row, to 4 bytes a pixel
    )


def load() -> Callable[[Pixels], list[dict[str, Any]]]:
    """animeface's compiled search as a function of RGB pixels; UsageError if it is not there."""
    try:
        compiled: Any = importlib.import_module("animeface._nvxs")
    except ImportError as error:
        raise UsageError(f"animeface: not installed ({error}); {PIP}") from error
    if not str(compiled.__file__).endswith((".so", ".pyd")):
        raise UsageError(f"animeface: installed without its compiled part; {PIP}")
    probe = _Pixels()
    # The compiled code takes the pointer that follows the head of the Python object; in a ctypes
    # object that is the address of its bytes. Made sure of, since a wrong guess would crash.
    behind_head = ctypes.c_void_p.from_address(id(probe) + object.__basicsize__)
    if behind_head.value != ctypes.addressof(probe):
        raise UsageError(f"animeface: this Python lays its objects out in another way; {PIP}")

    def detect(pixels: Pixels) -> list[dict[str, Any]]:
        height, width = pixels.shape[:2]
        padded = np.zeros((height, width, 4), dtype=np.uint8)
        padded[:, :, :3] = pixels
        rows = padded.ctypes.data + np.arange(height, dtype=np.uintp) * padded.strides[0]
        struct = _Pixels(
            mode=b"RGB", depth=8, bands=3, xsize=width, ysize=height, image=rows.ctypes.data
        )
        raw: list[dict[str, Any]] = compiled.detect(struct)
        return raw

    return detect
