"""Detection rates of the face detector on crops, and the stability of its boxes.

    python -m benchmarks.detector_rates --faces FOLDER --others FOLDER [--others FOLDER]

First, the share of crops in which `has_face` finds a face: unchanged, blurred, and for pictures
without faces. Second, for faces pasted twice at different places and sizes, half of them mirrored:
the distance between the hashes of the two crops, for a single detection and for the mean of ten.
"""

import argparse
import random
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageFilter, ImageOps

from animegan.datasets.crop import around, cut
from animegan.datasets.faces.detector import Face, FaceDetector, overlap_of


class OneLook(FaceDetector):
    """The detector without its repeated detections."""

    def _again(self, image: Image.Image, face: Face) -> Face:
        return face


def main() -> None:
    """Parse the options and print both results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faces", required=True)
    parser.add_argument("--others", action="append", default=[])
    parser.add_argument("--number", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=100)
    args = parser.parse_args()
    files = sorted(Path(args.faces).iterdir())
    detector = FaceDetector()
    for sigma in (0, 1, 2):
        seen = [
            detector.has_face(_open(file).filter(ImageFilter.GaussianBlur(sigma)))
            for file in files[: args.number]
        ]
        print(f"faces, sigma {sigma}: {np.mean(seen):.3f} of {len(seen)}")
    for folder in args.others:
        found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        found = found[:: max(1, len(found) // args.number)][: args.number]
        seen = [detector.has_face(_open(file)) for file in found]
        print(f"{folder}: {np.mean(seen):.3f} of {len(seen)}")
    for name, finder in (("single detection", OneLook()), ("mean of ten", detector)):
        apart = np.array(_distances(finder, files[: args.pairs]))
        quarters = ", ".join(f"{v:.0f}" for v in np.percentile(apart, [25, 50, 75]))
        print(
            f"{name}: {len(apart)} pairs, bits apart {quarters} (25th, 50th, 75th percentile), "
            f"within 56: {(apart <= 56).mean():.2f}"
        )


def _distances(detector: FaceDetector, files: list[Path]) -> list[int]:
    rng = random.Random(0)
    apart = []
    for file in files:
        hashes = []
        for flip in (False, rng.random() < 0.5):
            side = rng.randrange(90, 200)
            page = Image.new("RGB", (2 * side, 2 * side), (rng.randrange(256), 128, 128))
            x, y = rng.randrange(side), rng.randrange(side)
            face = ImageOps.mirror(_open(file)) if flip else _open(file)
            page.paste(face.resize((side, side), Image.Resampling.LANCZOS), (x, y))
            inner = (x + 0.13 * side, y + 0.13 * side, x + 0.87 * side, y + 0.87 * side)
            found = [f for f in detector.find(page) if overlap_of(f.box, inner) > 0.4]
            if found:
                crop = cut(page, around(found[0], page.width, page.height, 0.2), 96)
                crop = ImageOps.mirror(crop) if flip else crop
                hashes.append(imagehash.phash(crop, hash_size=16))
        if len(hashes) == 2:
            apart.append(int(hashes[0] - hashes[1]))
    return apart


def _open(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return opened.convert("RGB")


if __name__ == "__main__":
    main()
