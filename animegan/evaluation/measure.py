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
from animegan.evaluation import feature_cache
from animegan.evaluation.extractors import BATCH, Extractor
from animegan.evaluation.metrics import thumbnails

RECIPE = 1  # increment when the same picture would give different numbers


class FaceFinder(Protocol):
    """The part of `animegan.detector.FaceDetector` that the face rate needs."""

    def has_face(self, image: Image.Image) -> bool:
        """Return whether a cropped picture shows a face."""
        ...


def too_many(asked: int, name: str, there: int) -> UsageError:
    """Return the error for a set `name` that has fewer pictures than --eval-num asks for."""
    return UsageError(f"--eval-num {asked}: {name} has {there} pictures; take {there} or fewer")


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


def measure(
    pictures: Pictures, extractor: Extractor, detector: FaceFinder | None, mirrored: int = 0
) -> Measured:
    """Measure features, thumbnails and faces of every picture, with a progress bar on stderr.

    Uses cached results where there are any, otherwise one pass that holds one batch in memory.

    mirrored: of so many pictures, the first, measure the features of their mirror images too.
    """
    plain, flipped = (f"{way} {_made_by(extractor)}" for way in ("features", "mirrored features"))
    small, faces = f"thumbnails {RECIPE}", f"faces {RECIPE} animeface"
    steps: dict[str, Callable[[Tensor], NDArray[np.generic]]] = {
        plain: lambda p: extractor(p).numpy(),
        small: lambda p: thumbnails(p).numpy(),
    }
    if detector is not None:
        finder = detector
        steps[faces] = lambda p: np.array([finder.has_face(to_pil(picture)) for picture in p])
    counts = dict.fromkeys(steps, pictures.count)
    if mirrored:
        steps[flipped] = lambda p: extractor(p.flip(3)).numpy()
        counts[flipped] = mirrored
    found: dict[str, NDArray[np.generic]] = {}
    for what in steps if pictures.source else ():
        assert pictures.source is not None
        array = feature_cache.read(what, pictures.source)
        if array is not None and len(array) == counts[what]:
            found[what] = array
    missing = [what for what in steps if what not in found]
    if missing:
        parts: dict[str, list[NDArray[np.generic]]] = {what: [] for what in missing}
        count = max(counts[what] for what in missing)
        with tqdm(total=count, desc=f"measuring {pictures.name}", unit="img") as bar:
            for start in range(0, count, BATCH):
                pixels = pictures.draw(start, min(BATCH, count - start))
                for what in missing:
                    if start < counts[what]:
                        parts[what].append(steps[what](pixels[: counts[what] - start]))
                bar.update(len(pixels))
        for what in missing:
            found[what] = np.concatenate(parts[what])
            if pictures.source:
                feature_cache.keep(what, pictures.source, found[what])
    features = found[plain].astype(np.float32, copy=False)
    return Measured(
        features,
        found[small].astype(np.uint8, copy=False),
        found.get(faces, np.empty(0)).astype(np.bool_, copy=False),
        found.get(flipped, features[:0]).astype(np.float32, copy=False),
    )


def _made_by(extractor: Extractor) -> str:
    """Return all that the bits of a picture's features depend on, for the key of kept ones.

    Sums are split among threads and rounded as this version of torch does it on this kind of
    device, so features from other settings would differ in their last bits.
    """
    return (
        f"{RECIPE} {extractor.name} {extractor.weights} {extractor.device.type} "
        f"{torch.get_num_threads()} {torch.__version__}"
    )
