"""Per-picture measurements of a set, made in one pass and cached if the set is a folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from animegan.core.errors import UsageError
from animegan.core.images import Draw, to_pil
from animegan.core.printable import printable
from animegan.data.face_set import FaceSet
from animegan.evaluation import feature_cache
from animegan.evaluation.extractors import BATCH, Extractor
from animegan.evaluation.metrics import thumbnails

RECIPE = 1  # increment when the same picture would give different numbers


class FaceFinder(Protocol):
    """The part of `animegan.datasets.faces.detector.FaceDetector` that the face rate needs."""

    def has_face(self, image: Image.Image) -> bool:
        """Return whether a cropped picture shows a face."""
        ...


def too_many(asked: int, name: str, there: int) -> UsageError:
    """Return the error for a set `name` that has fewer pictures than --eval-num asks for."""
    return UsageError(f"--eval-num {asked}: {name} has {there} pictures; take {there} or fewer")


@dataclass(frozen=True, eq=False)
class Folder:
    """An opened folder of real pictures, and how it is called in tables."""

    path: str
    faces: FaceSet


@dataclass(frozen=True, eq=False)
class Pictures:
    """A set of pictures to measure: pictures 0 .. count-1 of `draw`."""

    name: str  # a folder or a weight file, for tables
    count: int
    draw: Draw
    source: str | None = None  # hash of the pixels, under which to cache results; None: no cache

    def at(self, rows: Sequence[int]) -> Tensor:
        """Return single pictures, uint8 [len(rows), C, H, W]."""
        return torch.cat([self.draw(row, 1) for row in rows])


@dataclass(frozen=True, eq=False)
class Measured:
    """The measurements of a set of N pictures."""

    features: NDArray[np.float32]  # [N, d]
    thumbs: NDArray[np.uint8]  # [N, C * 256]
    faces: NDArray[np.bool_]  # [N], whether a face was detected; empty without a detector
    mirrored: NDArray[np.float32]  # [M, d], features of the mirror images of the first M <= N

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, rows: NDArray[np.int64]) -> "Measured":
        """Return the measurements of some of the pictures, in this order.

        Without `mirrored` if the mirror image of any of them has not been measured.
        """
        faces = self.faces[rows] if len(self.faces) else self.faces
        known = rows.max(initial=0) < len(self.mirrored)
        mirrored = self.mirrored[rows] if known else self.mirrored[:0]
        return Measured(self.features[rows], self.thumbs[rows], faces, mirrored)


def of_array(
    name: str, images: NDArray[np.uint8], order: NDArray[np.int64] | None = None
) -> Pictures:
    """Make a set of an array [M, H, W, C], with its pictures in the given order (default: all).

    Results are cached under a hash of the pixels, so a changed or reordered set is a new one.
    """
    rows = np.arange(len(images)) if order is None else order

    def draw(start: int, count: int) -> Tensor:
        chosen = np.ascontiguousarray(images[rows[start : start + count]])
        return torch.from_numpy(chosen).permute(0, 3, 1, 2)

    chunks = (images[rows[start : start + BATCH]] for start in range(0, len(rows), BATCH))
    return Pictures(name, len(rows), draw, feature_cache.fingerprint(chunks))


@dataclass(frozen=True)
class _Measurement:
    """What is measured of the first `count` pictures, and how."""

    what: str  # the key under which it is cached
    count: int
    dtype: type[np.generic]
    dimensions: int  # 2: [count, any]; 1: [count]
    of: Callable[[Tensor], NDArray[np.generic]]

    def cached(self, source: str | None) -> NDArray[np.generic] | None:
        shape = (self.count, None)[: self.dimensions]
        return feature_cache.read(self.what, source, self.dtype, shape) if source else None


def measure(
    pictures: Pictures, extractor: Extractor, detector: FaceFinder | None, mirrored: int = 0
) -> Measured:
    """Measure features, thumbnails and faces of every picture, with a progress bar on stderr.

    Uses cached results where there are any, otherwise one pass that holds one batch in memory.

    mirrored: of so many pictures, the first, measure the features of their mirror images too.
    """
    of_features, of_mirrored = (
        f"{way} {_made_by(extractor)}" for way in ("features", "mirrored features")
    )
    count = pictures.count
    features = _Measurement(
        of_features, count, np.float32, 2, lambda pixels: extractor(pixels).numpy()
    )
    thumbs = _Measurement(
        f"thumbnails {RECIPE}", count, np.uint8, 2, lambda pixels: thumbnails(pixels).numpy()
    )
    wanted = [features, thumbs]
    if detector is not None:
        finder = detector
        faces = _Measurement(
            f"faces {RECIPE} animeface", count, np.bool_, 1,
            lambda pixels: np.array([finder.has_face(to_pil(picture)) for picture in pixels]),
        )  # fmt: skip
        wanted.append(faces)
    if mirrored:
        flipped = _Measurement(
            of_mirrored, mirrored, np.float32, 2, lambda pixels: extractor(pixels.flip(3)).numpy()
        )
        wanted.append(flipped)
    results = {
        step.what: array for step in wanted if (array := step.cached(pictures.source)) is not None
    }
    missing = [step for step in wanted if step.what not in results]
    for step, array in zip(missing, _one_pass(pictures, missing), strict=True):
        results[step.what] = array
        if pictures.source:
            feature_cache.keep(step.what, pictures.source, array)
    rows = results[features.what].astype(np.float32, copy=False)
    return Measured(
        rows,
        results[thumbs.what].astype(np.uint8, copy=False),
        results[faces.what].astype(np.bool_, copy=False)
        if detector is not None
        else np.empty(0, np.bool_),
        results[flipped.what].astype(np.float32, copy=False) if mirrored else rows[:0],
    )


def _one_pass(pictures: Pictures, steps: Sequence[_Measurement]) -> list[NDArray[np.generic]]:
    """Draw the pictures once, BATCH at a time, and measure each step."""
    if not steps:
        return []
    parts: list[list[NDArray[np.generic]]] = [[] for _ in steps]
    count = max(step.count for step in steps)
    with tqdm(total=count, desc=f"measuring {printable(pictures.name)}", unit="img") as bar:
        for start in range(0, count, BATCH):
            pixels = pictures.draw(start, min(BATCH, count - start))
            for step, arrays in zip(steps, parts, strict=True):
                if start < step.count:
                    arrays.append(step.of(pixels[: step.count - start]))
            bar.update(len(pixels))
    return [np.concatenate(arrays) for arrays in parts]


def _made_by(extractor: Extractor) -> str:
    """Return all that the bits of a picture's features depend on, for the key of kept ones.

    Sums are split among threads and rounded as this version of torch does it on this kind of
    device, so features from other settings would differ in their last bits.
    """
    return (
        f"{RECIPE} {extractor.name} {extractor.weights} {extractor.device.type} "
        f"{torch.get_num_threads()} {torch.__version__}"
    )
