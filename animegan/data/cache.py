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

from animegan.core.errors import UsageError, refuse
from animegan.core.files import is_inside
from animegan.core.locks import lock
from animegan.data.cache_folder import KEY, cache_root
from animegan.data.decode import RULES, parse_background
from animegan.data.decode_many import Outcome, Recipe, decode_all
from animegan.data.folder import Listing, find_pictures

logger = logging.getLogger(__name__)

FORMAT = 2  # increase it whenever the same file would give different pixels
_SPARE = 64_000_000  # bytes that must stay free on the disk
_BLOCK = 2**24  # bytes of images that share a checksum, rounded down to whole images
_NAMED = 5  # broken pictures listed by name; further ones are only counted


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Square images of a folder, in sorted order, without broken ones."""

    images: NDArray[np.uint8]  # [N, S, S, C], read-only, usually memory-mapped
    labels: NDArray[np.int64]  # [N], indices into `classes`
    classes: tuple[str, ...]
    files: tuple[str, ...]  # [N], relative to the folder, with "/"
    broken: tuple[str, ...]  # skipped files, in the same form
    digest: str = ""  # hash of file names and sizes and of `broken`; empty without files

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class _Job:
    """A folder to decode, how, and the cache key of the result."""

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
        return _hash(f"{FORMAT}/{self.pictures}/{json.dumps(asdict(self.recipe))}")

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


def open_set(
    data: str | Path | Listing,
    *,
    image_size: int = 96,
    channels: int = 3,
    background: str = "white",
    resize: str = "crop",
    num_workers: int = 4,
    max_broken: float = 0.01,
    cache_dir: Path | None = None,
    flag: str = "--data-path",
) -> FaceSet:
    """Open a folder of pictures, or a listing of one, as an array.

    The pictures are cached on disk if possible, and otherwise kept in memory. A cache is reused as
    long as file names, sizes and times, the arguments from `image_size` to `resize`, and the format
    are the same.

    Args:
        data: the folder, or a listing of it.
        image_size: side of the images in pixels.
        channels: 3 (RGB) or 1 (grey).
        background: colour laid under transparent pixels.
        resize: one of `decode.RULES`; see `decode.fit`.
        num_workers: decoding threads (0 means 1).
        max_broken: largest share of broken pictures to accept, 0 to 1.
        cache_dir: None means `cache_root()`.
        flag: the option that named the folder, for messages; a listing has its own.

    Raises:
        UsageError: the folder (see `find_pictures`) or background is invalid, or too many pictures
            are broken.
    """
    assert resize in RULES
    problems: list[str] = []
    try:
        parse_background(background)
    except UsageError as error:
        problems += error.problems
    try:
        listing = data if isinstance(data, Listing) else find_pictures(data, flag)
    except UsageError as error:
        raise UsageError(*problems, *error.problems) from None
    refuse(problems)

    recipe = Recipe(image_size, channels, background, resize)
    pictures, sizes = _fingerprints(listing)
    job = _Job(listing, recipe, pictures)
    try:
        images, outcome = _cached(job, cache_dir or cache_root(), num_workers)
    except OSError as error:
        reason = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        logger.info(
            f"no cache ({reason or error}); keeping the pictures in memory, {_mb(job.bytes)}"
        )
        images, outcome = _in_memory(job, num_workers)

    _report(job, outcome, max_broken)
    kept = [name not in outcome.broken for name in job.names]
    return FaceSet(
        images=images,
        labels=np.array(listing.labels, np.int64)[kept],
        classes=listing.classes,
        files=tuple(name for name, good in zip(job.names, kept, strict=True) if good),
        broken=tuple(outcome.broken),
        digest=_hash("\n".join([sizes, *outcome.broken]))[:12],
    )


def _report(job: _Job, outcome: Outcome, max_broken: float) -> None:
    total, broken = len(job.names), list(outcome.broken.items())
    if job.listing.left_out:
        logger.info(f"{job.root}: not used: {job.listing.left_out}")
    if len(broken) > max_broken * total:
        raise UsageError(
            f"--max-broken {max_broken:g}: {len(broken)} of {total} pictures are broken, the "
            f"first {broken[0][0]} ({broken[0][1]}); fix or remove them, or allow a larger share"
        )
    for name, reason in broken[:_NAMED]:
        logger.info(f"skipped broken picture {name}: {reason}")
    if len(broken) > _NAMED:
        logger.info(
            f"skipped {len(broken) - _NAMED} more broken pictures, {len(broken)} of {total}"
        )
    if outcome.enlarged:
        size = job.recipe.image_size
        logger.info(
            f"{outcome.enlarged} of {total} pictures are smaller than {size}x{size} and were "
            "enlarged (--resize pad keeps their size)"
        )


def _hash(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _fingerprints(listing: Listing) -> tuple[str, str]:
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
    return _hash("".join(lines)), _hash("".join(sizes))


def _changed(job: _Job, name: str) -> int:
    """Return the time of a file's last change (including permissions), or 0 if it is missing."""
    try:
        return os.stat(job.root / name).st_ctime_ns
    except OSError:
        return 0


def _cached(job: _Job, cache: Path, num_workers: int) -> tuple[NDArray[np.uint8], Outcome]:
    """Load from the cache, building it first if needed. Raises OSError if that is impossible."""
    real = Path(os.path.realpath(job.root))
    if is_inside(cache, real):
        raise OSError(f"{cache} is inside the folder of pictures")
    group = cache / f"{real.name}-{_hash(str(real))[:12]}"
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
    return _hash(json.dumps(meta, sort_keys=True))


def _load(folder: Path, job: _Job, workers: int) -> tuple[NDArray[np.uint8], Outcome] | None:
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


def _checksums(path: Path, job: _Job, workers: int) -> list[int]:
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


def _clear(group: Path, folder: Path, job: _Job) -> None:
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


def _build(folder: Path, job: _Job, num_workers: int) -> None:
    room = shutil.disk_usage(folder.parent).free
    if room < job.bytes + _SPARE:
        raise OSError(f"{folder.parent} has {_mb(room)} free, needs {_mb(job.bytes + _SPARE)}")
    logger.info(
        f"decoding {len(job.names):,} pictures of {job.root} into {folder}, {_mb(job.bytes)}"
    )
    aside = folder.with_name(f"{folder.name}.tmp")
    outcome = Outcome()
    try:
        aside.mkdir()
        blocks: list[int] = []
        with open(aside / "images.bin", "wb") as file:
            for count, row in enumerate(_decoded(job, num_workers, outcome)):
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


def _in_memory(job: _Job, num_workers: int) -> tuple[NDArray[np.uint8], Outcome]:
    outcome = Outcome()
    images = np.empty((len(job.names), *job.shape), np.uint8)
    count = 0
    for row in _decoded(job, num_workers, outcome):
        images[count] = row
        count += 1
    images.setflags(write=False)
    return images[:count], outcome


def _decoded(job: _Job, num_workers: int, outcome: Outcome) -> Iterator[NDArray[np.uint8]]:
    """Yield the decoded images in order. Raises UsageError if none can be decoded."""
    yield from decode_all(job.root, job.names, job.recipe, outcome, num_workers)
    if len(outcome.broken) == len(job.names):
        name, reason = next(iter(outcome.broken.items()))
        raise UsageError(
            f"{job.listing.flag} {job.root}: none of the {len(job.names)} pictures can be "
            f"decoded, the first {name}: {reason}"
        )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
