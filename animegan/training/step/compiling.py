"""torch.compile for the training passes, and the cases in which it cannot be used."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from animegan import models
from animegan.config.derived import penalised
from animegan.models.conditioning import Critic, Features, reuses_look
from animegan.runtime.device import Runtime

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)


def eager(config: "Config", netg: nn.Module, netd: nn.Module, runtime: Runtime) -> dict[str, str]:
    """Return why "netg" and "netd" cannot be compiled, by name; a network that can is left out."""
    reasons = {}
    for kind, net in (("netg", netg), ("netd", netd)):
        if runtime.device.type == "meta":
            reasons[kind] = "the meta device computes nothing"
        elif runtime.group.size > 1 and models.has_batch_norm(net):
            reasons[kind] = "its BatchNorm exchanges statistics between processes"
    if penalised(config):
        reasons["netd"] = (
            "its gradient penalty needs second derivatives, which PyTorch refuses there"
        )
    elif config.labels is not None and config.condition == "acgan":
        reasons["netd"] = "its acgan classifier is a second output"
    return reasons


def describe(config: "Config", netg: nn.Module, netd: nn.Module, runtime: Runtime) -> str:
    """Describe in one line which networks will be compiled, and why the others will not."""
    why = eager(config, netg, netd, runtime)
    return "; ".join(
        f"{kind} eager ({why[kind]})" if kind in why else f"{kind} compiled"
        for kind in ("netg", "netd")
    )


class Passes:
    """Forward passes of the training steps, compiled if requested and possible.

    They are computed in the run's precision; outputs are float32.
    """

    def __init__(self, config: "Config", nets: Mapping[str, nn.Module], runtime: Runtime) -> None:
        why = eager(config, nets["netg"], nets["netd"], runtime)
        self.compiled = {
            kind: compiled(net) for kind, net in nets.items() if config.compile and kind not in why
        }
        self._nets = nets
        self._runtime = runtime

    def generate(self, noise: Tensor, labels: Tensor | None) -> Tensor:
        """Return netg's images [B, C, S, S] of noise [B, nz, 1, 1]."""
        netg = self.compiled.get("netg", self._nets["netg"])
        with self._runtime.lowered():
            images: Tensor = netg(*_given(noise, labels))
        return self._float(images)

    @property
    def looks_apart(self) -> bool:
        """Whether netd's `look` is called apart from `decide`: if its result is worth keeping."""
        return "netd" not in self.compiled and reuses_look(self._nets["netd"])

    def look(self, images: Tensor) -> Features:
        """Return what netd's `look` makes of images; the images if it looks as it decides."""
        if not self.looks_apart:
            return images
        with self._runtime.lowered():
            features: Features = self._netd().look(images)
        return features

    def decide(self, features: Features, labels: Tensor | None) -> Tensor:
        """Return netd's logits, [B] or [B, H], of what `look` returned."""
        whole = self.compiled.get("netd", self._netd())
        netd = self._netd().decide if self.looks_apart else whole
        with self._runtime.lowered():
            logits: Tensor = netd(*_given(features, labels))
        return self._float(logits)

    def judge(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return netd's logits and class logits [B, sum(classes)]; "acgan" only."""
        with self._runtime.lowered():
            logits, class_logits = self._netd().judge(features)
        return self._float(logits), self._float(class_logits)

    def _netd(self) -> Critic:
        return cast(Critic, self._nets["netd"])

    def _float(self, output: Tensor) -> Tensor:
        return output.float() if self._runtime.bf16 else output

    def give_up(self, error: BaseException) -> bool:
        """Disable compilation if `error` came from the compiler; return whether it did."""
        if not (self.compiled and is_failure(error)):
            return False
        logger.info(f"{failed(error)}; training continues without it")
        self.compiled = {}
        return True


def _given(inputs: Features, labels: Tensor | None) -> tuple[Any, ...]:
    """Return a net's arguments: labels only if there are some."""
    return (inputs,) if labels is None else (inputs, labels)


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
    first_line = next((line for line in str(cause).splitlines() if line.strip()), "no reason given")
    return f"--compile: failed ({type(cause).__name__}: {first_line.strip()[:120]})"
