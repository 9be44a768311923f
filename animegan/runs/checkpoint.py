"""Self-describing weight files, and states with everything needed to resume a run.

Files of torch are read with `weights_only=True` and `map_location`, so that no code in them is ever
run and files saved on CUDA load without it. Weight files may also be safetensors files.
"""

import logging
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from animegan import models
from animegan.core.errors import UsageError, reason
from animegan.core.files import aside
from animegan.core.program import command_line
from animegan.data.labels import Attributes
from animegan.models import Spec, dcgan
from animegan.models.spec import RemovedError
from animegan.runs import archive, safetensors_file

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
    """Return the content of a file of torch, with its tensors on `device`.

    Those of a safetensors file are on the CPU.

    Raises UsageError, naming `flag`, if the file is missing, damaged, foreign, contains code or
    would need far more memory than its size.
    """
    path, where = Path(path), f"{flag} {path}"
    if path.is_dir():
        raise UsageError(f"{where}: is a folder; give a file in it")
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{where}: is not a regular file; give a weight file")
        if safetensors_file.is_safetensors(path):
            content = safetensors_file.read(path)
        else:
            archive.verify(path)
            with warnings.catch_warnings():  # torch warns about odd files before it refuses them
                warnings.simplefilter("ignore")
                content = torch.load(path, map_location=device, weights_only=True)
        archive.verify_content(content, path.stat().st_size)
    except UsageError:
        raise
    except FileNotFoundError:
        raise UsageError(
            f"{where}: no such file; `{command_line('runs')}` lists the runs"
        ) from None
    except OSError as error:
        raise UsageError(f"{where}: cannot be read ({reason(error)})") from None
    except archive.Damaged as error:
        raise UsageError(f"{where}: {error}") from None
    except Exception as error:  # a damaged pickle can make torch raise almost anything
        code = re.search(r"GLOBAL ([\w.]+)|class ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and code:
            raise UsageError(
                f"{where}: refused, because it would run code ({code[1] or code[2]}); "
                "save a plain state_dict() instead"
            ) from None
        raise UsageError(f"{where}: truncated, or not a torch weight file") from None
    return content


def save_net(
    path: Path, kind: Kind, weights: Mapping[str, Tensor], spec: Spec, about: Mapping[str, Any]
) -> None:
    """Write one network: its weights, moved to the CPU, and everything needed to rebuild it."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    described = {"format": FORMAT, "kind": kind, "spec": spec.as_dict(), **about}
    save(described | {"weights": on_cpu}, path)


def save_safetensors(path: Path, loaded: LoadedNet, half: bool = False) -> None:
    """Write a generator as a safetensors file, which `load_net` reads.

    half: weights in float16, for half the size. Vectors, such as the statistics of BatchNorm, keep
    float32: they are small, and their range is not. Raises UsageError for weights that float16
    cannot hold. The folder must exist.
    """
    weights = dict(loaded.net.state_dict())
    if half:
        weights = {
            name: tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
            for name, tensor in weights.items()
        }
        if name := archive.not_finite(weights):
            raise UsageError(f"--half: the weights {name} are too large for float16; leave it out")
    described = {"format": FORMAT, "kind": "netg", **loaded.about, "spec": loaded.spec.as_dict()}
    safetensors_file.write(path, weights, described)


def load_net(path: str | Path, kind: Kind, device: torch.device | str = "cpu") -> LoadedNet:
    """Build the network that a file describes, and load its weights.

    Accepts files of this tool, and plain state dicts of the original textbook example, whose sizes
    are inferred from the tensors' shapes, also if others have wrapped them; see
    `archive.unwrapped`. Raises UsageError for anything else. No memory is taken for a network
    before its shapes are known to be those of the file.
    """
    where = f"--{kind}-path {path}"
    content = load(path, f"--{kind}-path")
    if not isinstance(content, dict):
        raise UsageError(f"{where}: contains a {type(content).__name__}, not weights")
    if isinstance(content.get("format"), int):
        spec, weights, about = _described(content, kind, where)
    else:
        spec, weights, about = _plain(content, kind, where)
    if name := archive.not_finite(weights):
        raise UsageError(f"{where}: its {name} is not finite (NaN or infinity); use an older file")
    build = models.build_netg if kind == "netg" else models.build_netd
    try:
        with torch.device("meta"):
            shapes = build(spec)
        with warnings.catch_warnings():  # that nothing is copied, which is the purpose
            warnings.simplefilter("ignore")
            fill(shapes, weights, where)
        net = build(spec)
    except UsageError:
        raise
    except Exception as error:  # whatever the numbers of a file from anywhere do to a constructor
        why = reason(error, 100)
        raise UsageError(f"{where}: its network cannot be built ({why})") from None
    fill(net, weights, where)
    return LoadedNet(net.to(device), spec, about)


def fill(net: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Load weights, which must fit exactly except for counters that old torch did not save.

    Raises UsageError, beginning with `where`, if they do not.
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
        raise UsageError(f"{where}: the weights do not fit the network ({why})") from None


def _described(content: dict[str, Any], kind: Kind, where: str) -> tuple[Spec, Any, dict[str, Any]]:
    if content["format"] != FORMAT:
        raise UsageError(
            f"{where}: has format {content['format']}, but this version reads {FORMAT}; "
            "use the version of animegan that wrote it"
        )
    if "trainer" in content:
        raise UsageError(
            f"{where}: is a state, for --resume; use a {kind}_*.pth in the folder above states/"
        )
    if content.get("kind") != kind:
        raise UsageError(
            f"{where}: contains a {content.get('kind')}, not a {kind}; are the two paths swapped?"
        )
    try:
        spec = _spec(content["spec"])
        weights = archive.unwrapped(dict(content["weights"]), kind)
        about = {name: value for name, value in content.items() if name != "weights"}
        _check_about(about)
    except RemovedError as error:
        raise UsageError(f"{where}: {error}; use the version that wrote it") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(f"{where}: does not describe its network; was it edited?") from None
    if spec.net not in models.FAMILIES:
        known = ", ".join(models.FAMILIES)
        raise UsageError(
            f"{where}: its network is a {spec.net[:40]}, which this version does not know (it has "
            f"{known}); use the version of animegan that wrote it"
        )
    return spec, weights, about


MOST_SIDE = 8192  # pixels
MOST_ATTRIBUTES = 1000


def _spec(saved: Mapping[str, Any]) -> Spec:
    """Read a Spec; TypeError or ValueError unless each field has its type and a sane value."""
    spec = Spec.read(saved)
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.name == "classes":
            fits = len(value) <= MOST_ATTRIBUTES and all(_is_count(number) for number in value)
        elif isinstance(field.default, str) or field.name in ("up", "d_norm", "d_features",
                                                              "condition"):  # fmt: skip
            fits = isinstance(value, str) or (value is None and field.default is None)
        else:
            fits = _is_count(value) or (value is None and field.default is None)
        if not fits:
            raise TypeError(field.name)
    if max(spec.image_size, spec.d_input or 0) > MOST_SIDE or spec.channels not in (1, 3):
        raise ValueError("image_size, d_input or channels")
    return spec


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _check_about(about: Mapping[str, Any]) -> None:
    """Raise TypeError, KeyError or ValueError unless options and labels have their form."""
    for name, value in about.get("options", {}).items():
        plain = value is None or isinstance(value, str | int | float | bool | list | tuple)
        if not isinstance(name, str) or not plain or (isinstance(value, str) and "\0" in value):
            raise TypeError(name)
    if about.get("labels") is not None:
        attributes = Attributes.read(about["labels"])
        texts = [*attributes.names, *(text for values in attributes.values for text in values)]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("labels")


def _plain(content: dict[str, Any], kind: Kind, where: str) -> tuple[Spec, Any, dict[str, Any]]:
    weights = archive.unwrapped(content, kind)
    named = all(
        isinstance(name, str) and isinstance(weight, Tensor) for name, weight in weights.items()
    )
    sizes = dcgan.read_shapes(weights) if named and weights else None
    if sizes is None:
        names = ", ".join(str(name)[:40] for name in list(weights)[:3]) or "nothing"
        raise UsageError(
            f"{where}: not a weight file of this tool or of the textbook example, with names like "
            f"main.0.weight (it holds {names})"
        )
    stored: Kind = "netd" if "ndf" in sizes else "netg"
    if stored != kind:
        raise UsageError(f"{where}: contains a {stored}, not a {kind}; are the two paths swapped?")
    return Spec.read(sizes), weights, {}


def prune(files: list[Path], keep: int) -> None:
    """Delete all but the first `keep` of the files, which are ordered newest first."""
    for path in files[keep:]:
        path.unlink(missing_ok=True)


def load_first(paths: Sequence[Path], flag: str) -> Any:
    """Return the first state that is whole, reporting each that is not.

    Those before it are newer and could not be read, perhaps only for now: they are kept under
    another name, which a resumed run does not write again. Raises UsageError if none is whole.
    """
    for k, path in enumerate(paths):
        try:
            state = load_state(path, flag)
        except UsageError as error:
            if k == len(paths) - 1:
                raise
            logger.info(f"{error}; trying the previous one")
            continue
        for unread in paths[:k]:
            kept = unread.with_name(f"{unread.name}{UNREAD}")
            with suppress(OSError):
                unread.replace(kept)
                logger.info(f"{kept}: kept, in case it can be repaired")
        return state
    raise AssertionError("no paths")


UNREAD = ".unread"  # behind the name of a state that was not whole when it was to be resumed


def load_state(path: Path, flag: str) -> Any:
    """Return a state, which is whole and from the step that its name says.

    Raises UsageError if it is damaged, of another version or not finite.
    """
    state: dict[str, Any] = load(path, flag)
    trainer = state.get("trainer") if isinstance(state, dict) else None
    if not isinstance(trainer, dict):
        raise UsageError(f"{flag} {path}: not a state file of this version")
    if state.get("format") != FORMAT:
        raise UsageError(
            f"{flag} {path}: not a state file of this version: it has format "
            f"{reason(ValueError(state.get('format')), 20)}, this version reads {FORMAT}"
        )
    step, named = trainer.get("step"), re.fullmatch(r"state_(\d+)", path.stem)
    if not isinstance(step, int) or (named and int(named[1]) != step):
        raise UsageError(
            f"{flag} {path}: damaged: it is of step {reason(ValueError(step), 20)}, not of the one "
            "in its name"
        )
    for net in ("netg", "netd"):
        if isinstance(trainer.get(net), dict) and (name := archive.not_finite(trainer[net])):
            raise UsageError(f"{flag} {path}: the {name} of its {net} is not finite")
    return state
