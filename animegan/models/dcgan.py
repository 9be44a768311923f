"""DCGAN (Radford et al. 2015, arXiv:1511.06434) as in the textbook example, for many image sizes.

At 96 x 96: noise -> 4 -> 8 -> 16 -> 32 -> 96, the last layer with kernel 5 and stride 3. State dict
keys (`main.0.weight`, ...) match the original example, whose weight files load unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from animegan.models.conditioning import LabelledNoise, PixelCritic
from animegan.models.layers import needs_bias, norm_layer, spectral, up_conv
from animegan.models.spec import Family

UPS = ("transposed", "nearest", "bilinear")
NORMS = ("batch", "spectral", "layer", "none")


@dataclass(frozen=True)
class Shape:
    """Factors of an image side: base * 2^doublings * last, where `last` is the last stride."""

    base: int
    doublings: int
    last: int

    @property
    def image_size(self) -> int:
        """Side of the image in pixels."""
        return self.base * (1 << self.doublings) * self.last

    @property
    def widths(self) -> list[int]:
        """Multiples of the base width from the innermost stage outwards: [8, 4, 2, 1] at 96."""
        return [min(8, 2**k) for k in range(self.doublings, -1, -1)]

    @property
    def outer(self) -> tuple[int, int, int]:
        """Kernel size, stride and padding of the outermost layer."""
        return (5, 3, 1) if self.last == 3 else (4, 2, 1)


def shape_of(image_size: int) -> Shape | None:
    """Return the shape for an image side in pixels, or None if there is none.

    The innermost map is 4 x 4 if possible; 5, 6 and 7 allow sizes such as 28 = 7 * 2 * 2.
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
        raise ValueError(f"dcgan does not support {image_size} pixels")
    return shape


def _outermost(width: int, channels: int, shape: Shape, up: str) -> nn.Module:
    """Return the layer that outputs the image, upsampling by `shape.last`."""
    if up == "transposed":
        return nn.ConvTranspose2d(width, channels, *shape.outer, bias=False)
    enlarge = (
        nn.Upsample(scale_factor=shape.last, mode="nearest")
        if up == "nearest"
        else nn.Upsample(scale_factor=shape.last, mode="bilinear", align_corners=False)
    )
    return nn.Sequential(enlarge, nn.Conv2d(width, channels, 5, padding=2, bias=False))


class Generator(nn.Module):
    """Generate images [B, channels, image_size, image_size] in [-1, 1] from noise [B, nz, 1, 1].

    If there are classes, an embedding of the labels is concatenated with the noise.

    As in the textbook, convolutions keep PyTorch's default initialisation, uniform in
    ±1 / sqrt(fan_in), and BatchNorm starts at weight 1 and bias 0; the DCGAN paper (section 4) uses
    N(0, 0.02²). Convolutions after `up="nearest"` have He initialisation (`layers.NearestConv`).
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
        """Map noise [B, nz, 1, 1] and labels [B, A] to images [B, C, S, S] in [-1, 1]."""
        images: Tensor = self.main(self.noise(noise, labels)[:, :, None, None])
        return images


class Discriminator(PixelCritic):
    """Map images [B, channels, image_size, image_size] in [-1, 1] to logits [B].

    The textbook's net ends in a Sigmoid; here the loss applies it, which is numerically stable.
    Initialisation as in `Generator`.
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
        """Map images [B, C, S, S] to (logits [B], flattened last feature map [B, F])."""
        x: Tensor = self.main[:-1](images)
        return self.main[-1](x).flatten(), x.flatten(1)


FAMILY = Family(
    tuple(size for size in range(8, 1025) if shape_of(size)),
    UPS,
    NORMS,
    (),
    Generator,
    Discriminator,
)


def read_shapes(weights: Mapping[str, Tensor]) -> dict[str, int] | None:
    """Infer a net's sizes from a plain state dict with keys `main.*`, or return None.

    Returns image_size and channels, plus nz and ngf for a generator or ndf for a discriminator;
    the keys thus tell which of the two it is.
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
    # a discriminator ends in one logit, with a kernel as large as its map; weights of transposed
    # convolutions are (in, out, kernel, kernel), of plain ones (out, in, kernel, kernel)
    is_netd = (
        last.shape[0] == 1 and first.shape[1] in (1, 3) and last.shape[2] == last.shape[3] >= 4
    )
    inner, outer = (last, first) if is_netd else (first, last)
    shape = Shape(int(inner.shape[2]), len(convolutions) - 2, 3 if outer.shape[2] == 5 else 2)
    sizes = {"image_size": shape.image_size, "channels": int(outer.shape[1])}
    if is_netd:
        return sizes | {"ndf": int(outer.shape[0])}
    return sizes | {"nz": int(inner.shape[0]), "ngf": int(outer.shape[0])}
