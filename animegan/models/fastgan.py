"""FastGAN-style nets (Liu et al. 2021, arXiv:2101.04775): few parameters, quick to learn.

The generator upsamples with GLU and lets coarse maps gate finer ones (skip-layer excitation). The
paper's self-supervised decoders and noise injection are left out; that the noise scales and shifts
the channels of every stage (Chen et al. 2019, arXiv:1810.01365) and that a stage's second
convolution adds to the first are not the paper's.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.models.layers import (
    UPS,
    Critic,
    LabelledNoise,
    init_he,
    init_normal,
    needs_bias,
    norm_layer,
    pyramid,
    spectral,
    up_conv,
)

NORMS = ("batch", "spectral", "layer", "none")
CONVS = (1, 2)


def _widths(count: int, width: int) -> list[int]:
    """Channels of `count` stages: 3, 2, 1, 1/2, 1/4 of the width towards the picture; 3 before."""
    shares = ((1, 4), (1, 2), (1, 1), (2, 1), (3, 1))
    stages = [shares[min(i, 4)] for i in reversed(range(count))]
    return [max(4, width * times // over) for times, over in stages]


class _GLU(nn.Module):
    """Half the channels times the sigmoid of the other half.

    `nn.GLU` hands back gradients in another memory format than channels-last ones, in which the
    BatchNorm before it is slow.
    """

    def forward(self, x: Tensor) -> Tensor:
        values, gates = x.chunk(2, 1)
        return values * torch.sigmoid(gates)


class _Excite(nn.Module):
    """Skip-layer excitation: a coarse map -> a gate in (0, 1) for each channel of a finer one."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            nn.Conv2d(coarse, fine, 4, bias=False),
            nn.SiLU(inplace=True),
            nn.Conv2d(fine, fine, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        excited: Tensor = fine * self.gate(coarse)
        return excited


class _Modulated(nn.Module):
    """A convolution to 2C channels, normalised, scaled and shifted by the noise [B, N], halved.

    Self-modulation (Chen et al. 2019, section 2), here by one linear layer: y (1 + scale) + shift,
    both at the start with a deviation of 0.02 times the noise's length.
    """

    def __init__(self, conv: nn.Module, channels: int, noise: int) -> None:
        super().__init__()
        self.main = nn.Sequential(conv, nn.BatchNorm2d(2 * channels))
        self.modulate = nn.Linear(noise, 4 * channels)
        self.glu = _GLU()

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        scale, shift = self.modulate(noise)[:, :, None, None].chunk(2, 1)
        y: Tensor = self.glu(self.main(x) * (1 + scale) + shift)
        return y


class _Stage(_Modulated):
    """A map twice its side, and where it is `deep` the sum of that and a convolution of it."""

    def __init__(self, wide: int, narrow: int, noise: int, up: str, deep: bool) -> None:
        super().__init__(up_conv(wide, 2 * narrow, up), narrow, noise)
        self.more: _Modulated | None = None
        if deep:
            conv = nn.Conv2d(narrow, 2 * narrow, 3, padding=1, bias=False)
            self.more = _Modulated(conv, narrow, noise)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        y = super().forward(x, noise)
        return y if self.more is None else y + self.more(y, noise)


class Generator(nn.Module):
    """Noise [B, nz, 1, 1] -> pictures [B, channels, image_size, image_size] in [-1, 1].

    At 96 and width 64: 6x6 with 192 channels, then 12, 24, 48, 96 with 128, 64, 32, 16; a map gates
    the one four times its side; 2.4 M parameters with a noise of 100. `convs` of 2: a second
    convolution at 12 and 24, a quarter of the picture's side; 2.8 M.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        nz: int,
        width: int,
        up: str = UPS[0],
        classes: tuple[int, ...] = (),
        convs: int = CONVS[0],
    ) -> None:
        super().__init__()
        shape = pyramid(image_size)
        widths = _widths(shape.doublings + 1, width)
        self.noise = LabelledNoise(nz, classes)
        self.first = nn.Sequential(
            nn.Unflatten(1, (self.noise.width, 1, 1)),
            nn.ConvTranspose2d(self.noise.width, 2 * widths[0], shape.base, bias=False),
            nn.BatchNorm2d(2 * widths[0]),
            _GLU(),
        )
        self.stages = nn.ModuleList(
            _Stage(wide, narrow, self.noise.width, up, deep=convs > 1 and 4 * side <= image_size)
            for (wide, narrow), side in zip(pairwise(widths), shape.sides[1:], strict=False)
        )
        self.excite = nn.ModuleList(
            _Excite(coarse, fine) for coarse, fine in zip(widths, widths[2:], strict=False)
        )
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1, bias=False)
        init_normal(self)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        noise = self.noise(noise, labels)
        x = self.first(noise)
        maps = [x]
        for i, stage in enumerate(self.stages):
            x = stage(x, noise)
            if i:
                x = self.excite[i - 1](maps[i - 1], x)
            maps.append(x)
        return torch.tanh(self.last(x))


class _Down(nn.Module):
    """Halve the side: the mean of two convolutions' path and an average-pooled 1x1 path."""

    def __init__(self, narrow: int, wide: int, norm: str) -> None:
        super().__init__()
        bias = needs_bias(norm)
        self.main = nn.Sequential(
            spectral(nn.Conv2d(narrow, wide, 4, 2, 1, bias=bias), norm),
            norm_layer(norm, wide),
            nn.LeakyReLU(0.2),
            spectral(nn.Conv2d(wide, wide, 3, padding=1, bias=bias), norm),
            norm_layer(norm, wide),
            nn.LeakyReLU(0.2),
        )
        self.direct = nn.Sequential(
            spectral(nn.Conv2d(narrow, wide, 1, bias=bias), norm),
            norm_layer(norm, wide),
            nn.LeakyReLU(0.2),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = (self.main(x) + self.direct(F.avg_pool2d(x, 2))) / 2
        return y


class Discriminator(Critic):
    """Pictures -> logits [B]: halved to width / 2 channels, then doubling them with each halving.

    Up to 8 · width channels, down to 4 to 7 pixels, then one convolution over what is left.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int,
        norm: str = NORMS[0],
        classes: tuple[int, ...] = (),
        condition: str = "projection",
    ) -> None:
        shape = pyramid(image_size)
        widths = [min(width << i, 16 * width) // 2 for i in range(shape.doublings)]
        super().__init__(widths[-1] * shape.base**2, classes, condition, norm)
        bias = needs_bias(norm)
        self.main = nn.Sequential(
            spectral(nn.Conv2d(channels, widths[0], 4, 2, 1, bias=bias), norm),
            nn.LeakyReLU(0.2),
            *(_Down(a, b, norm) for a, b in pairwise(widths)),
        )
        self.last = spectral(nn.Conv2d(widths[-1], 1, shape.base, bias=bias), norm)
        if norm == "none":  # nothing brings small weights up to size
            init_he(self)
        else:
            init_normal(self)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.main(images)
        return self.last(x).flatten(), x.flatten(1)
