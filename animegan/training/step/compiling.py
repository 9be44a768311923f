"""torch.compile for the training passes, and the cases in which it cannot be used."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call

from animegan import models
from animegan.config.derived import penalised
from animegan.runtime.device import Runtime

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)


def eager(config: "Config", netg: nn.Module, netd: nn.Module, on: Runtime) -> dict[str, str]:
    """Return why "netg" and "netd" cannot be compiled, by name; a network that can is left out."""
    found = {}
    for kind, net in (("netg", netg), ("netd", netd)):
        if on.device.type == "meta":
            found[kind] = "the meta device computes nothing"
        elif on.ranks.size > 1 and models.has_batch_norm(net):
            found[kind] = "its BatchNorm exchanges statistics between processes"
    if penalised(config):
        found["netd"] = "its gradient penalty needs second derivatives, which PyTorch refuses there"
    elif config.labels is not None and config.condition == "acgan":
        found["netd"] = "its acgan classifier is a second output"
    return found


def told(config: "Config", netg: nn.Module, netd: nn.Module, on: Runtime) -> str:
    """Describe in one line which networks will be compiled, and why the others will not."""
    why = eager(config, netg, netd, on)
    return "; ".join(
        f"{kind} eager ({why[kind]})" if kind in why else f"{kind} compiled"
        for kind in ("netg", "netd")
    )


class Passes:
    """Forward passes of the training steps, compiled if requested and possible.

    They are computed in the run's precision; outputs are float32.
    """

    def __init__(
        self,
        config: "Config",
        netg: nn.Module,
        netd: nn.Module,
        on: Runtime,
    ) -> None:
        why = eager(config, netg, netd, on)
        nets = {"netg": netg, "netd": netd} if config.compile else {}
        self.compiled = {net: compiled(net) for kind, net in nets.items() if kind not in why}
        self._on = on

    def __call__(self, net: nn.Module, *inputs: Tensor) -> Tensor:
        """Return net(*inputs) as float32."""
        with self._on.lowered():
            output: Tensor = self.compiled.get(net, net)(*inputs)
        return output.float() if self._on.bf16 else output

    def give_up(self, error: BaseException) -> bool:
        """Disable compilation if `error` came from the compiler; return whether it did."""
        if not (self.compiled and is_failure(error)):
            return False
        logger.info(f"{failed(error)}; training continues without it")
        self.compiled = {}
        return True


def compiled(net: nn.Module) -> Callable[..., Tensor]:
    """Return the network's forward pass, compiled on first use for each shape of its inputs.

    The module, its parameter names and its copies are unaffected; buffers are written in place. The
    weights are passed as inputs, so that a graph traced while they needed no gradients is never
    reused when they do: for a module's own weights torch only guards the dict that holds them, not
    the tensors.
    """

    def forward(weights: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
        output: Tensor = functional_call(net, weights, inputs)
        return output

    # torch limits the number of graphs per code object, so each network gets its own
    forward.__code__ = forward.__code__.replace()
    graph = torch.compile(forward, fullgraph=True, dynamic=False)
    return lambda *inputs: graph(dict(net.named_parameters()), inputs)


def is_failure(error: BaseException) -> bool:
    """Return whether the compiler failed (not installed, or unable to compile), not the network."""
    parts = ("torch._dynamo", "torch._inductor", "torch._functorch")
    # a graph overwrote a buffer that another graph still needs for its backward pass; the networks
    # themselves never do that
    overwritten = "modified by an inplace operation" in str(error)
    return type(error).__module__.startswith(parts) or overwritten


def failed(error: BaseException) -> str:
    """Describe a compiler failure in one line."""
    cause = getattr(error, "inner_exception", error)
    told = next((line for line in str(cause).splitlines() if line.strip()), "no reason given")
    return f"--compile: failed ({type(cause).__name__}: {told.strip()[:120]})"
