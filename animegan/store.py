"""Arrays that are costly to compute, kept between calls under the hash of what they come from."""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from animegan.data.cache import cache_root


def fingerprint(pixels: NDArray[np.uint8]) -> str:
    """Hash of uint8 pictures and of their shape: equal pictures, equal hash, wherever they lie."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    for start in range(0, len(pixels), 256):
        digest.update(pixels[start : start + 256].tobytes())
    return digest.hexdigest()


def kept(what: str, source: str, compute: Callable[[], NDArray[np.generic]]) -> NDArray[np.generic]:
    """The array stored as `what` (a recipe with its version) of `source` (a hash), or computed.

    A file that cannot be read is computed anew; a folder that cannot be written costs only time.
    """
    key = hashlib.blake2b(f"{what}\n{source}".encode(), digest_size=16).hexdigest()
    path = cache_root() / "features" / f"{key}.npy"
    try:
        return np.load(path)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        array = compute()
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.save(file, array)
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
    return array
