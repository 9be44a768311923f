"""Networks by name: what a net is made from, and the nets made from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from torch import nn

from animegan.errors import UsageError
from animegan.models import dcgan

if TYPE_CHECKING:
    from config import Config


@dataclass(frozen=True)
class Spec:
    """All that the shapes of a pair of nets depend on; saved beside the weights."""

    image_size: int = 96
    channels: int = 3
    nz: int = 100
    ngf: int = 64
    ndf: int = 64
    net: str = "dcgan"

    @classmethod
    def of(cls, config: "Config") -> "Spec":
        """The spec that a run's options ask for."""
        known = vars(config)
        return cls(**{one.name: known[one.name] for one in fields(cls) if one.name in known})

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> "Spec":
        """A spec from a file. Raises TypeError for what is no spec."""
        return cls(**saved)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(spec: Spec) -> None:
    """UsageError, with the near sizes that can be built, if this one cannot."""
    if dcgan.shape_of(spec.image_size):
        return
    built = [size for size in range(8, 1025) if dcgan.shape_of(size)]
    near = sorted(sorted(built, key=lambda size: abs(size - spec.image_size))[:4])
    raise UsageError(
        f"--image-size {spec.image_size}: {spec.net} cannot be built at this size; "
        f"near ones that can: {', '.join(map(str, near))}"
    )


def build_netg(spec: Spec) -> nn.Module:
    """Generator: noise [B, nz, 1, 1] -> pictures [B, channels, image_size, image_size]."""
    return dcgan.Generator(spec.image_size, spec.channels, spec.nz, spec.ngf)


def build_netd(spec: Spec) -> nn.Module:
    """Discriminator: pictures -> logits [B]."""
    return dcgan.Discriminator(spec.image_size, spec.channels, spec.ndf)


def parameters_of(net: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(one.numel() for one in net.parameters() if one.requires_grad)


def has_batch_norm(net: nn.Module) -> bool:
    """Whether pictures of a batch see each other, so that a batch is more than its pieces."""
    return any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in net.modules())
