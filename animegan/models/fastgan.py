"""FastGAN-style nets (Liu et al. 2021, arXiv:2101.04775): few parameters, fast to train.

The generator upsamples with GLU and gates fine maps by coarse ones (skip-layer excitation).
Differences from the paper: no self-supervised decoders and no noise injection; the noise modulates
the channels of every stage (Chen et al. 2019, arXiv:1810.01365); and a stage's second convolution
is residual.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.models.conditioning import LabelledNoise, PixelCritic
from animegan.models.layers import (
    UPS,
    init_he,
    init_normal,
    needs_bias,
    norm_layer,
    pyramid,
    sizes,
    spectral,
    up_conv,
)
from animegan.models.spec import Family

NORMS = ("batch", "spectral", "layer", "none")
CONVS = (1, 2)


def _widths(count: int, width: int) -> list[int]:
    """Return the channels of `count` stages, innermost first.

    The last five are 3, 2, 1, 1/2 and 1/4 of the width; any before them 3 times the width.
    """
    shares = ((1, 4), (1, 2), (1, 1), (2, 1), (3, 1))
    stages = [shares[min(i, 4)] for i in reversed(range(count))]
    return [max(4, width * times // over) for times, over in stages]


class _GLU(nn.Module):
    """Gated linear unit over channels, [B, 2C, H, W] -> [B, C, H, W].

    Unlike `nn.GLU`, its gradients stay channels-last, which keeps the preceding BatchNorm fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        values, gates = x.chunk(2, 1)
        return values * torch.sigmoid(gates)


class _Excite(nn.Module):
    """Skip-layer excitation: scale the channels of a fine map by gates in (0, 1) of a coarse one.

    Liu et al. 2021, section 3.1.
    """

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
    """Convolution to 2C channels, BatchNorm, modulation by the noise [B, N], GLU to C channels.

    Self-modulation (Chen et al. 2019, section 2) with a single linear layer: y (1 + scale) + shift.
    Initially both have a standard deviation of 0.02 times the norm of the noise.
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
    """Upsample a map by 2; if `deep`, add a second, residual convolution."""

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
    """Generate images [B, channels, image_size, image_size] in [-1, 1] from noise [B, nz, 1, 1].

    At 96 pixels and width 64: 6 x 6 with 192 channels, then 12, 24, 48 and 96 pixels with 128, 64,
    32 and 16. Each map gates the one with four times its side. 2.4 M parameters at nz 100. With
    `convs=2`, stages up to a quarter of the image side (12, 24) have a second convolution; 2.8 M.

    Weights start at N(0, 0.02²), biases at 0.
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
        """Map noise [B, nz, 1, 1] and labels [B, A] to images [B, C, S, S] in [-1, 1]."""
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
    """Downsample by 2: the mean of a path of two convolutions and an average-pooled 1x1 path."""

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


class Discriminator(PixelCritic):
    """Map images [B, channels, image_size, image_size] in [-1, 1] to logits [B].

    The first halving outputs width / 2 channels; each further one doubles them, up to 8 · width.
    At 4 to 7 pixels, one convolution over the whole map gives the logit.

    Weights start at N(0, 0.02²), or He initialisation with `norm="none"`.
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
        if norm == "none":  # no normalisation to compensate for small weights
            init_he(self)
        else:
            init_normal(self)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images [B, C, S, S] to (logits [B], flattened last feature map [B, F])."""
        x = self.main(images)
        return self.last(x).flatten(), x.flatten(1)


FAMILY = Family(sizes(), UPS, NORMS, CONVS, Generator, Discriminator)
