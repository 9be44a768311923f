"""What selection by score and truncation do to faces: a table for docs/evaluate.md.

    python -m benchmarks.selection --netg-path X --netd-path Y --against DIR [--seeds 4]

Sheets of 64 from several seeds are put together, so that there are 64 · seeds pictures a row.
Prints Markdown: precision and recall against the reals in DIR, the share in which the detector
finds a face, the diversity (mean distance between two pictures' features, as a share of the
reals'), and the mean logit.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from animegan import checkpoint
from animegan.data.cache import open_set
from animegan.detector import FaceDetector
from animegan.features import Extractor, build_extractor
from animegan.generate import POOL, Noise, best, draw, most_different
from animegan.images import to_pil
from animegan.metrics import prdc, squared_distances

KEEP = 64
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """One way to choose 64 pictures."""

    name: str
    search: int
    std: float = 1.0
    diverse: bool = False


ROWS = (
    Row("64 of 64", 64),
    Row("64 of 512", 512),
    Row("64 of 5,000", 5000),
    Row("64 of 50,000", 50_000),
    Row("64 of 5,000, --diverse", 5000, diverse=True),
    Row("64 of 50,000, --diverse", 50_000, diverse=True),
    *(Row(f"64 of 64, --gen-std {std:g}", 64, std) for std in (0.9, 0.8, 0.7, 0.6, 0.5)),
)


def diversity(features: NDArray[np.float32]) -> float:
    """Mean distance between the features of two pictures."""
    x = torch.from_numpy(features)
    total = sum(float(squares.sqrt().sum()) for _, squares in squared_distances(x, x))
    return total / (len(x) * (len(x) - 1))


def chosen(row: Row, nets: tuple[torch.nn.Module, torch.nn.Module], nz: int, seed: int):  # type: ignore[no-untyped-def]
    """uint8 [64, C, S, S] and their mean logit."""
    netg, netd = nets
    noise = Noise(seed, nz, 0.0, row.std)
    count = min(row.search, KEEP * POOL) if row.diverse else KEEP
    indices, scores = best(netg, netd, noise, row.search, count, CPU)
    if row.diverse:
        kept = most_different(netg, noise, indices, KEEP, CPU)
        indices, scores = [indices[k] for k in kept], [scores[k] for k in kept]
    return torch.cat(list(draw(netg, noise, indices, CPU))), float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--netg-path", required=True)
    parser.add_argument("--netd-path", required=True)
    parser.add_argument("--against", required=True)
    parser.add_argument("--seeds", type=int, default=4)
    asked = parser.parse_args()
    netg, netd = (
        checkpoint.load_net(asked.netg_path, "netg"),
        checkpoint.load_net(asked.netd_path, "netd"),
    )
    faces = open_set(asked.against, image_size=netg.spec.image_size, channels=netg.spec.channels)
    extractor, detector = build_extractor("lite0"), FaceDetector()
    count = KEEP * asked.seeds
    order = np.random.RandomState(0).permutation(len(faces))
    real = features(
        extractor, torch.from_numpy(faces.images[np.sort(order[:count])]).permute(0, 3, 1, 2)
    )
    spread = diversity(real)
    print("| kept | precision | recall | face rate | diversity | mean logit |")
    print("|---|---|---|---|---|---|")
    for row in ROWS:
        found = [
            chosen(row, (netg.net, netd.net), netg.spec.nz, seed) for seed in range(asked.seeds)
        ]
        pictures = torch.cat([one for one, _ in found])
        fake = features(extractor, pictures)
        numbers = prdc(real, fake)
        faces_found = np.mean([detector.has_face(to_pil(one)) for one in pictures])
        print(
            f"| {row.name} | {numbers.precision:.3f} | {numbers.recall:.3f} | {faces_found:.3f} "
            f"| {diversity(fake) / spread:.3f} | {np.mean([score for _, score in found]):.2f} |",
            flush=True,
        )


def features(extractor: Extractor, pictures: torch.Tensor) -> NDArray[np.float32]:
    """float32 [N, d]."""
    return torch.cat([extractor(some) for some in pictures.split(64)]).numpy()


if __name__ == "__main__":
    main()
