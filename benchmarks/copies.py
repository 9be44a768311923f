"""Which copies of training images `evaluate` finds: the table of copies in docs/evaluate.md.

    python -m benchmarks.copies --faces TRAIN --held-out HELD_OUT [--n 250] [--unseen 1000]

Alters n training faces in several ways, mirrored or not, and prints the share that the copying test
reports as copies, as Markdown. Held-out faces that are not used as unseen reals stand in for a
generator that copies nothing.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animegan.data.cache import open_set
from animegan.evaluation.copying import copying
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.measure import measure, of_array
from benchmarks.damage import blurred, half_swapped, noised, warped

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
    return np.clip(faces + levels, 0, 255).round().astype(np.uint8)


ALTERED: tuple[tuple[Callable[[Faces, float, Faces], Faces], str, tuple[float, ...]], ...] = (
    (unaltered, "-", (0,)),
    (blurred, "sigma {:g} px", (0.5, 1)),
    (noised, "sigma {:g} levels", (2, 8)),
    (warped, "{:g} px", (1, 2)),
    (shifted, "{:g} px", (1, 4)),
    (brightened, "{:g} levels", (10, 30)),
    (half_swapped, "all", (1,)),
)


def main() -> None:
    """Parse the options and print the table."""
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--faces", type=Path, required=True, help="folder of training faces")
    ask.add_argument("--held-out", type=Path, required=True, help="folder of other real faces")
    ask.add_argument("--n", type=int, default=250, help="copies per row, and honest samples")
    ask.add_argument("--unseen", type=int, default=1000, help="held-out faces for the threshold")
    ask.add_argument("--extractor", choices=("lite0", "lite2", "inception"), default="lite0")
    ask.add_argument("--inception-file")
    args = ask.parse_args()
    extractor = build_extractor(args.extractor, args.inception_file)
    train, held_out = open_set(args.faces).images, open_set(args.held_out).images
    order = np.random.RandomState(0).permutation(len(held_out))
    unseen, fresh = np.split(held_out[order[: args.unseen + args.n]], [args.unseen])
    if not len(fresh):
        ask.error(f"--unseen {args.unseen}: leaves none of the {len(held_out)} for honest samples")
    faces = train[np.random.RandomState(1).permutation(len(train))[: args.n]]
    rows, sets = [("none: held-out faces", "")], [fresh]
    for alter, label, strengths in ALTERED:
        for strength in strengths:
            rows.append((alter.__name__.replace("_", " "), label.format(strength)))
            altered = alter(faces, strength, fresh)
            sets += [altered, np.ascontiguousarray(altered[:, :, ::-1])]
    samples = of_array("copies", np.concatenate(sets))
    found = copying(
        measure(samples, extractor, None, mirrored=samples.count),
        measure(of_array("training faces", train), extractor, None),
        measure(of_array("unseen faces", unseen), extractor, None, mirrored=len(unseen)),
        "held-out faces",
    )
    if found.near is None:
        ask.error(f"--held-out {args.held_out}: all of them are in {args.faces}")
    within = found.samples.distances <= found.near
    shares = [
        float(part.mean()) for part in np.split(within, np.cumsum([len(s) for s in sets]))[:-1]
    ]
    print(f"{len(train):,} training faces; {found.left_out} of {len(unseen):,} unseen left out\n")
    print("| copies | strength | found | found when mirrored |\n|---|---|---|---|")
    print(f"| {rows[0][0]} | | {shares[0]:.1%} | |")
    for (name, strength), *pair in zip(rows[1:], shares[1::2], shares[2::2], strict=True):
        print(f"| {name} | {strength} | {pair[0]:.1%} | {pair[1]:.1%} |")


if __name__ == "__main__":
    main()
