"""What describes a pair of networks, and what describes a family of them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

REMOVED: Mapping[str, object] = {"d_pixels": 0}  # former fields, at the value they must have had


class RemovedError(ValueError):
    """A Spec that only older versions can build."""


@dataclass(frozen=True)
class Family:
    """A family of networks: a row of `registry.FAMILIES`.

    sizes: the image sizes it can build; None: any.
    ups: its ways of upsampling, the default first; () if it has no choice.
    norms: its discriminator's normalisations, the default first.
    convs: its choices of convolutions per stage of the generator; () if it has none.
    generator: makes netg from (image_size, channels, nz, width) and, by name, `classes`, and `up`
    and `convs` where it has a choice.
    discriminator: makes netd, a `PixelCritic`, from (image_size, channels, width) and, by name,
    `classes`, `condition`, and `norm` where it has a choice.
    """

    sizes: tuple[int, ...] | None
    ups: tuple[str, ...]
    norms: tuple[str, ...]
    convs: tuple[int, ...]
    generator: Callable[..., nn.Module]
    discriminator: Callable[..., nn.Module]


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
    d_input: int | None = None
    classes: tuple[int, ...] = ()
    condition: str | None = None

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> "Spec":
        """Create a spec from a file's `as_dict`.

        Raises TypeError if it is not one, and RemovedError if it names something that this version
        can no longer build.
        """
        for name, default in REMOVED.items():
            if saved.get(name, default) != default:
                raise RemovedError(f"{name} {saved[name]} is no longer supported")
        saved = {name: value for name, value in saved.items() if name not in REMOVED}
        return cls(**{**saved, "classes": tuple(saved.get("classes", ()))})

    def as_dict(self) -> dict[str, Any]:
        """Return the spec as JSON-serialisable values."""
        return {**asdict(self), "classes": list(self.classes)}
