"""Cache arrays that are expensive to compute on disk, keyed by the hash of their input."""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animegan.core.files import aside
from animegan.data.cache_folder import cache_root


def fingerprint(chunks: Iterable[NDArray[np.uint8]]) -> str:
    """Hash uint8 images [n, ...] including their shape; independent of the chunk size."""
    digest = hashlib.blake2b(digest_size=16)
    shape: tuple[int, ...] = ()
    for chunk in chunks:
        shape = chunk.shape[1:]
        digest.update(chunk.tobytes())
    digest.update(repr(shape).encode())
    return digest.hexdigest()


def read(what: str, source: str) -> NDArray[np.generic] | None:
    """Return the cached array, or None.

    Args:
        what: how it was computed, with a version.
        source: fingerprint of its input.
    """
    try:
        return np.load(_path(what, source))  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError):  # missing, truncated, not an array
        return None


def keep(what: str, source: str, array: NDArray[np.generic]) -> None:
    """Cache the array for `read`; write errors are ignored."""
    path = _path(what, source)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as half, half.open("wb") as file:
            np.save(file, array)


def _path(what: str, source: str) -> Path:
    key = hashlib.blake2b(f"{what}\n{source}".encode(), digest_size=16).hexdigest()
    return cache_root() / "features" / f"{key}.npy"
