"""Networks by name: what a net is made from, and the nets made from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from animegan.errors import refuse
from animegan.losses import OBJECTIVES
from animegan.models import dcgan, fastgan, layers, mlp, projected, r3gan, resnet

if TYPE_CHECKING:
    from config import Config

FAMILIES: dict[str, ModuleType] = {
    "dcgan": dcgan,
    "mlp": mlp,
    "resnet": resnet,
    "fastgan": fastgan,
    "r3gan": r3gan,
}


@dataclass(frozen=True)
class Spec:
    """All that the shapes of a pair of nets depend on; saved beside the weights.

    `up`, `g_convs` and `d_norm` are None where the family has but one way or takes its own.
    `classes` says how many values each attribute of the labels has; none for nets without labels.
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
    def of(cls, config: "Config", classes: tuple[int, ...] = ()) -> "Spec":
        """The spec that a run's options ask for, and the sizes of its labels' attributes."""
        options = (one.name for one in fields(cls) if one.name != "classes")
        known = {name: getattr(config, name) for name in options}
        if not classes:
            known["condition"] = None
        if penalised(config) and known["d_norm"] is None and known["d_features"] is None:
            known["d_norm"] = "none"  # a gradient of one picture's logit must be that picture's
        return cls(**known, classes=classes)

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> "Spec":
        """A spec from a file. Raises TypeError for what is no spec."""
        return cls(**{**saved, "classes": tuple(saved.get("classes", ()))})

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "classes": list(self.classes)}


def penalised(config: "Config") -> bool:
    """Whether the discriminator's gradient at single pictures is penalised."""
    objective = OBJECTIVES[config.loss]
    return bool((objective.penalty and config.gp) or config.r1 or config.r2)


def problems(spec: Spec, penalty: bool = False) -> list[str]:
    """Why the nets cannot be built, or not trained with a gradient penalty; empty if they can."""
    family = FAMILIES[spec.net]
    found = [] if _has_size(spec) else [_size_problem(spec)]
    ups, norms = family.UPS, family.NORMS
    if spec.up is not None and spec.up not in ups:
        ways = f"takes {', '.join(ups)}" if ups else "has but one way up; leave the option out"
        found.append(f"--up {spec.up}: {spec.net} {ways}")
    convs = getattr(family, "CONVS", ())
    if spec.g_convs is not None and spec.g_convs not in convs:
        takes = f"takes {' or '.join(map(str, convs))}"
        ways = takes if convs else "has but one way; leave the option out"
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
            f"--d-pixels {spec.d_pixels}: stands beside a discriminator of features; add "
            "--d-features=lite0, or leave it out"
        )
    if spec.d_input and spec.d_features is None:
        found.append(
            f"--d-input {spec.d_input}: is the size at which features are taken; add "
            "--d-features=lite0, or leave it out"
        )
    if spec.d_norm == "batch" and penalty:
        found.append(
            "--d-norm batch: a gradient penalty needs the gradient of each picture alone, which "
            "BatchNorm mixes; take none or layer"
        )
    if not found:
        try:
            with torch.device("meta"):
                build_netg(spec), build_netd(spec)
        except ValueError as error:
            found.append(f"--ngf, --ndf: {error}")
    return found


def check(spec: Spec, penalty: bool = False) -> None:
    """UsageError with every one of `problems`."""
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
        f"--image-size {spec.image_size}: {spec.net} cannot be built at this size; "
        f"near ones that can: {', '.join(map(str, near))}"
    )


def build_netg(spec: Spec) -> nn.Module:
    """Generator: noise [B, nz, 1, 1] and labels [B, A], if any -> pictures [B, channels, S, S]."""
    ways: dict[str, Any] = {} if spec.up is None else {"up": spec.up}
    if spec.g_convs is not None:
        ways["convs"] = spec.g_convs
    make = FAMILIES[spec.net].Generator
    netg: nn.Module = make(
        spec.image_size, spec.channels, spec.nz, spec.ngf, **ways, classes=spec.classes
    )
    return netg


def build_netd(spec: Spec) -> nn.Module:
    """Discriminator: pictures -> logits [B], or [B, 4 or 5] over projected features."""
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
    """How many numbers training adjusts."""
    return sum(one.numel() for one in net.parameters() if one.requires_grad)


def has_batch_norm(net: nn.Module) -> bool:
    """Whether pictures of a batch see each other, so that a batch is more than its pieces."""
    return any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in net.modules())
