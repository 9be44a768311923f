"""Decode a folder of pictures once into a memory-mapped file that later runs open instantly.

`<cache>/<name>-<hash of the path>/<key>/` holds `images.bin` (uint8 [N, S, S, C], no header) and
`meta.json`. It is created atomically, under a lock, and both files are checked against their
checksums whenever it is opened.
"""

import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animegan.core.errors import UsageError
from animegan.core.files import is_inside
from animegan.core.locks import lock
from animegan.data.cache_folder import KEY
from animegan.data.decode_many import Outcome, Recipe, decode_all
from animegan.data.folder import Listing

logger = logging.getLogger(__name__)

FORMAT = 2  # increase it whenever the same file would give different pixels
_SPARE = 64_000_000  # bytes that must stay free on the disk
_BLOCK = 2**24  # bytes of images that share a checksum, rounded down to whole images


@dataclass(frozen=True)
class Job:
    """A folder to decode, how, and the cache key of the result.

    `pictures` is the first of its `fingerprints`.
    """

    listing: Listing
    recipe: Recipe
    pictures: str  # hash of file names, sizes and times

    @property
    def root(self) -> Path:
        return self.listing.root

    @property
    def names(self) -> tuple[str, ...]:
        return self.listing.names

    @property
    def key(self) -> str:
        return hash_of(f"{FORMAT}/{self.pictures}/{json.dumps(asdict(self.recipe))}")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.recipe.image_size, self.recipe.image_size, self.recipe.channels

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape))

    @property
    def bytes(self) -> int:
        return len(self.names) * self.row_bytes

    @property
    def rows_per_block(self) -> int:
        return max(1, _BLOCK // self.row_bytes)

    def decoded(self, num_workers: int, outcome: Outcome) -> Iterator[NDArray[np.uint8]]:
        """Yield the decoded images in order. Raises UsageError if none can be decoded."""
        yield from decode_all(self.root, self.names, self.recipe, outcome, num_workers)
        if len(outcome.broken) == len(self.names):
            name, reason = next(iter(outcome.broken.items()))
            raise UsageError(
                f"{self.listing.flag} {self.root}: none of the {len(self.names)} pictures can be "
                f"decoded, the first {name}: {reason}"
            )


def hash_of(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def fingerprints(listing: Listing) -> tuple[str, str]:
    """Return two hashes of a listing: with and without modification times.

    The first changes whenever a file is added, removed or rewritten. The second covers names and
    sizes only, so it is the same for a copy of the folder.
    """
    lines, sizes = [], []
    for name in listing.names:
        try:
            status = os.stat(os.path.join(listing.root, name))
            sizes.append(f"{name}\0{status.st_size}\n")
            lines.append(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n")
        except OSError:  # a dangling link
            lines.append(f"{name}\0\n")
            sizes.append(lines[-1])
    return hash_of("".join(lines)), hash_of("".join(sizes))


def _changed(job: Job, name: str) -> int:
    """Return the time of a file's last change (including permissions), or 0 if it is missing."""
    try:
        return os.stat(job.root / name).st_ctime_ns
    except OSError:
        return 0


def open_cache(job: Job, cache: Path, num_workers: int) -> tuple[NDArray[np.uint8], Outcome]:
    """Load from the cache, building it first if needed. Raises OSError if that is impossible."""
    real = Path(os.path.realpath(job.root))
    if is_inside(cache, real):
        raise OSError(f"{cache} is inside the folder of pictures")
    group = cache / f"{real.name}-{hash_of(str(real))[:12]}"
    folder = group / job.key
    if loaded := _load(folder, job, num_workers):
        return loaded
    group.mkdir(parents=True, exist_ok=True)

    def waiting() -> None:
        logger.info(f"another process is decoding {job.root}; waiting for it")

    with lock(group / "lock", waiting):
        if loaded := _load(folder, job, num_workers):
            return loaded
        if folder.exists():
            logger.info(f"{folder} is damaged or out of date; decoding again")
        _clear(group, folder, job)
        _build(folder, job, num_workers)
        if loaded := _load(folder, job, num_workers):
            return loaded
        raise OSError(f"{folder} cannot be read back")


def _read_meta(folder: Path) -> dict[str, Any]:
    """Return the description of a cache. Raises ValueError, or OSError, if it is not whole."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="ascii"))
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(meta, dict) or meta.pop("check", None) != _check_of(meta):
        raise ValueError("its checksum is wrong")
    return meta


def _check_of(meta: dict[str, Any]) -> str:
    return hash_of(json.dumps(meta, sort_keys=True))


def _load(folder: Path, job: Job, workers: int) -> tuple[NDArray[np.uint8], Outcome] | None:
    """Return a cache's images and outcome, or None if it is missing, damaged or stale."""
    try:
        meta = _read_meta(folder)
        outcome = Outcome(meta["broken"], meta["enlarged"])
        # a change of permissions alone may have fixed a broken picture
        if any(_changed(job, name) != when for name, when in meta["changed"].items()):
            return None
        shape = (len(job.names) - len(outcome.broken), *job.shape)
        if (folder / "images.bin").stat().st_size != int(np.prod(shape)):
            return None
        if _checksums(folder / "images.bin", job, workers) != meta["blocks"]:
            return None
        return np.memmap(folder / "images.bin", np.uint8, "r", shape=shape), outcome
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _checksums(path: Path, job: Job, workers: int) -> list[int]:
    """Return the CRC-32 of each block of images: some 0.5 s per GB, or what the disk takes.

    The file is read rather than mapped, so that it does not count as this process's memory.
    """
    size = job.rows_per_block * job.row_bytes

    def checksum(start: int) -> int:
        with open(path, "rb") as file:
            file.seek(start)
            return zlib.crc32(file.read(size))

    with ThreadPoolExecutor(max(1, min(workers, 8)), thread_name_prefix="check") as pool:
        return list(pool.map(checksum, range(0, path.stat().st_size, size)))


def _clear(group: Path, folder: Path, job: Job) -> None:
    """Remove interrupted builds, and caches of earlier contents of the folder."""
    for other in group.iterdir():
        if not KEY.fullmatch(other.name):  # not made here
            continue
        try:
            meta = _read_meta(other)
            kept = meta["format"] == FORMAT and meta["pictures"] == job.pictures
        except (OSError, ValueError, KeyError):
            kept = False
        if other.is_dir() and (other == folder or other.suffix == ".tmp" or not kept):
            shutil.rmtree(other, ignore_errors=True)


def _build(folder: Path, job: Job, num_workers: int) -> None:
    room = shutil.disk_usage(folder.parent).free
    if room < job.bytes + _SPARE:
        needed = megabytes(job.bytes + _SPARE)
        raise OSError(f"{folder.parent} has {megabytes(room)} free, needs {needed}")
    logger.info(
        f"decoding {len(job.names):,} pictures of {job.root} into {folder}, {megabytes(job.bytes)}"
    )
    aside = folder.with_name(f"{folder.name}.tmp")
    outcome = Outcome()
    try:
        aside.mkdir()
        blocks: list[int] = []
        with open(aside / "images.bin", "wb") as file:
            for count, row in enumerate(job.decoded(num_workers, outcome)):
                if count % job.rows_per_block == 0:
                    blocks.append(0)
                blocks[-1] = zlib.crc32(row.data, blocks[-1])
                file.write(row.data)
            _settle(file.fileno(), file.flush)
        with open(aside / "meta.json", "w", encoding="ascii") as text:
            meta = {"format": FORMAT, "data_path": str(job.root), "pictures": job.pictures}
            meta |= asdict(job.recipe) | asdict(outcome)
            meta["changed"] = {name: _changed(job, name) for name in outcome.broken}
            meta["blocks"] = blocks
            meta = json.loads(json.dumps(meta))  # as it will be read: the checksum is of that
            json.dump(meta | {"check": _check_of(meta)}, text)
            _settle(text.fileno(), text.flush)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _settle(descriptor: int, flush: Callable[[], None]) -> None:
    """Flush to disk, so that after a power cut no file is there without its contents."""
    flush()
    os.fsync(descriptor)


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
