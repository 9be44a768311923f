"""A folder of pictures as one array, from the cache on disk or, without one, in memory."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animegan.core.errors import UsageError, refuse
from animegan.data.cache import Job, fingerprints, hash_of, megabytes, open_cache
from animegan.data.cache_folder import cache_root
from animegan.data.decode import RULES, parse_background
from animegan.data.decode_many import Outcome, Recipe
from animegan.data.folder import Listing, find_pictures

logger = logging.getLogger(__name__)

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
    pictures, sizes = fingerprints(listing)
    job = Job(listing, recipe, pictures)
    try:
        images, outcome = open_cache(job, cache_dir or cache_root(), num_workers)
    except OSError as error:
        reason = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        logger.info(
            f"no cache ({reason or error}); keeping the pictures in memory, {megabytes(job.bytes)}"
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
        digest=hash_of("\n".join([sizes, *outcome.broken]))[:12],
    )


def _report(job: Job, outcome: Outcome, max_broken: float) -> None:
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


def _in_memory(job: Job, num_workers: int) -> tuple[NDArray[np.uint8], Outcome]:
    outcome = Outcome()
    images = np.empty((len(job.names), *job.shape), np.uint8)
    count = 0
    for row in job.decoded(num_workers, outcome):
        images[count] = row
        count += 1
    images.setflags(write=False)
    return images[:count], outcome
