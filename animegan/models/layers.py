"""Building blocks shared by the families: sizes, upsampling, normalisation, initialisation."""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization

from animegan.runtime.device import full_precision

UPS = ("nearest", "transposed", "bilinear")
NORMS = ("none", "batch", "spectral", "layer")


@dataclass(frozen=True)
class Pyramid:
    """An image size as base * 2^doublings, with base 4 to 7."""

    base: int
    doublings: int

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the maps from the innermost to the image: (6, 12, 24, 48, 96) at 96."""
        return tuple(self.base * 2**i for i in range(self.doublings + 1))


def pyramid(image_size: int) -> Pyramid:
    """Factorise an image size, with at least two doublings.

    Raises ValueError, naming the nearest supported sizes.
    """
    base, doublings = image_size, 0
    while base > 7 and base % 2 == 0:
        base, doublings = base // 2, doublings + 1
    if 4 <= base <= 7 and doublings >= 2:
        return Pyramid(base, doublings)
    built = sorted(sizes(), key=lambda size: abs(size - image_size))[:4]
    near = ", ".join(map(str, sorted(built)))
    raise ValueError(f"{image_size} pixels are not supported; nearest supported: {near}")


def sizes(limit: int = 1024) -> tuple[int, ...]:
    """Return all image sizes up to `limit` that `pyramid` supports, in ascending order."""
    sizes = {base * 2**k for base in (4, 5, 6, 7) for k in range(2, limit.bit_length())}
    return tuple(sorted(size for size in sizes if size <= limit))


class NearestConv(nn.Module):
    """Nearest-neighbour upsampling by 2 and a 3x3 convolution without bias, as one operation.

    Together they equal a transposed convolution of kernel 4 and stride 2 whose kernel is the 3x3
    one summed over 2x2 shifts: 4 multiplications per output instead of 9, and no upsampled map in
    memory. Weights have He initialisation (gain of ReLU).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, 2H, 2W]."""
        return F.conv_transpose2d(x, self.kernel(), stride=2, padding=1)

    def kernel(self) -> Tensor:
        """Return the kernel of the transposed convolution, [in, out, 4, 4]."""
        k = self.weight.flip(2, 3).transpose(0, 1)
        shifts = [F.pad(k, (i, 1 - i, j, 1 - j)) for i in (0, 1) for j in (0, 1)]
        return torch.stack(shifts).sum(0)


def up_conv(in_channels: int, out_channels: int, up: str) -> nn.Module:
    """Return a module without bias that maps [B, in, H, W] to [B, out, 2H, 2W].

    `up` is one of UPS. Raises ValueError for another name.
    """
    if up == "nearest":
        return NearestConv(in_channels, out_channels)
    if up == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False)
    if up == "bilinear":
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        )
    raise ValueError(f"up must be one of {', '.join(UPS)}; got {up}")


def norm_layer(norm: str, channels: int) -> nn.Module:
    """Return the normalisation that follows a discriminator's convolution.

    `layer` normalises each image on its own; `spectral` applies to weights (see `spectral`), so
    like `none` it gives an identity here. Raises ValueError for a name not in NORMS.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "layer":
        return nn.GroupNorm(1, channels)
    if norm in NORMS:
        return nn.Identity()
    raise ValueError(f"norm must be one of {', '.join(NORMS)}; got {norm}")


def needs_bias(norm: str) -> bool:
    """Whether a discriminator's convolutions need a bias, because `norm` does not add one.

    A LeakyReLU net without biases is positively homogeneous: D(a x) = a D(x) for a > 0. D(0) is
    then 0 whatever it learns, and a generator whose fakes score lower can collapse to plain grey.
    """
    return norm in ("none", "spectral")


class _Spectral(_SpectralNorm):
    """Spectral norm in float32; autocast would round the products of the power iteration."""

    def forward(self, weight: Tensor) -> Tensor:
        with full_precision(weight.device):
            return super().forward(weight)


def spectral(module: nn.Module, norm: str = "spectral") -> nn.Module:
    """Add spectral normalisation to a module if `norm` is "spectral"; return the module.

    The first dimension of its weight must be the outputs, as in a convolution or a linear layer.
    """
    if norm == "spectral":
        register_parametrization(module, "weight", _Spectral(cast(Tensor, module.weight)))
    return module


def init_normal(net: nn.Module, deviation: float = 0.02) -> None:
    """Initialise convolutions and linear layers: weights N(0, deviation²), biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | NearestConv):
            nn.init.normal_(module.weight, 0.0, deviation)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(cast(Tensor, module.bias))


def init_he(net: nn.Module) -> None:
    """Initialise convolutions: weights N(0, gain² / fan_in) with LeakyReLU 0.2's gain, biases 0.

    He et al. 2015, equation 15; keeps the scale of activations constant through the net.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.2)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
