"""torch.compile for the nets' training passes, and which of them cannot be compiled."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call

from animegan import models
from animegan.runtime import Runtime

if TYPE_CHECKING:
    from config import Config


def eager(config: "Config", netg: nn.Module, netd: nn.Module, on: Runtime) -> dict[str, str]:
    """Why netg, netd or both are not compiled, by name; empty where both can be."""
    found = {}
    for kind, net in (("netg", netg), ("netd", netd)):
        if on.device.type == "meta":
            found[kind] = "the meta device computes nothing"
        elif on.ranks.size > 1 and models.has_batch_norm(net):
            found[kind] = "its BatchNorm exchanges statistics between processes"
    if models.penalised(config):
        found["netd"] = "its gradient penalty needs second derivatives, which PyTorch refuses there"
    elif config.labels is not None and config.condition == "acgan":
        found["netd"] = "it names labels beside judging"
    return found


def told(config: "Config", netg: nn.Module, netd: nn.Module, on: Runtime) -> str:
    """Which nets will be compiled, in one line."""
    why = eager(config, netg, netd, on)
    return "; ".join(
        f"{kind} eager ({why[kind]})" if kind in why else f"{kind} compiled"
        for kind in ("netg", "netd")
    )


class Passes:
    """Forward passes of the training steps: compiled where that is asked for and can be, outputs
    float32, computed in the run's precision.
    """

    def __init__(
        self,
        config: "Config",
        netg: nn.Module,
        netd: nn.Module,
        on: Runtime,
        say: Callable[[str], None],
    ) -> None:
        why = eager(config, netg, netd, on)
        nets = {"netg": netg, "netd": netd} if config.compile else {}
        self.compiled = {net: compiled(net) for kind, net in nets.items() if kind not in why}
        self._on = on
        self._say = say

    def __call__(self, net: nn.Module, *inputs: Tensor) -> Tensor:
        with self._on.lowered():
            output: Tensor = self.compiled.get(net, net)(*inputs)
        return output.float() if self._on.bf16 else output

    def give_up(self, error: BaseException) -> bool:
        """Whether it was the compiler that failed; if so that is told and it is done without."""
        if not (self.compiled and is_failure(error)):
            return False
        self._say(f"{failed(error)}; training goes on without it")
        self.compiled = {}
        return True


def compiled(net: nn.Module) -> Callable[..., Tensor]:
    """The net's forward pass, compiled at its first calls; each shape of its inputs apart.

    The module, its names and its copies stay as they are, and its buffers are written in place. The
    weights are handed over at each call, so that a graph which was traced while they took no
    gradients is never used when they do: of those in a module, torch checks the dict that holds
    them, not the tensors.
    """

    def forward(weights: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
        output: Tensor = functional_call(net, weights, inputs)
        return output

    # graphs are counted, and from a limit on refused, by code object: each net has its own
    forward.__code__ = forward.__code__.replace()
    graph = torch.compile(forward, fullgraph=True, dynamic=False)
    return lambda *inputs: graph(dict(net.named_parameters()), inputs)


def is_failure(error: BaseException) -> bool:
    """Whether the compiler, not the net, failed: none is installed, or it refuses the graph."""
    parts = ("torch._dynamo", "torch._inductor", "torch._functorch")
    # a graph that writes to a buffer which another, not yet gone back through, has kept; the nets
    # themselves never do
    overwritten = "modified by an inplace operation" in str(error)
    return type(error).__module__.startswith(parts) or overwritten


def failed(error: BaseException) -> str:
    """What happened, in one line."""
    cause = getattr(error, "inner_exception", error)
    told = next((line for line in str(cause).splitlines() if line.strip()), "no reason given")
    return f"--compile: failed ({type(cause).__name__}: {told.strip()[:120]})"
