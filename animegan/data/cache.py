"""A folder of pictures, decoded once into a memory-mapped file that later runs open at once.

`<cache>/<name>-<hash of the path>/<key>/` holds `images.bin` (uint8 [N, S, S, C], nothing else)
and `meta.json`. It is written aside, under a lock, and moved into place: whole or not there.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from animegan.data.decode import RULES, parse_background
from animegan.data.folder import Listing, find_pictures
from animegan.data.recipe import Outcome, Recipe, decode_all
from animegan.errors import UsageError, refuse

FORMAT = 1  # raise it whenever the same file would give other pixels
_SPARE = 64_000_000  # bytes that a cache must leave free on the disk
_NAMED = 5  # broken pictures named before they are only counted


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Square pictures of one folder, in its sorted order, the broken ones left out."""

    images: NDArray[np.uint8]  # [N, S, S, C], read-only, most often memory-mapped
    labels: NDArray[np.int64]  # [N], indices of `classes`
    classes: tuple[str, ...]
    files: tuple[str, ...]  # relative to the folder, with "/"; one a row
    broken: tuple[str, ...]  # likewise
    digest: str = ""  # of all files' names and sizes and of what is broken; none without files

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class _Job:
    """What is to be decoded, and the names under which the result is kept."""

    listing: Listing
    recipe: Recipe
    pictures: str  # hash of names, sizes and times

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
    def bytes(self) -> int:
        return len(self.names) * int(np.prod(self.shape))


