"""Metrics for recipes: those of `evaluate`, and others that no discriminator optimises directly.

The latter are Fréchet distances of colour and of frequency statistics, and the metrics of
`evaluate` in the features of EfficientNet-Lite2 (suffix `_2`).
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from animegan.data.face_set import FaceSet, open_set
from animegan.datasets.faces.detector import FaceDetector
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.measure import Measured, Pictures, measure, of_array
from animegan.evaluation.metrics import frechet
from animegan.evaluation.protocol import compare
from benchmarks.harness.training import part, some

N = 1000
BANDS = 16  # of the power spectrum
CELLS = 4  # per side, of the colour statistics


def colours(pixels: Tensor) -> Tensor:
    """Return mean and std of each channel in 4 x 4 cells: uint8 [N, C, S, S] -> [N, 2 · 16 · C]."""
    side = pixels.shape[-1] // CELLS
    x = pixels.float().unfold(2, side, side).unfold(3, side, side).flatten(4)
    return torch.cat((x.mean(4).flatten(1), x.std(4).flatten(1)), 1)


def frequencies(pixels: Tensor) -> Tensor:
    """Return the log power of brightness in 16 frequency bands: uint8 [N, C, S, S] -> [N, 16]."""
    grey = pixels.float().mean(1)
    window = torch.hann_window(grey.shape[-1], periodic=False)
    power = torch.fft.fft2((grey - grey.mean((1, 2), keepdim=True)) * window.outer(window))
    power = power.abs().square().flatten(1)
    line = torch.fft.fftfreq(grey.shape[-1])
    radius = (line[:, None].square() + line[None].square()).sqrt().flatten()
    ring = (radius * 2 * BANDS).long().clamp(max=BANDS - 1)
    sums = torch.zeros(len(power), BANDS).index_add_(1, ring, power)
    return (sums / torch.bincount(ring, minlength=BANDS) + 1).log10()


def apart(real: Tensor, fake: Tensor) -> float:
    """Return the Fréchet distance after standardising both by the reals' mean and std."""
    mean, deviation = real.mean(0), real.std(0) + 1e-6
    scaled = [((one - mean) / deviation).numpy() for one in (real, fake)]
    return frechet(scaled[0], scaled[1])


class Bench:
    """Images to train on, and reals to measure against, whose features are computed once."""

    def __init__(self, data: Path, against: str) -> None:
        whole = open_set(data / "train/faces")
        if against == "split":
            apart = some(whole, N, seed=1)
            self.faces, reals = part(whole, ~apart), part(whole, apart)
        else:
            held_out = open_set(data / "heldout/faces")
            self.faces, reals = whole, part(held_out, some(held_out, N, seed=0))
        self.extractor, self.detector = build_extractor("lite0"), FaceDetector()
        self.second = build_extractor("lite2")
        self.pixels = torch.from_numpy(reals.images).permute(0, 3, 1, 2)
        self.real: Measured = measure(
            of_array(against, reals.images), self.extractor, self.detector
        )
        self.real_second: Measured = measure(of_array(against, reals.images), self.second, None)

    def subset(self, pictures: int | None, without: int | None = None) -> FaceSet:
        """Return all training images, a random `pictures` of them, or all but `without`."""
        if without is not None:
            return part(self.faces, ~some(self.faces, without, seed=2))
        if pictures is None:
            return self.faces
        return part(self.faces, some(self.faces, pictures, seed=2))

    def floor(self) -> dict[str, Any]:
        """Measure 1,000 faces of the training set."""
        some_faces = part(self.faces, some(self.faces, N, seed=3))
        return self.judge(torch.from_numpy(some_faces.images).permute(0, 3, 1, 2))

    def judge(self, pixels: Tensor) -> dict[str, Any]:
        """Measure 1,000 images, uint8 [1000, C, S, S]."""
        drawn = Pictures("samples", N, lambda at, count: pixels[at : at + count])
        fake = measure(drawn, self.extractor, self.detector)
        told = compare(self.real, fake, self.extractor, seed=0)
        other = compare(self.real_second, measure(drawn, self.second, None), self.second, seed=0)
        names = ("fd", "kid", "kid_std", "precision", "recall", "density", "coverage", "face_rate")
        return {
            **{name: getattr(told, name) for name in names},
            "fd_2": other.fd, "kid_2": other.kid, "recall_2": other.recall,
            "colour": apart(colours(self.pixels), colours(pixels)),
            "frequency": apart(frequencies(self.pixels), frequencies(pixels)),
        }  # fmt: skip
