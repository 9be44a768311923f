"""Network families by name, and the nets built from a Spec."""

from typing import Any

import torch
from torch import nn

from animegan.core.errors import refuse
from animegan.models import dcgan, fastgan, mlp, projected, r3gan, resnet
from animegan.models.spec import Family, Spec

FAMILIES: dict[str, Family] = {
    "dcgan": dcgan.FAMILY,
    "mlp": mlp.FAMILY,
    "resnet": resnet.FAMILY,
    "fastgan": fastgan.FAMILY,
    "r3gan": r3gan.FAMILY,
}


def problems(spec: Spec, penalty: bool = False) -> list[str]:
    """Return why the nets cannot be built, or trained with a gradient penalty if `penalty`.

    The list is empty if there is no problem; each line is ready for `UsageError`.
    """
    family = FAMILIES[spec.net]
    problems = []
    if family.sizes is not None and spec.image_size not in family.sizes:
        problems.append(_size_problem(spec, family.sizes))
    ups, norms, convs = family.ups, family.norms, family.convs
    if spec.up is not None and spec.up not in ups:
        ways = f"takes {', '.join(ups)}" if ups else "has no choice of upsampling; omit the option"
        problems.append(f"--up {spec.up}: {spec.net} {ways}")
    if spec.g_convs is not None and spec.g_convs not in convs:
        takes = f"takes {' or '.join(map(str, convs))}"
        ways = takes if convs else "has no such choice; omit the option"
        problems.append(f"--g-convs {spec.g_convs}: {spec.net} {ways}")
    if spec.d_features is not None:
        norms = projected.NORMS
    if spec.d_norm is not None and spec.d_norm not in norms:
        problems.append(
            f"--d-norm {spec.d_norm}: the discriminator ({spec.d_features or spec.net}) takes "
            f"{', '.join(norms)}"
        )
    if spec.d_input and spec.d_features is None:
        problems.append(
            f"--d-input {spec.d_input}: is the input size of the feature network; add "
            "--d-features=lite0, or omit it"
        )
    if spec.d_norm == "batch" and penalty:
        problems.append(
            "--d-norm batch: a gradient penalty needs per-picture gradients, which BatchNorm "
            "mixes; use none or layer"
        )
    if not problems:
        try:
            with torch.device("meta"):
                build_netg(spec), build_netd(spec)
        except ValueError as error:
            problems.append(f"--ngf, --ndf: {error}")
    return problems


def check(spec: Spec, penalty: bool = False) -> None:
    """Raise UsageError with all `problems`, if any."""
    refuse(problems(spec, penalty))


def _size_problem(spec: Spec, sizes: tuple[int, ...]) -> str:
    near = sorted(sorted(sizes, key=lambda size: abs(size - spec.image_size))[:4])
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
    make = FAMILIES[spec.net].generator
    return make(spec.image_size, spec.channels, spec.nz, spec.ngf, **ways, classes=spec.classes)


def build_netd(spec: Spec) -> nn.Module:
    """Build the discriminator.

    It maps images [B, channels, S, S] in [-1, 1], and labels int64 [B, A] if the spec has classes,
    to unbounded logits: [B], or [B, 4] on projected features.
    """
    labels: dict[str, Any] = {"classes": spec.classes}
    if spec.condition is not None:
        labels["condition"] = spec.condition
    if spec.d_features is not None:
        return projected.Discriminator(
            spec.image_size, spec.channels, spec.ndf, input_size=spec.d_input, **labels
        )
    family = FAMILIES[spec.net]
    has_choice = len(family.norms) > 1
    norms = {"norm": spec.d_norm} if has_choice and spec.d_norm is not None else {}
    return family.discriminator(spec.image_size, spec.channels, spec.ndf, **norms, **labels)


def parameters_of(net: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(weight.numel() for weight in net.parameters() if weight.requires_grad)


def has_batch_norm(net: nn.Module) -> bool:
    """Whether the net has a BatchNorm layer, so that images of a batch influence each other."""
    return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in net.modules())
