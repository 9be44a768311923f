"""Weight files in the safetensors format, which holds tensors and text but never code.

The description of the network is JSON in the metadata's entry `animegan`, with the SHA-256 of the
tensors' bytes, because the format has no checksum of its own.
https://huggingface.co/docs/safetensors/index#format
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from animegan.core.files import aside
from animegan.runs.archive import MOST_PARTS, Damaged

MOST_HEADER = 2**24  # bytes of what describes the tensors; a large net has 2**16
ENTRY = "animegan"  # of the metadata


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as one of this format: a length, then JSON. Raises OSError."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def write(path: Path, weights: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write weights and their description atomically. The folder must exist."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    digest = hashlib.sha256(_data(safetensors.torch.save(tensors))).hexdigest()
    text = json.dumps({**description, "sha256": digest})
    content = safetensors.torch.save(tensors, {"format": "pt", ENTRY: text})
    with aside(path, sync=True) as half:
        half.write_bytes(content)


def read(path: Path) -> dict[str, Any]:
    """Return a file's description with its tensors as `weights`; without one, the tensors alone.

    They take no more memory than the file. Raises Damaged if it is not whole, OSError if it cannot
    be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            raise Damaged("truncated, or not a safetensors file")
        if length > MOST_HEADER:
            raise Damaged("describes its tensors at such length that it is no weight file")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise Damaged("damaged: its header cannot be read") from None
    if not isinstance(header, dict) or len(header) > MOST_PARTS:
        raise Damaged("damaged: its header cannot be read")
    content = path.read_bytes()
    try:
        weights = safetensors.torch.load(content)
    except Exception:  # the library's own error, or that of a number type that torch lacks
        raise Damaged("truncated, or not a safetensors file that torch can hold") from None
    about = _description(header.get("__metadata__"))
    if about is None:
        return weights
    if about.pop("sha256", None) != hashlib.sha256(_data(content)).hexdigest():
        raise Damaged(
            "damaged: the checksum of its weights is wrong; the disk or a copy changed it"
        )
    return {**about, "weights": weights}


def _description(metadata: Any) -> dict[str, Any] | None:
    """Return what `write` stored; None if another program wrote the file."""
    text = metadata.get(ENTRY) if isinstance(metadata, dict) else None
    if text is None:
        return None
    try:
        about = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise Damaged("does not describe its network; was it edited?")
    return about


def _data(content: bytes) -> memoryview:
    """Return a file's bytes after its header."""
    return memoryview(content)[8 + int.from_bytes(content[:8], "little") :]
