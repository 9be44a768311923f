"""Generators as ONNX graphs: written by torch, compared with torch, weights made smaller.

Inputs: `noise` float32 [N, nz] ~ N(0, 1), and `labels` int64 [N, A] if the generator takes labels
(-1: unknown). Output: `pictures`. Truncation is a factor below 1 on the noise.
"""

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from animegan.core.optional import require
from animegan.exports.compact import compacted
from animegan.generation.candidates import Noise, labels_of
from animegan.models.fold import folded
from animegan.runs.checkpoint import LoadedNet
from animegan.runtime import modes

OPSET = 20
COMPARED = 64  # pictures ...
AT_ONCE = 16  # ... so many at once


class _Graph(nn.Module):
    """What the graph computes: noise [N, nz] and labels [N, A] -> pictures.

    uint8 [N, S, S, C] from 0 to 255 if `as_bytes`, else float32 [N, C, S, S] in [-1, 1].
    """

    def __init__(self, netg: nn.Module, as_bytes: bool) -> None:
        super().__init__()
        self.netg, self.as_bytes = netg, as_bytes

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        given = () if labels is None else (labels,)
        pictures: Tensor = self.netg(noise[:, :, None, None], *given).clamp(-1, 1)
        if not self.as_bytes:
            return pictures
        return pictures.add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


@dataclass(frozen=True)
class Difference:
    """How far a graph's pictures are from torch's, in grey levels (0 to 255)."""

    largest: float
    mean: float

    def __str__(self) -> str:
        return (
            f"largest difference from torch {self.largest:.3g} grey levels, mean {self.mean:.2g} "
            f"({COMPARED} pictures)"
        )


def require_onnx(flag: str) -> None:
    """Raise UsageError, beginning with `flag`, unless the packages of the extra are there."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        require(module, flag)


def graph_of(
    loaded: LoadedNet, path: str, weights: str, as_bytes: bool
) -> tuple[bytes, Difference]:
    """Return a generator's ONNX file, and how far its pictures are from torch's.

    weights: "float32", "float16" or "int8"; see `compacted`.
    path: of the weight file, for errors. Raises UsageError if it does not list its labels.
    """
    inputs = example_inputs(loaded, path)
    content = compacted(exported(loaded, inputs, as_bytes), weights)
    return content, compared(content, loaded, inputs, as_bytes)


def example_inputs(loaded: LoadedNet, path: str) -> dict[str, Tensor]:
    """Return the graph's inputs by name, for COMPARED pictures: the first candidates of seed 0."""
    numbers = range(COMPARED)
    labels = labels_of(loaded, None, path)
    inputs = {"noise": Noise(0, loaded.spec.nz)(numbers).flatten(1)}
    return inputs if labels is None else inputs | {"labels": labels(0, numbers)}


def exported(loaded: LoadedNet, inputs: dict[str, Tensor], as_bytes: bool) -> Any:
    """Return the generator as an ONNX model in float32; `inputs` are examples."""
    graph = _Graph(folded(loaded.net), as_bytes).eval()
    batch = torch.export.Dim("N")
    # the exporter prints its progress and warns about its own parts
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph, tuple(tensor[:2] for tensor in inputs.values()), dynamo=True,
            opset_version=OPSET, verbose=False, input_names=list(inputs),
            output_names=["pictures"], dynamic_shapes=tuple({0: batch} for _ in inputs),
        )  # fmt: skip
    assert program is not None  # which it is only with dynamo=False
    return program.model_proto


def compared(
    content: bytes, loaded: LoadedNet, inputs: dict[str, Tensor], as_bytes: bool
) -> Difference:
    """Run an ONNX file in onnxruntime, on this CPU, and compare its pictures with torch's."""
    runtime = require("onnxruntime", "--to")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    differences = []
    for start in range(0, COMPARED, AT_ONCE):
        some = {name: tensor[start : start + AT_ONCE] for name, tensor in inputs.items()}
        (drawn,) = session.run(None, {name: tensor.numpy() for name, tensor in some.items()})
        with modes.evaluating(loaded.net):
            expected = _Graph(loaded.net, as_bytes)(*some.values())
        differences.append((torch.from_numpy(drawn).double() - expected.double()).abs())
    apart = torch.cat(differences) * (1 if as_bytes else 127.5)
    return Difference(float(apart.max()), float(apart.mean()))
