"""DCGAN (Radford et al. 2015, arXiv:1511.06434) as the textbook example builds it, at any size.

At 96 x 96: noise -> 4 -> 8 -> 16 -> 32 -> 96, the last layer with kernel 5 and stride 3. The names
of the weights (`main.0.weight`, ...) are those of the original example, whose files load unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from animegan.models.layers import Critic, LabelledNoise, needs_bias, norm_layer, spectral, up_conv

UPS = ("transposed", "nearest", "bilinear")
NORMS = ("batch", "spectral", "layer", "none")


@dataclass(frozen=True)
class Shape:
    """How a side is built: from `base` by `doublings` of stride 2, then once by `last`."""

    base: int
    doublings: int
    last: int

    @property
    def image_size(self) -> int:
        return self.base * (1 << self.doublings) * self.last

    @property
    def widths(self) -> list[int]:
        """Multiples of the width, from the innermost stage out: [8, 4, 2, 1] at 96 x 96."""
        return [min(8, 2**k) for k in range(self.doublings, -1, -1)]

    @property
    def outer(self) -> tuple[int, int, int]:
        """Kernel, stride and padding of the layer next to the picture."""
        return (5, 3, 1) if self.last == 3 else (4, 2, 1)


def shape_of(image_size: int) -> Shape | None:
    """The shape for a side in pixels, or None where there is none.

    4 x 4 is the first choice for the innermost map; 5, 6 and 7 serve sizes such as 28 = 7 * 2 * 2.
    """
    for base in (4, 5, 6, 7):
        for last in (2, 3):
            side, doublings = base * last, 0
            while side < image_size:
                side, doublings = side * 2, doublings + 1
            if side == image_size:
                return Shape(base, doublings, last)
    return None


def _shape(image_size: int) -> Shape:
    shape = shape_of(image_size)
    if shape is None:
        raise ValueError(f"no DCGAN of {image_size} pixels")
    return shape


def _outermost(width: int, channels: int, shape: Shape, up: str) -> nn.Module:
    """The layer that makes the picture, `shape.last` times as large as its input."""
    if up == "transposed":
        return nn.ConvTranspose2d(width, channels, *shape.outer, bias=False)
    enlarge = (
        nn.Upsample(scale_factor=shape.last, mode="nearest")
        if up == "nearest"
        else nn.Upsample(scale_factor=shape.last, mode="bilinear", align_corners=False)
    )
    return nn.Sequential(enlarge, nn.Conv2d(width, channels, 5, padding=2, bias=False))


class Generator(nn.Module):
    """Noise [B, nz, 1, 1] -> pictures [B, channels, image_size, image_size] in [-1, 1].

    An embedding of the labels, where there are classes, is joined to the noise.
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
        self.noise = LabelledNoise(nz, classes)
        shape = _shape(image_size)
        widths = [width * multiple for multiple in shape.widths]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(self.noise.width, widths[0], shape.base, 1, 0, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        for wide, narrow in pairwise(widths):
            layers += [
                up_conv(wide, narrow, up),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        layers += [_outermost(widths[-1], channels, shape, up), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.main(self.noise(noise, labels)[:, :, None, None])
        return images


class Discriminator(Critic):
    """Pictures [B, channels, image_size, image_size] in [-1, 1] -> logits [B].

    The textbook's ends in a Sigmoid; that is left to the loss, where it is numerically safe.
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
        shape = _shape(image_size)
        widths = [width * multiple for multiple in reversed(shape.widths)]
        super().__init__(widths[-1] * shape.base**2, classes, condition, norm)
        bias = needs_bias(norm)
        layers: list[nn.Module] = [
            spectral(nn.Conv2d(channels, widths[0], *shape.outer, bias=bias), norm),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for narrow, wide in pairwise(widths):
            layers += [
                spectral(nn.Conv2d(narrow, wide, 4, 2, 1, bias=bias), norm),
                norm_layer(norm, wide),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers.append(spectral(nn.Conv2d(widths[-1], 1, shape.base, 1, 0, bias=bias), norm))
        self.main = nn.Sequential(*layers)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x: Tensor = self.main[:-1](images)
        return self.main[-1](x).flatten(), x.flatten(1)


def read_shapes(weights: Mapping[str, Tensor]) -> dict[str, int] | None:
    """The sizes of the net that a plain state dict of `main.*` belongs to, or None.

    Returns image_size, channels, and nz with ngf (a generator) or ndf (a discriminator); so it can
    be told which of the two the file holds.
    """
    convolutions = [
        weights[name]
        for name in sorted(
            (name for name in weights if name.startswith("main.") and name.endswith(".weight")),
            key=lambda name: int(name.split(".")[1]) if name.split(".")[1].isdigit() else -1,
        )
        if weights[name].dim() == 4
    ]
    if len(convolutions) < 2:
        return None
    first, last = convolutions[0], convolutions[-1]
    # a discriminator ends in one logit, from a kernel as large as its map; transposed convolutions
    # keep (in, out, kernel, kernel), plain ones (out, in, kernel, kernel)
    is_netd = (
        last.shape[0] == 1 and first.shape[1] in (1, 3) and last.shape[2] == last.shape[3] >= 4
    )
    inner, outer = (last, first) if is_netd else (first, last)
    shape = Shape(int(inner.shape[2]), len(convolutions) - 2, 3 if outer.shape[2] == 5 else 2)
    sizes = {"image_size": shape.image_size, "channels": int(outer.shape[1])}
    if is_netd:
        return sizes | {"ndf": int(outer.shape[0])}
    return sizes | {"nz": int(inner.shape[0]), "ngf": int(outer.shape[0])}
