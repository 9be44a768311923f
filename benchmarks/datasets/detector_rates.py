"""Detection rates of the face detector on crops, and the stability of its boxes.

    python -m benchmarks.datasets.detector_rates --faces FOLDER --others FOLDER FOLDER

First, the share of crops in which `has_face` finds a face: unchanged, blurred, and for pictures
without faces. Second, for faces pasted twice at different places and sizes, half of them mirrored:
the distance between the hashes of the two crops, for a single detection and for the mean of ten.
"""

import random
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageFilter, ImageOps

from animegan.datasets.crop import around, cut
from animegan.datasets.faces.detector import Face, FaceDetector, overlap_of
from benchmarks.harness.command import run


class OneLook(FaceDetector):
    """The detector without its repeated detections."""

    def _again(self, image: Image.Image, face: Face) -> Face:
        return face


def main(
    *, faces: Path, others: tuple[Path, ...] = (), number: int = 500, pairs: int = 100
) -> None:
    """Print both results.

    Args:
        faces: folder of cropped faces.
        others: folders of pictures without faces.
        number: crops and pictures of each kind.
        pairs: faces that are pasted twice.
    """
    files = sorted(faces.iterdir())
    detector = FaceDetector()
    for sigma in (0, 1, 2):
        seen = [
            detector.has_face(_open(file).filter(ImageFilter.GaussianBlur(sigma)))
            for file in files[:number]
        ]
        print(f"faces, sigma {sigma}: {np.mean(seen):.3f} of {len(seen)}")
    for folder in others:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        paths = paths[:: max(1, len(paths) // number)][:number]
        seen = [detector.has_face(_open(path)) for path in paths]
        print(f"{folder}: {np.mean(seen):.3f} of {len(seen)}")
    for name, finder in (("single detection", OneLook()), ("mean of ten", detector)):
        bits = np.array(_distances(finder, files[:pairs]))
        quarters = ", ".join(f"{v:.0f}" for v in np.percentile(bits, [25, 50, 75]))
        print(
            f"{name}: {len(bits)} pairs, bits apart {quarters} (25th, 50th, 75th percentile), "
            f"within 56: {(bits <= 56).mean():.2f}"
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
    run(main)
