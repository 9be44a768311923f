"""The projected discriminator (Sauer et al. 2021, arXiv:2111.01007) over EfficientNet-Lite0.

Frozen features of the picture at four scales are mixed by random, fixed convolutions, first across
channels, then across scales from coarse to fine, so that no scale can be ignored; a small
spectrally normalised net a scale judges them. Train it with `--loss hinge`, summed over the heads.
A net that sees the pixels themselves may judge beside them (Kumari et al. 2022, arXiv:2112.09130).
"""

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.models import fastgan, lite0
from animegan.models.layers import CONDITIONS, ProjectLabels, spectral

MIXED = (32, 64, 96, 128)  # channels after mixing, at width 64
NORMS = ("spectral",)


class Mixing(nn.Module):
    """Random fixed mixing of the four feature maps: 1x1 across channels, 3x3 across scales.

    Its weights are buffers: saved with the discriminator, never trained.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        for i, (channels, width) in enumerate(zip(lite0.CHANNELS, widths, strict=True)):
            self.register_buffer(f"across{i}", torch.randn(width, channels, 1, 1) / channels**0.5)
        for i, (fine, coarse) in enumerate(pairwise(widths)):
            deviation = (9 * coarse) ** -0.5
            self.register_buffer(f"down{i}", torch.randn(fine, coarse, 3, 3) * deviation)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Four feature maps -> four mixed ones of the same sides, finest first."""
        mixed = [F.conv2d(one, self._weight(f"across{i}")) for i, one in enumerate(features)]
        for i in reversed(range(len(mixed) - 1)):
            coarse = F.conv2d(mixed[i + 1], self._weight(f"down{i}"), padding=1)
            size = list(mixed[i].shape[2:])
            coarse = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
            mixed[i] = (mixed[i] + coarse) * 0.5**0.5
        return mixed

    def _weight(self, name: str) -> Tensor:
        return cast(Tensor, getattr(self, name))


class Head(nn.Module):
    """A mixed map [B, C, s, s] -> (logits [B], features [B, `width`]).

    Halved to 6 pixels or fewer, at least one convolution, then one over what is left.
    """

    def __init__(self, channels: int, side: int, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while side > 6 or not layers:
            wide = min(2 * channels, hidden)
            if side > 3:
                conv, side = nn.Conv2d(channels, wide, 4, 2, 1), side // 2
            else:
                conv = nn.Conv2d(channels, wide, 3, padding=1)
            layers += [spectral(conv), nn.LeakyReLU(0.2)]
            channels = wide
        self.main = nn.Sequential(*layers)
        self.last = spectral(nn.Conv2d(channels, 1, side))
        self.width = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.main(x)
        return self.last(x).flatten(), x.mean((2, 3))


class Discriminator(nn.Module):
    """Pictures [B, 1 or 3, S, S] in [-1, 1] -> logits [B, 4], one a scale; [B, 5] with `pixels`.

    At width 64 and 96 pixels: 0.65 M trained numbers. `input_size` resizes the pictures before the
    features: smaller is faster, but judges less. No graph is kept of the features of pictures that
    need no gradient, such as reals.
    Conditions as in `layers.Critic`, the projection at each scale. `pixels` is the width of a
    fastgan discriminator, with layer norm, that judges the picture itself; 0: none.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int,
        classes: tuple[int, ...] = (),
        condition: str = CONDITIONS[0],
        input_size: int | None = None,
        pixels: int = 0,
    ) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"Lite0's features need 1 or 3 channels; got {channels}")
        self.input_size = input_size or image_size
        self.backbone = lite0.Lite0()
        widths = tuple(max(1, one * width // 64) for one in MIXED)
        self.mixing = Mixing(widths)
        sides = lite0.sides(self.input_size)
        self.heads = nn.ModuleList(
            Head(one, side, 2 * width) for one, side in zip(widths, sides, strict=True)
        )
        self.pixels: fastgan.Discriminator | None = None
        found = [cast(Head, head).width for head in self.heads]
        if pixels:  # spectral normalisation would leave it a slope far below the features' heads'
            self.pixels = fastgan.Discriminator(image_size, channels, pixels, "layer")
            found.append(self.pixels.width)
        self.project: nn.ModuleList | None = None
        self.classify: nn.Module | None = None
        if classes and condition == "projection":
            self.project = nn.ModuleList(ProjectLabels(classes, one) for one in found)
        elif classes:
            self.classify = spectral(nn.Linear(sum(found), sum(classes)))

    def look(self, images: Tensor) -> list[Tensor]:
        """Pictures -> what the trained part judges: four mixed maps, and the pictures for `pixels`.

        Nothing on the way is trained, so it holds good when the heads have moved on.
        """
        seen = [] if self.pixels is None else [images]
        if images.shape[-1] != self.input_size:
            size = [self.input_size, self.input_size]
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        mixed: list[Tensor] = self.mixing(self.backbone(images))
        return mixed + seen

    def decide(self, seen: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """What `look` gave, and labels where there are any -> logits [B, 4 or 5]."""
        logits, found = self._features(seen)
        if self.project is None or labels is None:
            return logits
        matches = [project(labels, one) for project, one in zip(self.project, found, strict=True)]
        return logits + torch.stack(matches, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures, and labels where there are any -> logits [B, 4 or 5]."""
        return self.decide(self.look(images), labels)

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures -> (logits [B, 4 or 5], class logits [B, sum(classes)]), for "acgan"."""
        assert self.classify is not None
        logits, found = self._features(self.look(images))
        return logits, self.classify(torch.cat(found, 1))

    def _features(self, seen: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """What `look` gave -> (logits [B, 4 or 5], the heads' features, [B, F] each)."""
        judged = [head(one) for head, one in zip(self.heads, seen, strict=False)]
        if self.pixels is not None:
            judged.append(self.pixels.features(seen[-1]))
        return torch.stack([one for one, _ in judged], 1), [two for _, two in judged]
