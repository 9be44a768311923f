"""Residual nets of make.girls.moe: an SRResNet-style generator and a residual critic.

Jin et al. 2017 (arXiv:1708.05509), figures 4 and 5, made small enough for a CPU: widths halve
towards the image, and the critic starts at half its resolution.
"""

from itertools import pairwise

from torch import Tensor, nn

from animegan.models.conditioning import LabelledNoise, PixelCritic
from animegan.models.layers import (
    NORMS,
    UPS,
    init_normal,
    norm_layer,
    pyramid,
    sizes,
    spectral,
    up_conv,
)
from animegan.models.spec import Family

BLOCKS = 8  # in the generator's body; 16 in the paper


def _inner(image_size: int) -> tuple[int, int]:
    """Return (side of the generator's body, 7 to 14 pixels if possible; doublings after it)."""
    shape = pyramid(image_size)
    skipped = 1 if shape.doublings > 2 else 0
    return shape.sides[skipped], shape.doublings - skipped


class _Block(nn.Module):
    """SRResNet's residual block: x + BN(conv(ReLU(BN(conv(x)))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class Generator(nn.Module):
    """Generate images [B, channels, image_size, image_size] in [-1, 1] from noise [B, nz, 1, 1].

    At 96 pixels: a linear layer to width x 12 x 12, eight residual blocks with a skip connection
    around them, three upsamplings with BatchNorm and ReLU, a 9x9 convolution, Tanh. Weights start
    at N(0, 0.02²), biases at 0.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        nz: int,
        width: int,
        up: str = UPS[0],
        classes: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        side, doublings = _inner(image_size)
        self.noise = LabelledNoise(nz, classes)
        self.first = nn.Sequential(
            nn.Linear(self.noise.width, width * side * side, bias=False),
            nn.Unflatten(1, (width, side, side)),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.body = nn.Sequential(
            *(_Block(width) for _ in range(BLOCKS)), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        widths = [width] + [max(width >> i, min(width, 16)) for i in range(doublings)]
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(widths):
            layers += [
                up_conv(wide, narrow, up),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        self.rise = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 9, padding=4), nn.Tanh())
        init_normal(self)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map noise [B, nz, 1, 1] and labels [B, A] to images [B, C, S, S] in [-1, 1]."""
        x = self.first(self.noise(noise, labels))
        images: Tensor = self.rise(x + self.body(x))
        return images


class _Residual(nn.Module):
    """The critic's residual block: x + f(x), f being twice (norm, LeakyReLU 0.2, 3x3 conv)."""

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                norm_layer(norm, width),
                nn.LeakyReLU(0.2),
                spectral(nn.Conv2d(width, width, 3, padding=1), norm),
            ]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


class Discriminator(PixelCritic):
    """Map images [B, channels, image_size, image_size] in [-1, 1] to logits [B].

    The first convolution halves the side and outputs width / 2 channels. A residual block and a
    halving that doubles the channels, up to 8 · width, alternate down to 4 to 7 pixels. A last
    block and a convolution over the whole map follow.
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
        layers: list[nn.Module] = [spectral(nn.Conv2d(channels, widths[0], 4, 2, 1), norm)]
        for narrow, wide in pairwise(widths):
            layers += [_Residual(narrow, norm), spectral(nn.Conv2d(narrow, wide, 4, 2, 1), norm)]
        layers += [_Residual(widths[-1], norm), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*layers)
        self.last = spectral(nn.Conv2d(widths[-1], 1, shape.base), norm)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images [B, C, S, S] to (logits [B], flattened last feature map [B, F])."""
        x = self.main(images)
        return self.last(x).flatten(), x.flatten(1)


FAMILY = Family(sizes(), UPS, NORMS, (), Generator, Discriminator)
