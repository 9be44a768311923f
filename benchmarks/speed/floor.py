"""Lower bound of a step's time: its operations divided by the best rate of the machine.

Only convolutions count, with two operations per multiply-add; the rest of a step is bound by
memory. The rate is the best over large matrix products and the nets' own convolutions, each pass on
its own, contiguous and channels-last, over several tries.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def operations(work: Callable[[], object]) -> int:
    """Return the floating-point operations of `work`, including backward passes."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


@dataclass(frozen=True)
class Layer:
    """A convolution of a net and the shape of its input."""

    module: nn.Conv2d | nn.ConvTranspose2d
    inputs: torch.Size

    def __str__(self) -> str:
        one = self.module
        arrow = "up to" if isinstance(one, nn.ConvTranspose2d) else "to"
        side, kernel, stride = self.inputs[-1], one.kernel_size[0], one.stride[0]
        return f"{one.in_channels} {arrow} {one.out_channels}, {side} px, {kernel}/{stride}"


def layers_of(net: nn.Module, inputs: Tensor) -> list[Layer]:
    """Return the net's convolutions in order, with their input shapes for `inputs`."""
    found: list[Layer] = []
    hooks = [
        one.register_forward_hook(
            lambda module, given, made: found.append(Layer(module, given[0].shape))
        )
        for one in net.modules()
        if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)
    ]
    with torch.no_grad():
        net(inputs)
    for hook in hooks:
        hook.remove()
    return found


def passes(layer: Layer, memory: torch.memory_format) -> tuple[Callable[[], Any], ...]:
    """Return functions for the layer's forward pass and its gradients of inputs and weights."""
    one, transposed = layer.module, isinstance(layer.module, nn.ConvTranspose2d)
    inputs = torch.randn(layer.inputs).to(memory_format=memory)
    weight = one.weight.detach().clone(memory_format=memory)
    how: tuple[Any, ...] = (one.stride, one.padding, one.dilation, transposed,
                            one.output_padding, one.groups)  # fmt: skip
    forward = torch.ops.aten.convolution
    back = torch.ops.aten.convolution_backward
    gradient = torch.randn_like(forward(inputs, weight, None, *how))
    return (
        lambda: forward(inputs, weight, None, *how),
        lambda: back(gradient, inputs, weight, None, *how, [True, False, False]),
        lambda: back(gradient, inputs, weight, None, *how, [False, True, False]),
    )


def fastest(work: Callable[[], Any], seconds: float) -> float:
    """Return the shortest time of at least three tries within `seconds`, after a warm-up."""
    work()
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < seconds:
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def product_rate(size: int, seconds: float) -> float:
    """Return the operations per second of a float32 matrix product of size x size."""
    one, other = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / fastest(lambda: one @ other, seconds)


def convolution_rates(layer: Layer, memory: str, seconds: float) -> list[float]:
    """Return the operations per second of each of the three passes; `memory` is in FORMATS."""
    works = passes(layer, FORMATS[memory])
    return [operations(work) / fastest(work, seconds) for work in works]
