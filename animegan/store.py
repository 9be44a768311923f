"""Arrays that are costly to compute, kept between calls under the hash of what they come from."""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animegan.data.cache import cache_root
from animegan.files import aside


def fingerprint(chunks: Iterable[NDArray[np.uint8]]) -> str:
    """Hash of uint8 pictures [n, ...], however they are cut into chunks; their shape counts too."""
    digest = hashlib.blake2b(digest_size=16)
    shape: tuple[int, ...] = ()
    for chunk in chunks:
        shape = chunk.shape[1:]
        digest.update(chunk.tobytes())
    digest.update(repr(shape).encode())
    return digest.hexdigest()


def read(what: str, source: str) -> NDArray[np.generic] | None:
    """The array kept as `what` (a recipe, versioned) of `source` (a hash), or None."""
    try:
        return np.load(_path(what, source))  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError):  # not there, cut short, not an array
        return None


def keep(what: str, source: str, array: NDArray[np.generic]) -> None:
    """Keep the array for `read`; a folder that cannot be written costs only time later."""
    path = _path(what, source)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as half, half.open("wb") as file:
            np.save(file, array)


def _path(what: str, source: str) -> Path:
    key = hashlib.blake2b(f"{what}\n{source}".encode(), digest_size=16).hexdigest()
    return cache_root() / "features" / f"{key}.npy"
