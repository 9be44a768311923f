"""Rank candidates and keep the best: `generate` compared with the example's single batch.

    python -m benchmarks.speed.generating [--search 5000] [--keep 64] [--rounds 3]

The example draws and scores all candidates in one batch, and writes a sheet of the best. The nets
are untrained DCGANs of 96 px whose BatchNorm has seen some batches. Memory is the peak of a
separate process above its usage before drawing. Prints Markdown.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torchvision.utils import save_image

from animegan import models
from animegan.config.resolve import resolve
from animegan.generation import generate
from animegan.generation.request import request_of
from animegan.models import Spec
from animegan.runs import checkpoint
from benchmarks.harness import command
from benchmarks.harness.memory import in_child, megabytes
from benchmarks.harness.ratio import in_turn, ratio
from benchmarks.harness.training import commit

CPU = torch.device("cpu")
SIDES = ("one batch", "animegan")


def nets(spec: Spec) -> tuple[nn.Module, nn.Module]:
    """Return nets with random weights and running statistics of ten batches, in eval mode."""
    torch.manual_seed(0)
    netg, netd = models.build_netg(spec), models.build_netd(spec)
    with torch.no_grad():
        for _ in range(10):
            netd(netg(torch.randn(16, spec.nz, 1, 1)))
    return netg.eval(), netd.eval()


def save_nets(spec: Spec, folder: Path) -> None:
    """Write netg.pth and netd.pth in the format of a training."""
    for kind, net in zip(("netg", "netd"), nets(spec), strict=True):
        checkpoint.save_net(folder / f"{kind}.pth", kind, net.state_dict(), spec, {})  # type: ignore[arg-type]


def one_batch(folder: Path, search: int, keep: int) -> None:
    """Run the example's method, with all candidates in memory at once."""
    netg = checkpoint.load_net(folder / "netg.pth", "netg")
    netd = checkpoint.load_net(folder / "netd.pth", "netd")
    with torch.no_grad():
        noise = torch.randn(search, netg.spec.nz, 1, 1)
        pictures = netg.net.eval()(noise)
        scores = netd.net.eval()(pictures)
        best = scores.topk(keep)[1]
        save_image(pictures[best], folder / "one.png", normalize=True, value_range=(-1, 1))


def ours(folder: Path, search: int, keep: int) -> None:
    """Run the `generate` command in this process."""
    flags = {
        "netg_path": folder / "netg.pth", "netd_path": folder / "netd.pth", "gpu": "false",
        "gen_search_num": search, "gen_num": keep, "gen_img": folder / "ours.png",
    }  # fmt: skip
    config, _ = resolve("generate", {name: str(value) for name, value in flags.items()})
    generate.generate(config, request_of(config))


def run(side: str, folder: Path, search: int, keep: int) -> None:
    """Run one of SIDES."""
    (one_batch if side == "one batch" else ours)(folder, search, keep)


def _measure(side: str, folder: Path, search: int, keep: int, threads: int) -> float:
    torch.set_num_threads(threads)
    run(side, folder, 2, 1)
    before = megabytes("VmHWM")
    run(side, folder, search, keep)
    return megabytes("VmHWM") - before


def memory(side: str, folder: Path, search: int, keep: int, threads: int) -> float:
    """Return the MB that the search adds to the peak of a process that drew two candidates."""
    added: float = in_child(_measure, side, folder, search, keep, threads)
    return added


def table(spec: Spec, search: int, keep: int, rounds: int, threads: int) -> str:
    """Measure time (in turn) and memory of both sides; return Markdown."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_nets(spec, folder)
        taken = {side: memory(side, folder, search, keep, threads) for side in SIDES}
        few = memory("one batch", folder, min(search, 256), min(keep, 64), threads)
        sides: dict[str, Callable[[], object]] = {
            side: partial(run, side, folder, search, keep) for side in SIDES
        }
        for side in SIDES:
            run(side, folder, 64, 1)
        seconds = in_turn(sides, rounds)
    lines = [
        f"{keep} of {search:,} candidates, {spec.net} of {spec.image_size} px, widths {spec.ngf}, "
        f"{threads} threads, {rounds} rounds, torch {torch.__version__}, commit {commit()}",
        "",
        "| side | seconds, median | ratio to one batch (spread) | peak memory, MB |",
        "|---|---|---|---|",
    ]
    for side in SIDES:
        share = ratio(seconds[side], seconds["one batch"])
        lines.append(f"| {side} | {median(seconds[side]):.1f} | {share} | {taken[side]:,.0f} |")
    lines += ["", f"One batch of {min(search, 256)} candidates takes {few:,.0f} MB."]
    return "\n".join(lines)


def main(*, search: int = 5000, keep: int = 64, rounds: int = 3, threads: int = 2) -> None:
    """Print the table."""
    print(table(Spec(), search, keep, rounds, threads))


if __name__ == "__main__":
    command.run(main)
