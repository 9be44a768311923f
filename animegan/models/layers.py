"""What the families share: sizes, upsampling, the discriminator's normalisation, labels."""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization

from animegan import runtime

UPS = ("nearest", "transposed", "bilinear")
NORMS = ("none", "batch", "spectral", "layer")
CONDITIONS = ("projection", "acgan")


@dataclass(frozen=True)
class Pyramid:
    """A picture size as base · 2^doublings, base 4 to 7."""

    base: int
    doublings: int

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the maps from the innermost to the picture: (6, 12, 24, 48, 96)."""
        return tuple(self.base * 2**i for i in range(self.doublings + 1))


def pyramid(image_size: int) -> Pyramid:
    """The size's factors, at least two doublings. Raises ValueError with the near sizes."""
    base, doublings = image_size, 0
    while base > 7 and base % 2 == 0:
        base, doublings = base // 2, doublings + 1
    if 4 <= base <= 7 and doublings >= 2:
        return Pyramid(base, doublings)
    built = sorted(sizes(), key=lambda size: abs(size - image_size))[:4]
    raise ValueError(f"no net of {image_size} pixels; near: {', '.join(map(str, sorted(built)))}")


def sizes(limit: int = 1024) -> tuple[int, ...]:
    """Every picture size up to `limit` that has a pyramid."""
    found = {base * 2**k for base in (4, 5, 6, 7) for k in range(2, limit.bit_length())}
    return tuple(sorted(size for size in found if size <= limit))


class NearestConv(nn.Module):
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution without bias, in one operation.

    The two together are a transposed convolution of kernel 4 and stride 2 whose kernel is the 3x3
    one summed over 2x2 shifts: 4 multiplications an output instead of 9, and no enlarged map.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, 2H, 2W]."""
        k = self.weight.flip(2, 3).transpose(0, 1)
        shifts = [F.pad(k, (i, 1 - i, j, 1 - j)) for i in (0, 1) for j in (0, 1)]
        return F.conv_transpose2d(x, torch.stack(shifts).sum(0), stride=2, padding=1)


def up_conv(in_channels: int, out_channels: int, up: str) -> nn.Module:
    """[B, in, H, W] -> [B, out, 2H, 2W] by one of UPS, without bias."""
    if up == "nearest":
        return NearestConv(in_channels, out_channels)
    if up == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False)
    if up == "bilinear":
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        )
    raise ValueError(f"up is one of {', '.join(UPS)}; got {up}")


def norm_layer(norm: str, channels: int) -> nn.Module:
    """The layer after a discriminator's convolution; `layer` normalises each picture alone."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "layer":
        return nn.GroupNorm(1, channels)
    if norm in NORMS:
        return nn.Identity()
    raise ValueError(f"norm is one of {', '.join(NORMS)}; got {norm}")


def needs_bias(norm: str) -> bool:
    """Whether a discriminator's convolution must have a bias of its own, `norm` bringing none.

    Without any, LeakyReLU makes the net homogeneous: D(a x) = a D(x) for a > 0, so that D(0) is 0
    whatever it learns, and a generator whose fakes are worth less escapes into plain grey.
    """
    return norm in ("none", "spectral")


class _Spectral(_SpectralNorm):
    """torch's own in float32: CUDA's autocast would round the power iteration's products."""

    def forward(self, weight: Tensor) -> Tensor:
        with runtime.full(weight.device):
            return super().forward(weight)


def spectral(module: nn.Module, norm: str = "spectral") -> nn.Module:
    """The module, its weight divided by its largest singular value if `norm` says so.

    The weight's first dimension is that of the outputs, as in a convolution or a linear layer.
    """
    if norm == "spectral":
        register_parametrization(module, "weight", _Spectral(cast(Tensor, module.weight)))
    return module


def init_normal(net: nn.Module, deviation: float = 0.02) -> None:
    """Weights of every convolution and linear layer ~ N(0, deviation²), biases zero."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | NearestConv):
            nn.init.normal_(module.weight, 0.0, deviation)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(cast(Tensor, module.bias))


def init_he(net: nn.Module) -> None:
    """Weights of every convolution ~ N(0, gain² / fan_in), gain that of LeakyReLU 0.2, biases zero.

    He et al. 2015, equation 15: the size of what passes through stays the same.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.2)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class LabelEmbedding(nn.Module):
    """Labels int64 [B, A] or [B] -> [B, width]: one learned row per class, attributes added up.

    A is the number of attributes, `classes` how many values each has. -1 (unknown) adds nothing.
    """

    def __init__(self, classes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count + 1, width, 0) for count in classes)

    def forward(self, labels: Tensor) -> Tensor:
        columns = labels.reshape(labels.shape[0], -1).unbind(1)
        rows = [table(column + 1) for table, column in zip(self.tables, columns, strict=True)]
        return torch.stack(rows).sum(0)


class ProjectLabels(nn.Module):
    """<embedding of the labels, features>, [B]: zero for unknown labels and before training."""

    def __init__(self, classes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.embed = LabelEmbedding(classes, width)
        for table in self.embed.parameters():
            nn.init.zeros_(table)

    def forward(self, labels: Tensor, features: Tensor) -> Tensor:
        match: Tensor = (self.embed(labels) * features).sum(1)
        return match


class LabelledNoise(nn.Module):
    """Noise [B, nz, 1, 1] (or [B, nz]) and labels -> [B, width]: the noise, then the embedding.

    An attribute's embedding begins with a length of about 1 against the noise's sqrt(nz); were its
    numbers ~ N(0, 1), a generator would soon know nothing but labels, and draw one picture of each.
    Without classes it only flattens. Labels left out count as unknown.
    """

    def __init__(self, nz: int, classes: tuple[int, ...]) -> None:
        super().__init__()
        embedding = min(64, nz) if classes else 0
        self.width = nz + embedding
        self.classes = classes
        self.embed = LabelEmbedding(classes, embedding) if classes else None
        if self.embed is not None:
            with torch.no_grad():
                for table in self.embed.parameters():
                    table.mul_(embedding**-0.5)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        noise = noise.flatten(1)
        if self.embed is None:
            return noise
        if labels is None:
            labels = torch.full(
                (noise.shape[0], len(self.classes)), -1, dtype=torch.int64, device=noise.device
            )
        return torch.cat((noise, self.embed(labels).to(noise.dtype)), 1)


class Critic(nn.Module):
    """A discriminator: a subclass makes `features`, this makes logits and class logits of them.

    condition "projection" (Miyato & Koyama 2018): the logit gains <embedding of the labels,
    features>. "acgan" (Odena et al. 2017): the logit is blind to labels, `judge` names them too.
    """

    def __init__(self, features: int, classes: tuple[int, ...], condition: str, norm: str) -> None:
        super().__init__()
        if condition not in CONDITIONS:
            raise ValueError(f"condition is one of {', '.join(CONDITIONS)}; got {condition}")
        self.width = features
        self.project: nn.Module | None = None
        self.classify: nn.Module | None = None
        if classes and condition == "projection":
            self.project = ProjectLabels(classes, features)
        elif classes:
            self.classify = spectral(nn.Linear(features, sum(classes)), norm)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [B, C, S, S] in [-1, 1] -> (logits [B], features [B, F])."""
        raise NotImplementedError

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures, and labels where there are any -> logits [B]."""
        logits, features = self.features(images)
        if self.project is not None and labels is not None:
            logits = logits + self.project(labels, features)
        return logits

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures -> (logits [B], class logits [B, sum(classes)]), for an "acgan" critic."""
        assert self.classify is not None
        logits, features = self.features(images)
        return logits, self.classify(features)
