"""Smaller weights in an ONNX graph, which computes in float32 as before.

A runtime expands them once, when it loads the graph.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from animegan.core.optional import require

SMALLEST = 1024  # numbers in a tensor that is worth it


def compacted(model: Any, weights: str) -> bytes:
    """Return an ONNX model's file with weights in "float32" (as they are), "float16" or "int8".

    8-bit weights have one scale per channel: of the two first dimensions, along that which rounds
    less, since layers differ in which of them is the output.
    """
    onnx = require("onnx", "--to")
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    for tensor in model.graph.initializer if weights != "float32" else ():
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1 and values.size >= SMALLEST:
            smaller.graph.initializer.remove(tensor)
            parts = {"float16": _halves, "int8": _bytes}[weights](values)
            _add(onnx, smaller.graph, tensor.name, parts)
    return bytes(smaller.SerializeToString())


def _add(onnx: Any, graph: Any, name: str, parts: list[NDArray[Any]]) -> None:
    """Store `parts` in place of a tensor: numbers, and what to multiply them with, if anything."""
    names = [f"{name}.compact", f"{name}.scale"][: len(parts)]
    graph.initializer.extend(
        onnx.numpy_helper.from_array(part, part_name)
        for part, part_name in zip(parts, names, strict=True)
    )
    expanded = name if len(parts) == 1 else f"{name}.expanded"
    nodes = [onnx.helper.make_node("Cast", names[:1], [expanded], to=onnx.TensorProto.FLOAT)]
    if len(parts) > 1:
        nodes.append(onnx.helper.make_node("Mul", [expanded, names[1]], [name]))
    for node in reversed(nodes):
        graph.node.insert(0, node)


def _halves(values: NDArray[np.float32]) -> list[NDArray[Any]]:
    largest = np.finfo(np.float16).max
    return [values.clip(-largest, largest).astype(np.float16)]


def _bytes(values: NDArray[np.float32]) -> list[NDArray[Any]]:
    return min((_rounded(values, axis) for axis in (0, 1)), key=lambda pair: _error(values, pair))


def _rounded(values: NDArray[np.float32], channel: int) -> list[NDArray[Any]]:
    others = tuple(axis for axis in range(values.ndim) if axis != channel)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return [np.rint(values / scale).astype(np.int8), scale]


def _error(values: NDArray[np.float32], pair: list[NDArray[Any]]) -> float:
    return float(np.square(pair[0] * pair[1] - values).sum())
