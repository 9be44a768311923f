"""Network families by name: the specification of a pair of nets, and the nets built from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn

from animegan.core.errors import refuse
from animegan.models import dcgan, fastgan, layers, mlp, projected, r3gan, resnet

FAMILIES: dict[str, ModuleType] = {
    "dcgan": dcgan,
    "mlp": mlp,
    "resnet": resnet,
    "fastgan": fastgan,
    "r3gan": r3gan,
}


@dataclass(frozen=True)
class Spec:
    """Everything that determines the shapes of netg and netd; saved with the weights.

    The defaults describe the textbook's nets, whose weight files are plain state dicts that say
    nothing but their shapes. They are not the defaults of `train`; `config/derived.py` takes those.

    `up`, `g_convs` and `d_norm` are None if the family has no choice or its default is used.
    `classes` is the number of values of each label attribute, empty for nets without labels.
    """

    image_size: int = 96
    channels: int = 3
    nz: int = 100
    ngf: int = 64
    ndf: int = 64
    net: str = "dcgan"
    up: str | None = None
    g_convs: int | None = None
    d_norm: str | None = None
    d_features: str | None = None
    d_pixels: int = 0
    d_input: int | None = None
    classes: tuple[int, ...] = ()
    condition: str | None = None

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> "Spec":
        """Create a spec from a file's `as_dict`. Raises TypeError if it is not one."""
        return cls(**{**saved, "classes": tuple(saved.get("classes", ()))})

    def as_dict(self) -> dict[str, Any]:
        """Return the spec as JSON-serialisable values."""
        return {**asdict(self), "classes": list(self.classes)}


def problems(spec: Spec, penalty: bool = False) -> list[str]:
    """Return why the nets cannot be built, or trained with a gradient penalty if `penalty`.

    The list is empty if there is no problem; each line is ready for `UsageError`.
    """
    family = FAMILIES[spec.net]
    found = [] if _has_size(spec) else [_size_problem(spec)]
    ups, norms = family.UPS, family.NORMS
    if spec.up is not None and spec.up not in ups:
        ways = f"takes {', '.join(ups)}" if ups else "has no choice of upsampling; omit the option"
        found.append(f"--up {spec.up}: {spec.net} {ways}")
    convs = getattr(family, "CONVS", ())
    if spec.g_convs is not None and spec.g_convs not in convs:
        takes = f"takes {' or '.join(map(str, convs))}"
        ways = takes if convs else "has no such choice; omit the option"
        found.append(f"--g-convs {spec.g_convs}: {spec.net} {ways}")
    if spec.d_features is not None:
        norms = projected.NORMS
    if spec.d_norm is not None and spec.d_norm not in norms:
        found.append(
            f"--d-norm {spec.d_norm}: the discriminator ({spec.d_features or spec.net}) takes "
            f"{', '.join(norms)}"
        )
    if spec.d_pixels and spec.d_features is None:
        found.append(
            f"--d-pixels {spec.d_pixels}: needs a discriminator of features; add "
            "--d-features=lite0, or omit it"
        )
    if spec.d_input and spec.d_features is None:
        found.append(
            f"--d-input {spec.d_input}: is the input size of the feature network; add "
            "--d-features=lite0, or omit it"
        )
    if spec.d_norm == "batch" and penalty:
        found.append(
            "--d-norm batch: a gradient penalty needs per-picture gradients, which BatchNorm "
            "mixes; use none or layer"
        )
    if not found:
        try:
            with torch.device("meta"):
                build_netg(spec), build_netd(spec)
        except ValueError as error:
            found.append(f"--ngf, --ndf: {error}")
    return found


def check(spec: Spec, penalty: bool = False) -> None:
    """Raise UsageError with all `problems`, if any."""
    refuse(problems(spec, penalty))


def _has_size(spec: Spec) -> bool:
    if spec.net == "mlp":
        return True
    return spec.image_size in _sizes(spec)


def _sizes(spec: Spec) -> list[int]:
    if spec.net == "dcgan":
        return [size for size in range(8, 1025) if dcgan.shape_of(size)]
    return list(layers.sizes())


def _size_problem(spec: Spec) -> str:
    near = sorted(sorted(_sizes(spec), key=lambda size: abs(size - spec.image_size))[:4])
    return (
        f"--image-size {spec.image_size}: {spec.net} does not support this size; "
        f"nearest supported: {', '.join(map(str, near))}"
    )


def build_netg(spec: Spec) -> nn.Module:
    """Build the generator.

    It maps noise [B, nz, 1, 1] ~ N(0, 1), and labels int64 [B, A] if the spec has classes, to
    images [B, channels, S, S] in [-1, 1]. Only r3gan has no Tanh: its images are unbounded, and
    values outside [-1, 1] are clamped when they are shown or saved.
    """
    ways: dict[str, Any] = {} if spec.up is None else {"up": spec.up}
    if spec.g_convs is not None:
        ways["convs"] = spec.g_convs
    make = FAMILIES[spec.net].Generator
    netg: nn.Module = make(
        spec.image_size, spec.channels, spec.nz, spec.ngf, **ways, classes=spec.classes
    )
    return netg


def build_netd(spec: Spec) -> nn.Module:
    """Build the discriminator.

    It maps images [B, channels, S, S] in [-1, 1], and labels int64 [B, A] if the spec has classes,
    to unbounded logits: [B], or [B, 4] on projected features ([B, 5] with `d_pixels`).
    """
    labels: dict[str, Any] = {"classes": spec.classes}
    if spec.condition is not None:
        labels["condition"] = spec.condition
    if spec.d_features is not None:
        return projected.Discriminator(
            spec.image_size,
            spec.channels,
            spec.ndf,
            input_size=spec.d_input,
            pixels=spec.d_pixels,
            **labels,
        )
    norms = {} if spec.d_norm is None else {"norm": spec.d_norm}
    if spec.net == "r3gan":  # it has no normalisation to choose
        norms = {}
    netd: nn.Module = FAMILIES[spec.net].Discriminator(
        spec.image_size, spec.channels, spec.ndf, **norms, **labels
    )
    return netd


def parameters_of(net: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(one.numel() for one in net.parameters() if one.requires_grad)


def has_batch_norm(net: nn.Module) -> bool:
    """Whether the net has a BatchNorm layer, so that images of a batch influence each other."""
    return any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in net.modules())
