"""R3GAN (Huang et al. 2024, arXiv:2501.05441): symmetric residual nets without normalisation.

A stage has two blocks x + f(x), where f is a 1x1 convolution C -> 2C, a grouped 3x3 convolution
with 16 channels per group, and a 1x1 convolution 2C -> C, with bias and LeakyReLU 0.2 in between;
there are no other biases. Between stages, maps are resampled with the [1, 3, 3, 1] filter, and a
1x1 convolution changes the width if needed.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.models.conditioning import LabelledNoise, PixelCritic
from animegan.models.layers import pyramid, sizes
from animegan.models.spec import Family

UPS: tuple[str, ...] = ()  # the resampling filter is part of the design
NORMS = ("none",)
BLOCKS = 2  # per stage
GROUP = 16  # channels per group


def _conv(
    wide: int, out: int, kernel: int, gain: float, groups: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Return a "same" convolution with weights N(0, gain² / fan_in) and, if any, zero bias."""
    conv = nn.Conv2d(wide, out, kernel, padding=kernel // 2, groups=groups, bias=bias)
    nn.init.normal_(conv.weight, 0.0, gain / math.sqrt(conv.weight[0].numel()))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


class _Block(nn.Module):
    """Residual block with initial weights scaled by `blocks`^(-1/4), the number of blocks."""

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
    """Upsample or downsample by 2 with a separable [1, 3, 3, 1] filter."""

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
    """Return the channels of the stages, innermost first; they double inwards up to 8 · width."""
    if width % (GROUP // 2):
        near = max(GROUP // 2, round(width / (GROUP // 2)) * (GROUP // 2))
        raise ValueError(f"r3gan needs a multiple of {GROUP // 2}; got {width}, try {near}")
    return [width << min(i, 3) for i in reversed(range(stages))]


class Generator(nn.Module):
    """Generate images [B, channels, image_size, image_size] from noise [B, nz, 1, 1].

    There is no Tanh: the output is unbounded, and clamped to [-1, 1] when shown or saved. The paper
    uses nz 64, and width 96 at 256 pixels.
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
        """Map noise [B, nz, 1, 1] and labels [B, A] to images [B, C, S, S], unbounded."""
        scale = self.scale(self.noise(noise, labels))
        images: Tensor = self.main(self.basis * scale[:, :, None, None])
        return images


class Discriminator(PixelCritic):
    """Map images [B, channels, image_size, image_size] to logits [B].

    It mirrors the generator and ends in a depthwise convolution and a linear layer.
    """

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
        """Map images [B, C, S, S] to (logits [B], features [B, F])."""
        x = self.main(images)
        return self.last(x).flatten(), x


FAMILY = Family(sizes(), UPS, NORMS, (), Generator, Discriminator)
