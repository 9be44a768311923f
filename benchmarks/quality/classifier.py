"""A small classifier, trained on labelled images, that evaluates a generator."""

import math
import sys
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.core.images import to_float
from animegan.data.face_set import FaceSet
from animegan.runtime.seeds import generator

BATCH, EPOCHS = 128, 20
RARE = 0.01  # a class with a smaller share of the samples counts as missing


class Classifier:
    """A convolutional classifier; create it with `trained`."""

    def __init__(self, net: nn.Module, accuracy: float) -> None:
        self.net, self.accuracy = net, accuracy

    @torch.no_grad()
    def probabilities(self, pictures: Tensor) -> Tensor:
        """Return class probabilities, float64 [N, classes], of images uint8 [N, C, S, S]."""
        logits = [self.net(to_float(chunk)) for chunk in torch.split(pictures, BATCH)]
        return torch.cat(logits).double().softmax(1)

    def judge(self, pictures: Tensor) -> dict[str, Any]:
        """Evaluate images, uint8 [N, C, S, S].

        Returns:
            modes: number of classes predicted for at least RARE of the images.
            entropy: entropy of the predicted classes in nats, at most log(classes).
            score: Inception Score (Salimans et al. 2016) with this classifier.
            accuracy: of the classifier on held-out images, 0 to 1.
        """
        probabilities = self.probabilities(pictures)
        shares = torch.bincount(probabilities.argmax(1), minlength=probabilities.shape[1])
        shares = shares / len(pictures)
        entropy = -torch.special.xlogy(shares, shares).sum()
        mean = probabilities.mean(0)
        divergence = torch.special.xlogy(probabilities, probabilities / mean).sum(1).mean()
        return {
            "modes": int((shares >= RARE).sum()),
            "entropy": float(entropy),
            "score": math.exp(divergence),
            "accuracy": self.accuracy,
        }


def _net(channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for wide in (32, 64, 128):
        layers += [
            nn.Conv2d(channels, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        ]
        channels = wide
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers, *head)


def trained(faces: FaceSet, held_out: FaceSet) -> Classifier:
    """Train a classifier on `faces` for EPOCHS epochs; measure its accuracy on `held_out`."""
    torch.manual_seed(0)
    net = _net(faces.images.shape[3], len(faces.classes))
    steps = EPOCHS * (len(faces) // BATCH)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        epoch, place = divmod(step, len(faces) // BATCH)
        order = torch.randperm(len(faces), generator=generator(0, "classifier", epoch)).numpy()
        rows = np.sort(order[place * BATCH : (place + 1) * BATCH])
        loss = F.cross_entropy(net(_floats(faces, rows)), torch.from_numpy(faces.labels[rows]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    net.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(held_out), BATCH):
            rows = np.arange(start, min(start + BATCH, len(held_out)))
            guess = net(_floats(held_out, rows)).argmax(1).numpy()
            right += int((guess == held_out.labels[rows]).sum())
    accuracy = right / len(held_out)
    print(f"classifier: accuracy {accuracy:.1%} on {len(held_out):,} held-out", file=sys.stderr)
    return Classifier(net, accuracy)


def _floats(faces: FaceSet, rows: "np.ndarray[Any, np.dtype[np.int64]]") -> Tensor:
    return to_float(torch.from_numpy(faces.images[rows]).permute(0, 3, 1, 2))
