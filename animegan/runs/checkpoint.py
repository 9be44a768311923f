"""Self-describing weight files, and states with everything needed to resume a run.

Files are read with `weights_only=True` and `map_location`, so that no code in them is ever run and
files saved on CUDA load without it.
"""

import logging
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from animegan import models
from animegan.core.errors import UsageError, reason
from animegan.core.files import aside
from animegan.models import Spec, dcgan

logger = logging.getLogger(__name__)

FORMAT = 1
Kind = Literal["netg", "netd"]


@dataclass(frozen=True)
class LoadedNet:
    """A network loaded from a file, with the file's metadata."""

    net: nn.Module
    spec: Spec
    about: Mapping[str, Any]  # step, epoch, options; empty for a plain state dict


def save(content: Mapping[str, Any], path: Path) -> None:
    """Write a file atomically and flush it to the disk. The folder must exist."""
    with aside(path, sync=True) as half:
        try:
            with half.open("wb") as file:
                torch.save(dict(content), file)
        except RuntimeError as error:
            cause = error.__context__
            while cause is not None and not isinstance(cause, OSError):
                cause = cause.__context__
            if cause is None:
                raise
            raise cause from None  # torch's zip writer hides a full disk behind its own error


def load(path: str | Path, flag: str, device: torch.device | str = "cpu") -> Any:
    """Return the content of a file, with its tensors on `device`.

    Raises UsageError, naming `flag`, if the file is missing, truncated, foreign or contains code.
    """
    said = f"{flag} {path}"
    if Path(path).is_dir():
        raise UsageError(f"{said}: is a folder; give a file in it")
    try:
        with warnings.catch_warnings():  # torch warns about odd files before it refuses them
            warnings.simplefilter("ignore")
            return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"{said}: no such file; `python main.py runs` lists the runs") from None
    except OSError as error:
        raise UsageError(f"{said}: cannot be read ({reason(error)})") from None
    except Exception as error:  # a damaged pickle can make torch raise almost anything
        code = re.search(r"GLOBAL ([\w.]+)|class ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and code:
            raise UsageError(
                f"{said}: refused, because it would run code ({code[1] or code[2]}); "
                "save a plain state_dict() instead"
            ) from None
        raise UsageError(f"{said}: truncated, or not a torch weight file") from None


def save_net(
    path: Path, kind: Kind, weights: Mapping[str, Tensor], spec: Spec, about: Mapping[str, Any]
) -> None:
    """Write one network: its weights, moved to the CPU, and everything needed to rebuild it."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    described = {"format": FORMAT, "kind": kind, "spec": spec.as_dict(), **about}
    save(described | {"weights": on_cpu}, path)


def load_net(path: str | Path, kind: Kind, device: torch.device | str = "cpu") -> LoadedNet:
    """Build the network that a file describes, and load its weights.

    Accepts files of this tool, and plain state dicts of the original textbook example, whose sizes
    are inferred from the tensors' shapes. Raises UsageError for anything else.
    """
    flag = "--" + kind + "-path"
    content = load(path, flag)
    if not isinstance(content, dict):
        raise UsageError(f"{flag} {path}: contains a {type(content).__name__}, not weights")
    if isinstance(content.get("format"), int):
        spec, weights, about = _described(content, kind, f"{flag} {path}")
    else:
        spec, weights, about = _plain(content, kind, f"{flag} {path}")
    try:
        net = models.build_netg(spec) if kind == "netg" else models.build_netd(spec)
    except (TypeError, ValueError, RuntimeError) as error:
        why = reason(error, 100)
        raise UsageError(f"{flag} {path}: its network cannot be built ({why})") from None
    fill(net, weights, f"{flag} {path}")
    return LoadedNet(net.to(device), spec, about)


def fill(net: nn.Module, weights: Mapping[str, Tensor], said: str) -> None:
    """Load weights, which must fit exactly except for counters that old torch did not save.

    Raises UsageError, beginning with `said`, if they do not.
    """
    counters = {
        name: torch.zeros((), dtype=torch.long)
        for name in net.state_dict()
        if name.endswith(".num_batches_tracked") and name not in weights
    }
    try:
        net.load_state_dict(OrderedDict({**weights, **counters}))
    except (RuntimeError, TypeError, AttributeError) as error:
        why = reason(error, 160, whole=True)
        raise UsageError(f"{said}: the weights do not fit the network ({why})") from None


def _described(content: dict[str, Any], kind: Kind, said: str) -> tuple[Spec, Any, dict[str, Any]]:
    if content["format"] != FORMAT:
        raise UsageError(
            f"{said}: has format {content['format']}, but this version reads {FORMAT}; "
            "use the version of animegan that wrote it"
        )
    if "trainer" in content:
        raise UsageError(
            f"{said}: is a state, for --resume; use a {kind}_*.pth in the folder above states/"
        )
    if content.get("kind") != kind:
        raise UsageError(
            f"{said}: contains a {content.get('kind')}, not a {kind}; are the two paths swapped?"
        )
    try:
        spec = Spec.read(content["spec"])
    except ValueError as error:
        raise UsageError(f"{said}: {error}; use the version that wrote it") from None
    except (KeyError, TypeError):
        raise UsageError(f"{said}: does not describe its network; was it edited?") from None
    try:
        weights = OrderedDict(content["weights"])
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{said}: does not describe its network; was it edited?") from None
    return spec, weights, {k: v for k, v in content.items() if k != "weights"}


def _plain(content: dict[str, Any], kind: Kind, said: str) -> tuple[Spec, Any, dict[str, Any]]:
    tensors = all(isinstance(one, Tensor) for one in content.values())
    sizes = dcgan.read_shapes(content) if tensors and content else None
    if sizes is None:
        raise UsageError(f"{said}: not a weight file of this tool or of the textbook example")
    found = "netd" if "ndf" in sizes else "netg"
    if found != kind:
        raise UsageError(f"{said}: contains a {found}, not a {kind}; are the two paths swapped?")
    return Spec.read(sizes), content, {}


def prune(files: list[Path], keep: int) -> None:
    """Delete all but the first `keep` of the files, which are ordered newest first."""
    for path in files[keep:]:
        path.unlink(missing_ok=True)


def load_first(paths: Sequence[Path], flag: str) -> Any:
    """Return the first state that can be read, reporting each that cannot.

    Raises UsageError if none can be read.
    """
    for k, path in enumerate(paths):
        try:
            state = load(path, flag)
            ours = isinstance(state, dict) and "trainer" in state
            if not ours or state.get("format") != FORMAT:
                raise UsageError(f"{flag} {path}: not a state file of this version")
            return state
        except UsageError as error:
            if k == len(paths) - 1:
                raise
            logger.info(f"{error}; trying the previous one")
    raise AssertionError("no paths")
