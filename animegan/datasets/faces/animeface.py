"""animeface's extension module, called without going through Pillow.

animeface (Apache 2.0; nagadomi's nvxs, network weights included) was compiled against the headers
of Pillow 4.2.1 and reads pixels directly from Pillow's C struct. Pillow 12 changed that struct
(`mode` became a 4-byte number instead of 7 characters), so the extension now reads half a pointer
as the picture's height, takes the picture for empty and silently finds nothing. `_Pixels`
reproduces the old struct; the results are bit-identical to those with Pillow 11.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from animegan.core.errors import UsageError
from animegan.core.optional import install, require

PIP = f"{install('animeface._nvxs')}; it supports Python 3.8 to 3.13"
Pixels = npt.NDArray[np.uint8]  # [H, W, 3]


class _Pixels(ctypes.Structure):
    """The leading fields of Pillow 4.2.1's ImagingMemoryInstance, as far as animeface uses them."""

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
        ("image", ctypes.c_void_p),  # one pointer per row, to 4 bytes per pixel
    )


def load() -> Callable[[Pixels], list[dict[str, Any]]]:
    """Return animeface's detector as a function of RGB pixels, uint8 [H, W, 3].

    Raises UsageError if animeface is missing or cannot work with this Python.
    """
    compiled = require("animeface._nvxs", "faces")
    if not str(compiled.__file__).endswith((".so", ".pyd")):
        raise UsageError(f"animeface: installed without its extension module; {PIP}")
    probe = _Pixels()
    # The extension reads the pointer that follows the Python object's header; in a ctypes object
    # that is the address of its data. Checked here, because a wrong guess would crash.
    behind_head = ctypes.c_void_p.from_address(id(probe) + object.__basicsize__)
    if behind_head.value != ctypes.addressof(probe):
        raise UsageError(f"animeface: does not work with this Python's object layout; {PIP}")

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
