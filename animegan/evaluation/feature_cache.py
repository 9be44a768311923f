"""Cache arrays that are expensive to compute on disk, keyed by the hash of their input.

A file is an .npy with the SHA-256 of its bytes behind it; it is read only if that is right.
"""

import contextlib
import hashlib
import io
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animegan.core.files import aside
from animegan.data.cache_folder import cache_root

logger = logging.getLogger(__name__)

_CHECKSUM = hashlib.sha256().digest_size  # bytes


def fingerprint(chunks: Iterable[NDArray[np.uint8]]) -> str:
    """Hash uint8 images [n, ...] including their shape; independent of the chunk size."""
    digest = hashlib.blake2b(digest_size=16)
    shape: tuple[int, ...] = ()
    for chunk in chunks:
        shape = chunk.shape[1:]
        digest.update(chunk.tobytes())
    digest.update(repr(shape).encode())
    return digest.hexdigest()


def read(
    what: str, source: str, dtype: type[np.generic], shape: tuple[int | None, ...]
) -> NDArray[np.generic] | None:
    """Return the cached array, or None if there is none or it cannot be trusted.

    Args:
        what: how it was computed, with a version.
        source: fingerprint of its input.
        dtype: the type that it must have.
        shape: the shape that it must have; None is any size.
    """
    path = _path(what, source)
    try:
        content = path.read_bytes()
    except OSError:  # usually: not cached yet
        return None
    array = _parse(content)
    if array is None:
        logger.info(f"{path}: not whole, its checksum is wrong; computing it again")
        return None
    fits = len(array.shape) == len(shape) and all(
        size is None or size == actual for size, actual in zip(shape, array.shape, strict=True)
    )
    return array if fits and array.dtype == dtype and _is_finite(array) else None


def keep(what: str, source: str, array: NDArray[np.generic]) -> None:
    """Cache the array for `read`; write errors are ignored, and so is what is not finite."""
    path = _path(what, source)
    if not _is_finite(array):
        return
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    content = file.getbuffer()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as half, half.open("wb") as out:
            out.write(content)
            out.write(hashlib.sha256(content).digest())


def _parse(content: bytes) -> NDArray[np.generic] | None:
    """Return the array of a file's content, or None if the content is not what was written."""
    array, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:]
    if hashlib.sha256(array).digest() != checksum:
        return None
    try:
        return np.load(io.BytesIO(array), allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError, OSError):  # not an array
        return None


def _is_finite(array: NDArray[np.generic]) -> bool:
    return array.dtype.kind in "biu" or bool(np.isfinite(array).all())


def _path(what: str, source: str) -> Path:
    key = hashlib.blake2b(f"{what}\n{source}".encode(), digest_size=16).hexdigest()
    return cache_root() / "features" / f"{key}.npy"
