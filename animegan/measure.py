"""What is measured of each picture of a set, in one pass, and kept where the set is a folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from animegan import store
from animegan.errors import UsageError
from animegan.features import BATCH, Extractor
from animegan.images import Draw, to_pil
from animegan.metrics import thumbnails

RECIPE = 1  # raise it when the same picture would give other numbers


class FaceFinder(Protocol):
    """What the face rate needs of `animegan.detector.FaceDetector`."""

    def has_face(self, image: Image.Image) -> bool:
        """Whether a cut-out shows a face."""
        ...


def too_many(asked: int, name: str, there: int) -> UsageError:
    """What to raise where `name` has fewer pictures than --eval-num asks for."""
    return UsageError(f"--eval-num {asked}: {name} has {there} pictures; take {there} or fewer")


@dataclass(frozen=True, eq=False)
class Pictures:
    """A set to measure: pictures 0 .. count-1 of `draw`."""

    name: str  # a folder or a weight file, for tables
    count: int
    draw: Draw
    source: str | None = None  # hash of the pixels, under which results are kept; None: not kept

    def at(self, rows: Sequence[int]) -> Tensor:
        """uint8 [len(rows), C, H, W]: single pictures, for sheets."""
        return torch.cat([self.draw(row, 1) for row in rows])


@dataclass(frozen=True, eq=False)
class Measured:
    """A set in numbers."""

    features: NDArray[np.float32]  # [N, d]
    thumbs: NDArray[np.uint8]  # [N, C * 256]
    faces: NDArray[np.bool_]  # [N], whether the detector finds a face; empty without a detector

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, rows: NDArray[np.int64]) -> "Measured":
        """Some of the pictures, in this order."""
        faces = self.faces[rows] if len(self.faces) else self.faces
        return Measured(self.features[rows], self.thumbs[rows], faces)


def of_array(
    name: str, images: NDArray[np.uint8], order: NDArray[np.int64] | None = None
) -> Pictures:
    """A set out of an array [M, H, W, C], its pictures in the given order (default: as they lie).

    Results are kept under the hash of the pixels, so an altered or reordered folder is another set.
    """
    rows = np.arange(len(images)) if order is None else order

    def draw(start: int, count: int) -> Tensor:
        chosen = np.ascontiguousarray(images[rows[start : start + count]])
        return torch.from_numpy(chosen).permute(0, 3, 1, 2)

    chunks = (images[rows[start : start + BATCH]] for start in range(0, len(rows), BATCH))
    return Pictures(name, len(rows), draw, store.fingerprint(chunks))


def measure(pictures: Pictures, extractor: Extractor, detector: FaceFinder | None) -> Measured:
    """Features, thumbnails and faces of every picture, in one pass with a progress bar on stderr.

    Memory: the result, and one batch of pictures.
    """
    steps: dict[str, Callable[[Tensor], NDArray[np.generic]]] = {
        f"features {RECIPE} {extractor.name} {extractor.weights}": lambda p: extractor(p).numpy(),
        f"thumbnails {RECIPE}": lambda p: thumbnails(p).numpy(),
    }
    if detector is not None:
        finder = detector
        steps[f"faces {RECIPE} animeface"] = lambda p: np.array(
            [finder.has_face(to_pil(picture)) for picture in p]
        )
    found: dict[str, NDArray[np.generic]] = {}
    for what in steps if pictures.source else ():
        assert pictures.source is not None
        array = store.read(what, pictures.source)
        if array is not None and len(array) == pictures.count:
            found[what] = array
    missing = [what for what in steps if what not in found]
    if missing:
        parts: dict[str, list[NDArray[np.generic]]] = {what: [] for what in missing}
        with tqdm(total=pictures.count, desc=f"measuring {pictures.name}", unit="img") as bar:
            for start in range(0, pictures.count, BATCH):
                pixels = pictures.draw(start, min(BATCH, pictures.count - start))
                for what in missing:
                    parts[what].append(steps[what](pixels))
                bar.update(len(pixels))
        for what in missing:
            found[what] = np.concatenate(parts[what])
            if pictures.source:
                store.keep(what, pictures.source, found[what])
    features, thumbs, *faces = (found[what] for what in steps)
    seen = faces[0] if faces else np.empty(0, dtype=np.bool_)
    return Measured(
        features.astype(np.float32, copy=False),
        thumbs.astype(np.uint8, copy=False),
        seen.astype(np.bool_, copy=False),
    )
