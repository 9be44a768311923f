"""R3GAN (Huang et al. 2024, arXiv:2501.05441): residual nets without normalisation, both alike.

A stage is two blocks x + f(x): f is a 1x1 convolution C -> 2C, a grouped 3x3 convolution of 16
channels a group and a 1x1 convolution 2C -> C, with bias and LeakyReLU 0.2 between; there are no
other biases. Stages meet in a resampling with the [1, 3, 3, 1] filter and, where widths differ, a
1x1 convolution.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.models.layers import Critic, LabelledNoise, pyramid

UPS: tuple[str, ...] = ()  # the filter is part of the design
NORMS = ("none",)
BLOCKS = 2  # a stage
GROUP = 16  # channels of a group


def _conv(
    wide: int, out: int, kernel: int, gain: float, groups: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Convolution that keeps the side, weights ~ N(0, gain² / fan_in), a bias of zeros if any."""
    conv = nn.Conv2d(wide, out, kernel, padding=kernel // 2, groups=groups, bias=bias)
    nn.init.normal_(conv.weight, 0.0, gain / math.sqrt(conv.weight[0].numel()))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class _Block(nn.Module):
    """x + f(x); the scale of its weights depends on `blocks`, the number of blocks in the net."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        gain = math.sqrt(2 / 1.04) * blocks**-0.25
        self.body = nn.Sequential(
            _conv(width, 2 * width, 1, gain, bias=True),
            nn.LeakyReLU(0.2, inplace=True),
            _conv(2 * width, 2 * width, 3, gain, groups=2 * width // GROUP, bias=True),
            nn.LeakyReLU(0.2, inplace=True),
            _conv(2 * width, width, 1, 0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class _Resample(nn.Module):
    """Twice or half the side, each channel through the [1, 3, 3, 1] filter in both directions."""

    def __init__(self, up: bool) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        kernel = line.outer(line) * (4 if up else 1)
        self.register_buffer("kernel", kernel.view(1, 1, 4, 4), persistent=False)
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = cast(Tensor, self.kernel).expand(channels, 1, 4, 4)
        if self.up:
            return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)
        return F.conv2d(x, kernel, stride=2, padding=1, groups=channels)


def _widths(stages: int, width: int) -> list[int]:
    """Channels from the innermost stage to the picture's: doubling inwards up to 8 · width."""
    if width % (GROUP // 2):
        near = max(GROUP // 2, round(width / (GROUP // 2)) * (GROUP // 2))
        raise ValueError(f"r3gan's width is a multiple of {GROUP // 2}; got {width}, try {near}")
    return [width << min(i, 3) for i in reversed(range(stages))]


class Generator(nn.Module):
    """Noise [B, nz, 1, 1] -> pictures [B, channels, image_size, image_size].

    The published noise has 64 values, width 96 at 256 pixels. There is no Tanh: values may leave
    [-1, 1], what is shown is clamped.
    """

    def __init__(
        self, image_size: int, channels: int, nz: int, width: int, classes: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        shape = pyramid(image_size)
        widths = _widths(len(shape.sides), width)
        blocks = BLOCKS * len(widths)
        self.noise = LabelledNoise(nz, classes)
        self.basis = nn.Parameter(torch.randn(widths[0], shape.base, shape.base))
        self.scale = nn.Linear(self.noise.width, widths[0], bias=False)
        nn.init.normal_(self.scale.weight, 0.0, self.noise.width**-0.5)
        layers: list[nn.Module] = []
        for i, here in enumerate(widths):
            if i:
                if widths[i - 1] != here:
                    layers.append(_conv(widths[i - 1], here, 1, 1.0))
                layers.append(_Resample(up=True))
            layers += [_Block(here, blocks) for _ in range(BLOCKS)]
        self.main = nn.Sequential(*layers, _conv(widths[-1], channels, 1, 1.0))

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        scale = self.scale(self.noise(noise, labels))
        images: Tensor = self.main(self.basis * scale[:, :, None, None])
        return images


class Discriminator(Critic):
    """Pictures -> logits [B]; the generator's mirror, ended by a depthwise convolution."""

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int,
        classes: tuple[int, ...] = (),
        condition: str = "projection",
    ) -> None:
        shape = pyramid(image_size)
        widths = _widths(len(shape.sides), width)[::-1]
        super().__init__(widths[-1], classes, condition, "none")
        blocks = BLOCKS * len(widths)
        layers: list[nn.Module] = [_conv(channels, widths[0], 1, 1.0)]
        for i, here in enumerate(widths):
            if i:
                layers.append(_Resample(up=False))
                if widths[i - 1] != here:
                    layers.append(_conv(widths[i - 1], here, 1, 1.0))
            layers += [_Block(here, blocks) for _ in range(BLOCKS)]
        gather = nn.Conv2d(widths[-1], widths[-1], shape.base, groups=widths[-1], bias=False)
        nn.init.normal_(gather.weight, 0.0, 1 / shape.base)
        self.main = nn.Sequential(*layers, gather, nn.Flatten())
        self.last = nn.Linear(widths[-1], 1, bias=False)
        nn.init.normal_(self.last.weight, 0.0, widths[-1] ** -0.5)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.main(images)
        return self.last(x).flatten(), x
