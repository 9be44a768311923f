"""Effects of ranking by score and of truncation on generated faces: a table for docs/evaluate.md.

    python -m benchmarks.quality.selection --netg-path X --netd-path Y --against DIR [--seeds 4]

Each row combines sheets of 64 images from several seeds. Prints Markdown: precision and recall
against the reals in DIR, the share in which the detector finds a face, diversity (mean distance
between the features of two images, relative to the reals), and the mean logit.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from animegan.core.images import to_pil
from animegan.data.face_set import open_set
from animegan.datasets.faces.detector import FaceDetector
from animegan.evaluation.extractors import Extractor, build_extractor
from animegan.evaluation.metrics import prdc, squared_distances
from animegan.generation.candidates import Noise
from animegan.generation.generate import POOL, best, draw, most_different
from animegan.runs import checkpoint
from benchmarks.harness.command import run
from benchmarks.harness.table import line, markdown

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

    def __init__(self, netg: nn.Module, netd: nn.Module, nz: int, seed: int, search: int) -> None:
        """Rank `search` candidates."""
        self.netg, self.netd, self.nz, self.seed = netg, netd, nz, seed
        self.ranked = self.rank(search, 1.0)

    def rank(self, count: int, std: float) -> list[tuple[int, float]]:
        """Return the index and logit of every candidate, best first."""
        noise = Noise(self.seed, self.nz, 0.0, std)
        return list(zip(*best(self.netg, self.netd, noise, count, count, CPU), strict=True))

    def kept(self, row: Row) -> tuple[torch.Tensor, float]:
        """Return the selected images, uint8 [64, C, S, S], and their mean logit."""
        noise = Noise(self.seed, self.nz, 0.0, row.std)
        ranked = self.ranked if row.std == 1 else self.rank(row.search, row.std)
        kept = [(index, score) for index, score in ranked if index < row.search]
        if row.diverse:
            pool = kept[: KEEP * POOL]
            places = most_different(self.netg, noise, [index for index, _ in pool], KEEP, CPU)
            kept = [pool[place] for place in places]
        kept = kept[:KEEP]
        pictures = torch.cat(list(draw(self.netg, noise, [index for index, _ in kept], CPU)))
        return pictures, float(np.mean([score for _, score in kept]))


def main(
    *,
    netg_path: Path,
    netd_path: Path,
    against: Path,
    seeds: int = 4,
    most: int = 50_000,
) -> None:
    """Print the table.

    Args:
        netg_path, netd_path: weight files.
        against: folder of real images.
        seeds: sheets per row.
        most: leave out the rows with more candidates.
    """
    netg = checkpoint.load_net(netg_path, "netg")
    netd = checkpoint.load_net(netd_path, "netd")
    faces = open_set(
        against, image_size=netg.spec.image_size, channels=netg.spec.channels, flag="--against"
    )
    extractor, detector = build_extractor("lite0"), FaceDetector()
    count = min(REALS, len(faces))
    order = np.random.RandomState(0).permutation(len(faces))
    real = features(
        extractor, torch.from_numpy(faces.images[np.sort(order[:count])]).permute(0, 3, 1, 2)
    )
    spread = diversity(real)
    heads = ("kept", "precision", "recall", "face rate", "diversity", "mean logit")
    print(markdown(heads, ()))
    rows = [row for row in ROWS if row.search <= most]
    search = max(row.search for row in rows)
    sheets = [Seed(netg.net, netd.net, netg.spec.nz, seed, search) for seed in range(seeds)]
    for row in rows:
        kept = [sheet.kept(row) for sheet in sheets]
        pictures = torch.cat([pictures for pictures, _ in kept])
        fake = features(extractor, pictures)
        numbers = prdc(real, fake)
        face_rate = np.mean([detector.has_face(to_pil(picture)) for picture in pictures])
        values = (numbers.precision, numbers.recall, face_rate, diversity(fake) / spread)
        logit = np.mean([score for _, score in kept])
        print(line((row.name, *(f"{value:.3f}" for value in values), f"{logit:.2f}")), flush=True)


def features(extractor: Extractor, pictures: torch.Tensor) -> NDArray[np.float32]:
    """Return features float32 [N, d] of images uint8 [N, C, S, S]."""
    return torch.cat([extractor(chunk) for chunk in torch.split(pictures, 64)]).numpy()


if __name__ == "__main__":
    run(main)
