"""Describe a training run before it starts: nets, memory, steps, options and their sources."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from animegan import models
from animegan.config.config import OPTIONS
from animegan.config.derived import planned_steps, shares_fakes, spec_of
from animegan.core.program import command_line
from animegan.data.labels import Labels, sizes_of
from animegan.models import Spec
from animegan.training.step.schedule import Schedule

if TYPE_CHECKING:
    from animegan.config.config import Config


def describe(
    config: "Config",
    sources: Mapping[str, str],
    pictures: int,
    device: torch.device,
    where: str,
    processes: int = 1,
    labels: Labels | None = None,
) -> str:
    """Return the plan as several lines of text: what will be done first, then the options.

    Args:
        config: the run's options.
        sources: where each option that was set came from.
        pictures: number of training images.
        device: the training device.
        where: the run folder, as shown.
        processes: number of processes that share a batch.
        labels: labels of the training images, if any.
    """
    spec = spec_of(config, sizes_of(labels))
    netg, netd = _nets(spec)
    per_epoch = pictures // config.batch_size
    steps = planned_steps(config, per_epoch)
    rows = config.batch_size // processes
    keeps = shares_fakes(config) and config.accumulate == 1
    memory = _memory_of(netg, netd, spec.nz, rows // config.accumulate, bool(config.ema), keeps)
    others = [f"  processes   {processes}, each with {rows} pictures per batch"]
    lines = [
        "plan:",
        f"  pictures    {pictures:,}, {config.image_size}x{config.image_size}, "
        f"{'colour' if config.channels == 3 else 'grey'}",
        *_labelled(labels),
        f"  netg        {models.parameters_of(netg):,} parameters",
        f"  netd        {models.parameters_of(netd):,} parameters",
        f"  device      {device}, {torch.get_num_threads()} CPU threads",
        *(others if processes > 1 else ()),
        f"  memory      about {memory / 2**30:.2f} GiB per step, estimated from the shapes",
        f"  steps       {per_epoch:,} per epoch, {steps:,} in total",
        *_limited(config),
        *_scheduled(config, steps),
        f"  weights     {_files(config, netg, netd, steps / max(1, per_epoch))}",
        f"  run folder  {where}",
        f"`{command_line('doctor', config.data_path)}` checks the pictures for problems",
        "options:",
    ]
    names = [name for name, option in OPTIONS.items() if "train" in option.on]
    width = max(map(len, names))
    for name in names:
        source = sources.get(name, "default")
        lines.append(f"  {name:<{width}}  {getattr(config, name)!s:<24} {source}")
    return "\n".join(lines)


def _limited(config: "Config") -> list[str]:
    if config.max_minutes is None:
        return []
    return [f"  time        at most {config.max_minutes:g} minutes (--max-minutes)"]


def _files(config: "Config", netg: nn.Module, netd: nn.Module, epochs: float) -> str:
    """Describe how many weight files the run writes, and their total size."""
    pairs = int(epochs // config.save_every)
    size = 4 * sum(weight.numel() for net in (netg, netd) for weight in net.state_dict().values())
    every = f"a pair of files every {config.save_every:,} epochs (--save-every)"
    return f"{every}, {pairs:,} in total, {pairs * size / 1e9:.2f} GB" if pairs else "the last only"


def _scheduled(config: "Config", steps: int) -> list[str]:
    """Describe the values that change over the run; empty if none does."""
    schedule = Schedule(config, steps)
    last = max(1, round(schedule.end))
    values = {
        "lr1": lambda step: schedule.rate(config.lr1, step),
        "lr2": lambda step: schedule.rate(config.lr2, step),
        "beta2": schedule.beta2,
        "penalty weight": schedule.penalty,
    }
    moves = [
        f"{name} {at(0):g} -> {at(last):g}" for name, at in values.items() if at(0) != at(last)
    ]
    return [f"  schedule    {', '.join(moves)}, until step {last:,}"] if moves else []


def _labelled(labels: Labels | None) -> list[str]:
    if labels is None:
        return []
    pairs = zip(labels.attributes.names, labels.attributes.sizes, strict=True)
    sizes = ", ".join(f"{name} ({size} values)" for name, size in pairs)
    return [f"  labels      {sizes}; {labels.known:,} of {len(labels.rows):,} pictures labelled"]


def estimate_memory(
    spec: Spec, batch_size: int, averaged: bool = False, keeps: bool = False
) -> int:
    """Estimate the peak memory of a training step, in bytes.

    Counts weights, gradients, Adam's two moments, and the activations kept for the backward pass;
    the latter are summed over a forward pass on the meta device, which computes nothing.

    Args:
        spec: the nets.
        batch_size: images per step in this process.
        averaged: count a second generator with averaged weights (EMA).
        keeps: the graph of the fakes is kept while the discriminator is updated.
    """
    return _memory_of(*_nets(spec), spec.nz, batch_size, averaged, keeps)


def _nets(spec: Spec) -> tuple[nn.Module, nn.Module]:
    """Build both nets on the meta device, without allocating weights."""
    with torch.device("meta"):
        return models.build_netg(spec), models.build_netd(spec)


def _memory_of(
    netg: nn.Module, netd: nn.Module, nz: int, batch_size: int, averaged: bool, keeps: bool
) -> int:
    with torch.device("meta"):
        noise = torch.empty(batch_size, nz, 1, 1)
        fake, in_g = _activations(netg, noise)
        _, in_d = _activations(netd, fake)
    weights = sum(weight.numel() for net in (netg, netd) for weight in net.parameters())
    average = sum(weight.numel() for weight in netg.parameters()) if averaged else 0
    # netd's step keeps its graphs of reals and fakes; netg's step keeps those of both nets
    in_step_d = 2 * in_d + 2 * fake.numel() + (in_g if keeps else 0)
    kept = max(in_step_d, in_g + in_d)
    return 4 * (4 * weights + average + kept)


def _activations(net: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return the net's output and the number of values its leaf modules output on the way."""
    total = 0

    def count(module: nn.Module, args: object, output: torch.Tensor | list[torch.Tensor]) -> None:
        nonlocal total
        total += sum(tensor.numel() for tensor in ([output] if torch.is_tensor(output) else output))

    leaves = [module for module in net.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    output = net(inputs)
    for hook in hooks:
        hook.remove()
    return output, total
