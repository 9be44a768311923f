"""Effects of ranking by score and of truncation on generated faces: a table for docs/evaluate.md.

    python -m benchmarks.selection --netg-path X --netd-path Y --against DIR [--seeds 4]

Each row combines sheets of 64 images from several seeds. Prints Markdown: precision and recall
against the reals in DIR, the share in which the detector finds a face, diversity (mean distance
between the features of two images, relative to the reals), and the mean logit.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from animegan.core.images import to_pil
from animegan.data.cache import open_set
from animegan.datasets.faces.detector import FaceDetector
from animegan.evaluation.extractors import Extractor, build_extractor
from animegan.evaluation.metrics import prdc, squared_distances
from animegan.generation.candidates import Noise
from animegan.generation.generate import POOL, best, draw, most_different
from animegan.runs import checkpoint

KEEP = 64
REALS = 1000
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """One way to select 64 images."""

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
    """Return the mean distance between the features of two images."""
    x = torch.from_numpy(features)
    total = sum(float(squares.sqrt().sum()) for _, squares in squared_distances(x, x))
    return total / (len(x) * (len(x) - 1))


class Seed:
    """The candidates of a seed, scored once."""

    def __init__(self, netg: nn.Module, netd: nn.Module, nz: int, seed: int) -> None:
        self.netg, self.netd, self.nz, self.seed = netg, netd, nz, seed
        self.ranked = self.rank(max(row.search for row in ROWS if row.std == 1), 1.0)

    def rank(self, count: int, std: float) -> list[tuple[int, float]]:
        """Return the index and logit of every candidate, best first."""
        noise = Noise(self.seed, self.nz, 0.0, std)
        return list(zip(*best(self.netg, self.netd, noise, count, count, CPU), strict=True))

    def kept(self, row: Row) -> tuple[torch.Tensor, float]:
        """Return the selected images, uint8 [64, C, S, S], and their mean logit."""
        noise = Noise(self.seed, self.nz, 0.0, row.std)
        ranked = self.ranked if row.std == 1 else self.rank(row.search, row.std)
        found = [one for one in ranked if one[0] < row.search]
        if row.diverse:
            pool = found[: KEEP * POOL]
            places = most_different(self.netg, noise, [index for index, _ in pool], KEEP, CPU)
            found = [pool[place] for place in places]
        found = found[:KEEP]
        pictures = torch.cat(list(draw(self.netg, noise, [index for index, _ in found], CPU)))
        return pictures, float(np.mean([score for _, score in found]))


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
    count = min(REALS, len(faces))
    order = np.random.RandomState(0).permutation(len(faces))
    real = features(
        extractor, torch.from_numpy(faces.images[np.sort(order[:count])]).permute(0, 3, 1, 2)
    )
    spread = diversity(real)
    print("| kept | precision | recall | face rate | diversity | mean logit |")
    print("|---|---|---|---|---|---|")
    seeds = [Seed(netg.net, netd.net, netg.spec.nz, seed) for seed in range(asked.seeds)]
    for row in ROWS:
        found = [seed.kept(row) for seed in seeds]
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
    """Return features float32 [N, d] of images uint8 [N, C, S, S]."""
    return torch.cat([extractor(some) for some in pictures.split(64)]).numpy()


if __name__ == "__main__":
    main()
