"""Weight files that describe themselves, and states that hold all a run needs to go on.

Files are read with `weights_only=True` and `map_location`: no code in them is ever run, and one
saved on CUDA loads without it.
"""

import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from animegan import models
from animegan.errors import UsageError, reason
from animegan.files import aside
from animegan.models import Spec, dcgan

FORMAT = 1
Kind = Literal["netg", "netd"]


@dataclass(frozen=True)
class LoadedNet:
    """A net read from a file, and what the file says of it."""

    net: nn.Module
    spec: Spec
    about: Mapping[str, Any]  # step, epoch, options; empty for a plain state dict


def save(content: Mapping[str, Any], path: Path) -> None:
    """Write aside, flush to the disk, then move into place. The folder has to be there."""
    with aside(path, sync=True) as half, half.open("wb") as file:
        torch.save(dict(content), file)


def load(path: str | Path, flag: str, device: torch.device | str = "cpu") -> Any:
    """What the file holds, its tensors on `device`.

    Raises UsageError naming `flag` for a file that is missing, truncated, foreign or holds code.
    """
    said = f"{flag} {path}"
    if Path(path).is_dir():
        raise UsageError(f"{said}: is a folder; name a file in it")
    try:
        with warnings.catch_warnings():  # of odd files torch warns before it refuses them
            warnings.simplefilter("ignore")
            return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"{said}: no such file; `python main.py runs` lists the runs") from None
    except OSError as error:
        raise UsageError(f"{said}: cannot be read ({reason(error)})") from None
    except Exception as error:  # a damaged pickle makes torch raise whatever its bytes ask for
        code = re.search(r"GLOBAL ([\w.]+)|class ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and code:
            raise UsageError(
                f"{said}: refused, since it asks to run code ({code[1] or code[2]}); "
                "save a plain state_dict() instead"
            ) from None
        raise UsageError(f"{said}: truncated, or no weight file of torch") from None


def save_net(
    path: Path, kind: Kind, weights: Mapping[str, Tensor], spec: Spec, about: Mapping[str, Any]
) -> None:
    """Write one net: weights on the CPU, with all that is needed to build it again."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    described = {"format": FORMAT, "kind": kind, "spec": spec.as_dict(), **about}
    save(described | {"weights": on_cpu}, path)


def load_net(path: str | Path, kind: Kind, device: torch.device | str = "cpu") -> LoadedNet:
    """Build the net that a file describes and fill it.

    Takes our own files and plain state dicts of the original textbook example, whose sizes are
    read off the shapes. Raises UsageError in one line for anything else.
    """
    flag = "--" + kind + "-path"
    content = load(path, flag)
    if not isinstance(content, dict):
        raise UsageError(f"{flag} {path}: holds a {type(content).__name__}, no weights")
    if isinstance(content.get("format"), int):
        spec, weights, about = _described(content, kind, f"{flag} {path}")
    else:
        spec, weights, about = _plain(content, kind, f"{flag} {path}")
    try:
        net = models.build_netg(spec) if kind == "netg" else models.build_netd(spec)
    except (TypeError, ValueError, RuntimeError) as error:
        why = reason(error, 100)
        raise UsageError(f"{flag} {path}: its net cannot be built ({why})") from None
    fill(net, weights, f"{flag} {path}")
    return LoadedNet(net.to(device), spec, about)


def fill(net: nn.Module, weights: Mapping[str, Tensor], said: str) -> None:
    """Load weights that must fit exactly, but for counters that old torch versions did not save."""
    counters = {
        name: torch.zeros((), dtype=torch.long)
        for name in net.state_dict()
        if name.endswith(".num_batches_tracked") and name not in weights
    }
    try:
        net.load_state_dict(OrderedDict({**weights, **counters}))
    except (RuntimeError, TypeError, AttributeError) as error:
        why = reason(error, 160, whole=True)
        raise UsageError(f"{said}: the weights do not fit the net ({why})") from None


def _described(content: dict[str, Any], kind: Kind, said: str) -> tuple[Spec, Any, dict[str, Any]]:
    if content["format"] != FORMAT:
        raise UsageError(
            f"{said}: written in format {content['format']}, this version reads {FORMAT}; "
            "use the animegan that wrote it"
        )
    if "trainer" in content:
        raise UsageError(
            f"{said}: is a state, for --resume; name a {kind}_*.pth in the folder above states/"
        )
    if content.get("kind") != kind:
        raise UsageError(
            f"{said}: holds a {content.get('kind')}, not a {kind}; swap the two paths?"
        )
    try:
        spec = Spec.read(content["spec"])
        weights = OrderedDict(content["weights"])
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{said}: does not describe its net; was it edited?") from None
    return spec, weights, {k: v for k, v in content.items() if k != "weights"}


def _plain(content: dict[str, Any], kind: Kind, said: str) -> tuple[Spec, Any, dict[str, Any]]:
    tensors = all(isinstance(one, Tensor) for one in content.values())
    sizes = dcgan.read_shapes(content) if tensors and content else None
    if sizes is None:
        raise UsageError(f"{said}: neither a file of this tool nor of the textbook's networks")
    found = "netd" if "ndf" in sizes else "netg"
    if found != kind:
        raise UsageError(f"{said}: holds a {found}, not a {kind}; swap the two paths?")
    return Spec.read(sizes), content, {}


def prune(files: list[Path], keep: int) -> None:
    """Delete all but the first `keep` files (they come newest first)."""
    for path in files[keep:]:
        path.unlink(missing_ok=True)


def load_first(paths: Sequence[Path], flag: str, say: Callable[[str], None]) -> Any:
    """The first state that can be read; one that cannot is named and passed over."""
    for k, path in enumerate(paths):
        try:
            state = load(path, flag)
            ours = isinstance(state, dict) and "trainer" in state
            if not ours or state.get("format") != FORMAT:
                raise UsageError(f"{flag} {path}: no state of this version")
            return state
        except UsageError as error:
            if k == len(paths) - 1:
                raise
            say(f"{error}; taking the one before it")
    raise AssertionError("no paths")
