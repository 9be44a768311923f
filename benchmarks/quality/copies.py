"""Which copies of training images `evaluate` finds: the table of copies in docs/evaluate.md.

    python -m benchmarks.quality.copies --faces TRAIN --held-out HELD_OUT [--n 250] [--unseen 1000]

Alters n training faces in several ways, mirrored or not, and prints the share that the copying test
reports as copies, as Markdown. Held-out faces that are not used as unseen reals stand in for a
generator that copies nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from animegan.core.errors import UsageError
from animegan.data.face_set import open_set
from animegan.evaluation.copying import copying
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.measure import measure, of_array
from benchmarks.harness.command import run
from benchmarks.harness.table import line, markdown
from benchmarks.quality.damage import blurred, half_swapped, noised, warped

Faces = NDArray[np.uint8]  # [N, S, S, 3]


def unaltered(faces: Faces, _: float, reals: Faces) -> Faces:
    """Return the faces unchanged."""
    return faces


def shifted(faces: Faces, pixels: float, reals: Faces) -> Faces:
    """Shift faces down and to the right by whole pixels, repeating the edge."""
    by = int(pixels)
    size = faces.shape[1]
    return np.pad(faces, ((0, 0), (by, 0), (by, 0), (0, 0)), mode="edge")[:, :size, :size]


def brightened(faces: Faces, levels: float, reals: Faces) -> Faces:
    """Brighten every pixel by `levels` (of 255)."""
    brighter: Faces = np.clip(faces + levels, 0, 255).round().astype(np.uint8)
    return brighter


ALTERED: tuple[tuple[Callable[[Faces, float, Faces], Faces], str, tuple[float, ...]], ...] = (
    (unaltered, "-", (0,)),
    (blurred, "sigma {:g} px", (0.5, 1)),
    (noised, "sigma {:g} levels", (2, 8)),
    (warped, "{:g} px", (1, 2)),
    (shifted, "{:g} px", (1, 4)),
    (brightened, "{:g} levels", (10, 30)),
    (half_swapped, "all", (1,)),
)


def main(
    *,
    faces: Path,
    held_out: Path,
    n: int = 250,
    unseen: int = 1000,
    extractor: Literal["lite0", "lite2", "inception"] = "lite0",
    inception_file: str | None = None,
) -> None:
    """Print the table.

    Args:
        faces: folder of training faces.
        held_out: folder of other real faces.
        n: copies per row, and honest samples.
        unseen: held-out faces for the threshold.
        extractor, inception_file: as of `evaluate`.
    """
    look = build_extractor(extractor, inception_file)
    train = open_set(faces, flag="--faces").images
    others = open_set(held_out, flag="--held-out").images
    if unseen >= len(others):
        raise UsageError(
            f"--unseen {unseen}: leaves none of the {len(others)} for honest samples; take fewer"
        )
    order = np.random.RandomState(0).permutation(len(others))
    unseen_faces, fresh = np.split(others[order[: unseen + n]], [unseen])
    originals = train[np.random.RandomState(1).permutation(len(train))[:n]]
    rows, sets = [("none: held-out faces", "")], [fresh]
    for alter, label, strengths in ALTERED:
        for strength in strengths:
            rows.append((alter.__name__.replace("_", " "), label.format(strength)))
            altered = alter(originals, strength, fresh)
            sets += [altered, np.ascontiguousarray(altered[:, :, ::-1])]
    samples = of_array("copies", np.concatenate(sets))
    result = copying(
        measure(samples, look, None, mirrored=samples.count),
        measure(of_array("training faces", train), look, None),
        measure(of_array("unseen faces", unseen_faces), look, None, mirrored=len(unseen_faces)),
        "held-out faces",
    )
    if result.near is None:
        raise UsageError(
            f"--held-out {held_out}: all of them are in {faces}; take faces that are not"
        )
    within = result.samples.distances <= result.near
    ends = np.cumsum([len(images) for images in sets])[:-1]
    shares = [float(images.mean()) for images in np.split(within, ends)]
    print(f"{len(train):,} training faces; "
          f"{result.left_out} of {len(unseen_faces):,} unseen left out\n")  # fmt: skip
    print(markdown(("copies", "strength", "found", "found when mirrored"), ()))
    print(line((rows[0][0], "", f"{shares[0]:.1%}", "")))
    for row, *pair in zip(rows[1:], shares[1::2], shares[2::2], strict=True):
        print(line((*row, *(f"{share:.1%}" for share in pair))))


if __name__ == "__main__":
    run(main)
