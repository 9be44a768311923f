"""Projected discriminator (Sauer et al. 2021, arXiv:2111.01007) on EfficientNet-Lite0 features.

Frozen features at four scales are mixed by random, fixed convolutions, first across channels, then
across scales from coarse to fine. One small, spectrally normalised head per scale outputs a logit;
losses are summed over the heads. Train it with the paper's `--loss hinge`.
"""

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.models import efficientnet_lite
from animegan.models.conditioning import CONDITIONS, Critic, Features, ProjectLabels
from animegan.models.layers import spectral

MIXED = (32, 64, 96, 128)  # channels after mixing at width 64
NORMS = ("spectral",)


class Mixing(nn.Module):
    """Fixed random projections of the four feature maps: CCM, then CSM.

    Cross-channel mixing (CCM) is a random 1x1 convolution of each map; cross-scale mixing (CSM)
    adds a random 3x3 convolution of the next coarser map, upsampled, from coarse to fine. Sauer et
    al. 2021, "Projected GANs Converge Faster", section 3.2. Weights are buffers: saved with the
    discriminator, never trained.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        for i, (channels, width) in enumerate(zip(efficientnet_lite.CHANNELS, widths, strict=True)):
            self.register_buffer(f"across{i}", torch.randn(width, channels, 1, 1) / channels**0.5)
        for i, (fine, coarse) in enumerate(pairwise(widths)):
            deviation = (9 * coarse) ** -0.5
            self.register_buffer(f"down{i}", torch.randn(fine, coarse, 3, 3) * deviation)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Mix four feature maps, finest first; the sides stay the same, channels are `widths`."""
        mixed = [F.conv2d(x, self._weight(f"across{i}")) for i, x in enumerate(features)]
        for i in reversed(range(len(mixed) - 1)):
            coarse = F.conv2d(mixed[i + 1], self._weight(f"down{i}"), padding=1)
            size = list(mixed[i].shape[2:])
            coarse = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
            mixed[i] = (mixed[i] + coarse) * 0.5**0.5
        return mixed

    def _weight(self, name: str) -> Tensor:
        return cast(Tensor, getattr(self, name))


class Head(nn.Module):
    """Map a mixed feature map [B, C, s, s] to (logits [B], pooled features [B, `width`]).

    It is downsampled to at most 6 pixels by one convolution or more; a last convolution over the
    whole map gives the logit.
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
        """Map [B, C, s, s] to (logits [B], features averaged over positions [B, width])."""
        x = self.main(x)
        return self.last(x).flatten(), x.mean((2, 3))


class Discriminator(Critic):
    """Map images [B, 1 or 3, S, S] in [-1, 1] to logits [B, 4], one per scale.

    At width 64 and 96 pixels it has 0.65 M trainable parameters. No graph is kept for the features
    of images that need no gradient, such as reals.

    Args:
        image_size: side of the images.
        channels: 1 or 3.
        width: sets the channels after mixing (MIXED) and those of the heads (at most 2 * width).
        classes: number of values of each label attribute.
        condition: as in `PixelCritic`; "projection" is applied at each scale.
        input_size: images are resized to it before the features; smaller is faster, but less
            discriminating. None keeps `image_size`.
    """

    reuses_look = True

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int,
        classes: tuple[int, ...] = (),
        condition: str = CONDITIONS[0],
        input_size: int | None = None,
    ) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"Lite0 features need 1 or 3 channels; got {channels}")
        self.input_size = input_size or image_size
        self.backbone = efficientnet_lite.EfficientNetLite()
        widths = tuple(max(1, mixed * width // 64) for mixed in MIXED)
        self.mixing = Mixing(widths)
        sides = efficientnet_lite.sides(self.input_size)
        self.heads = nn.ModuleList(
            Head(mixed, side, 2 * width) for mixed, side in zip(widths, sides, strict=True)
        )
        features = [cast(Head, head).width for head in self.heads]
        self.project: nn.ModuleList | None = None
        self.classify: nn.Module | None = None
        if classes and condition == "projection":
            self.project = nn.ModuleList(ProjectLabels(classes, count) for count in features)
        elif classes:
            self.classify = spectral(nn.Linear(sum(features), sum(classes)))

    def look(self, images: Tensor) -> list[Tensor]:
        """Map images to four mixed maps, the heads' inputs; no weight of this is trained."""
        if images.shape[-1] != self.input_size:
            size = [self.input_size, self.input_size]
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        maps: list[Tensor] = self.mixing(self.backbone(images))
        return maps

    def decide(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map the output of `look` and optional labels [B, A] to logits [B, 4]."""
        logits, pooled = self._judged(features)
        if self.project is None or labels is None:
            return logits
        pairs = zip(self.project, pooled, strict=True)
        return logits + torch.stack([project(labels, last) for project, last in pairs], 1)

    def judge(self, features: Features) -> tuple[Tensor, Tensor]:
        """Map the output of `look` to (logits [B, 4], class logits [B, sum(classes)])."""
        assert self.classify is not None
        logits, pooled = self._judged(features)
        return logits, self.classify(torch.cat(pooled, 1))

    def _judged(self, maps: Features) -> tuple[Tensor, list[Tensor]]:
        """Map the output of `look` to (logits [B, 4], pooled features of each head [B, F])."""
        judged = [head(features) for head, features in zip(self.heads, maps, strict=True)]
        return torch.stack([logits for logits, _ in judged], 1), [pooled for _, pooled in judged]