def cache_root() -> Path:
    """$ANIMEGAN_CACHE, else $XDG_CACHE_HOME/animegan, else ~/.cache/animegan."""
    if named := os.environ.get("ANIMEGAN_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "animegan"


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
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> FaceSet:
    """Open the pictures of a folder, or of a listing of it, through the cache where one can be
    had, else in memory.

    The cache is used again as long as the names, sizes and times of the files, the arguments from
    `image_size` to `resize` and the format are the same. For `resize` see `decode.fit`.

    Args:
        num_workers: threads that decode (0 is taken for 1).
        max_broken: share of broken pictures, 0 to 1, above which to stop.
        cache_dir: default `cache_root()`.
        say: told, line by line, of decoding, waiting, broken and enlarged pictures, a lost cache.

    Raises:
        UsageError: the folder (see `find_pictures`), the background, or too many broken pictures.
    """
    assert resize in RULES
    problems: list[str] = []
    try:
        parse_background(background)
    except UsageError as error:
        problems += error.problems
    try:
        listing = data if isinstance(data, Listing) else find_pictures(data)
    except UsageError as error:
        raise UsageError(*problems, *error.problems) from None
    refuse(problems)

    recipe = Recipe(image_size, channels, background, resize)
    pictures, sizes = _fingerprints(listing)
    job = _Job(listing, recipe, pictures)
    try:
        images, outcome = _cached(job, cache_dir or cache_root(), num_workers, say)
    except OSError as error:
        reason = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        say(f"no cache ({reason or error}); the pictures stay in memory, {_mb(job.bytes)}")
        images, outcome = _in_memory(job, num_workers)

    _report(job, outcome, max_broken, say)
    kept = [name not in outcome.broken for name in job.names]
    return FaceSet(
        images=images,
        labels=np.array(listing.labels, np.int64)[kept],
        classes=listing.classes,
        files=tuple(name for name, good in zip(job.names, kept, strict=True) if good),
        broken=tuple(outcome.broken),
        digest=_hash("\n".join([sizes, *outcome.broken]))[:12],
    )


def _report(job: _Job, outcome: Outcome, max_broken: float, say: Callable[[str], None]) -> None:
    total, broken = len(job.names), list(outcome.broken.items())
    if len(broken) > max_broken * total:
        raise UsageError(
            f"--max-broken {max_broken:g}: {len(broken)} of {total} pictures cannot be used, the "
            f"first {broken[0][0]} ({broken[0][1]}); mend or remove them, or allow a larger share"
        )
    for name, reason in broken[:_NAMED]:
        say(f"broken picture skipped: {name}: {reason}")
    if len(broken) > _NAMED:
        say(f"broken pictures skipped: {len(broken) - _NAMED} more, {len(broken)} of {total}")
    if outcome.enlarged:
        size = job.recipe.image_size
        say(
            f"{outcome.enlarged} of {total} pictures are smaller than {size}x{size} and were "
            "enlarged (--resize pad leaves them as they are)"
        )


def _hash(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _fingerprints(listing: Listing) -> tuple[str, str]:
    """The first changes whenever a picture comes, goes, or is written anew. The second does not
    where a picture is written anew in the same size, and so is the same for a copy of the folder.
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
    """When the file last changed in any respect, permissions too; 0 where it is not there."""
    try:
        return os.stat(job.root / name).st_ctime_ns
    except OSError:
        return 0


def _cached(
    job: _Job, cache: Path, num_workers: int, say: Callable[[str], None]
) -> tuple[NDArray[np.uint8], Outcome]:
    """From the cache, made first if need be. Raises OSError where there cannot be one."""
    real = Path(os.path.realpath(job.root))
    if Path(os.path.realpath(cache)).is_relative_to(real):
        raise OSError(f"{cache} lies inside the folder of pictures")
    group = cache / f"{real.name}-{_hash(str(real))[:12]}"
    folder = group / job.key
    if found := _load(folder, job):
        return found
    group.mkdir(parents=True, exist_ok=True)
    lock = FileLock(group / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another process is decoding the pictures of {job.root}; waiting for it")
        lock.acquire()
    try:
        if found := _load(folder, job):
            return found
        _clear(group, folder, job)
        _build(folder, job, num_workers, say)
        if found := _load(folder, job):
            return found
        raise OSError(f"{folder} cannot be read back")
    finally:
        lock.release()


def _load(folder: Path, job: _Job) -> tuple[NDArray[np.uint8], Outcome] | None:
    """A cache that is whole and still true, or None."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="ascii"))
        outcome = Outcome(meta["broken"], meta["enlarged"])
        # A broken picture may have been mended by new permissions alone.
        if any(_changed(job, name) != when for name, when in meta["changed"].items()):
            return None
        shape = (len(job.names) - len(outcome.broken), *job.shape)
        if (folder / "images.bin").stat().st_size != int(np.prod(shape)):
            return None
        return np.memmap(folder / "images.bin", np.uint8, "r", shape=shape), outcome
    except (OSError, ValueError, KeyError):
        return None


def _clear(group: Path, folder: Path, job: _Job) -> None:
    """Remove what can serve no more: broken-off builds, caches of what the folder held before."""
    for other in group.iterdir():
        try:
            meta = json.loads((other / "meta.json").read_text(encoding="ascii"))
            kept = meta["format"] == FORMAT and meta["pictures"] == job.pictures
        except (OSError, ValueError, KeyError):
            kept = False
        if other.is_dir() and (other == folder or other.suffix == ".tmp" or not kept):
            shutil.rmtree(other, ignore_errors=True)


def _build(folder: Path, job: _Job, num_workers: int, say: Callable[[str], None]) -> None:
    free = shutil.disk_usage(folder.parent).free
    if free < job.bytes + _SPARE:
        raise OSError(f"{folder.parent} has {_mb(free)} free, {_mb(job.bytes + _SPARE)} are needed")
    say(f"decoding {len(job.names):,} pictures of {job.root} into {folder}, {_mb(job.bytes)}")
    aside = folder.with_name(f"{folder.name}.tmp")
    outcome = Outcome()
    try:
        aside.mkdir()
        with open(aside / "images.bin", "wb") as file:
            for row in _decoded(job, num_workers, outcome):
                file.write(row.data)
            _settle(file.fileno(), file.flush)
        with open(aside / "meta.json", "w", encoding="ascii") as text:
            meta = {"format": FORMAT, "data_path": str(job.root), "pictures": job.pictures}
            meta |= asdict(job.recipe) | asdict(outcome)
            meta["changed"] = {name: _changed(job, name) for name in outcome.broken}
            json.dump(meta, text)
            _settle(text.fileno(), text.flush)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _settle(descriptor: int, flush: Callable[[], None]) -> None:
    """To the disk itself: a name must not outlive a power cut that its bytes did not."""
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
    """The usable pictures in order. Raises UsageError where there is not one."""
    yield from decode_all(job.root, job.names, job.recipe, outcome, num_workers)
    if len(outcome.broken) == len(job.names):
        name, reason = next(iter(outcome.broken.items()))
        raise UsageError(
            f"--data-path {job.root}: none of its {len(job.names)} pictures can be used, the "
            f"first {name}: {reason}"
        )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
