"""A time model of training, checked against small runs, and its predictions for a large one.

    python -m benchmarks.speed.scale sizes                    # check the time of other image sizes
    python -m benchmarks.speed.scale processes                # check the time of two processes
    python -m benchmarks.speed.scale large --rate 20e9 --latency 3e-4 --bandwidth 1e9

The model: a step takes

    time = F B / (N r) + sum over its exchanges (a + 2 (N - 1) / N * bytes / w)

where F is the number of floating-point operations per image (both updates, counted by torch on the
meta device), B the batch size, N the number of processes, r their operations per second, a the
latency of a ring all-reduce, and w its bandwidth in bytes per second. `sizes` measures r at 96 px
and predicts other sizes. `processes` measures a, w and two processes that do not communicate, and
predicts two that do. `large` uses the given values.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist

from animegan import models
from animegan.config.config import Config
from animegan.config.derived import shares_fakes, spec_of
from animegan.runtime.device import Runtime
from animegan.training import plan
from animegan.training.step.gan_trainer import GanTrainer
from animegan.training.throughput import noise_set
from benchmarks.harness.command import run
from benchmarks.harness.training import NO_AIDS, TEXTBOOK, config_of, trainer_of
from benchmarks.speed import floor
from tests.support.processes import together

KNOWN = 96  # the size at which `sizes` measures the machine's rate
CASES: tuple[dict[str, Any], ...] = (
    {"net": "dcgan", "image_size": 64, "batch_size": 64, "ngf": 32, "ndf": 32},
    {"net": "dcgan", "image_size": 96, "batch_size": 64, "ngf": 32, "ndf": 32},
    {"net": "dcgan", "image_size": 96, "batch_size": 16, "ngf": 64, "ndf": 64},
    {"net": "r3gan", "loss": "bce", "image_size": 64, "batch_size": 16, "ngf": 32, "ndf": 32},
)


def trainer_on(runtime: Runtime, options: dict[str, Any], apart: bool = False) -> GanTrainer:
    """Create this process's trainer; with `apart`, for its share of the batch but on its own."""
    size = runtime.group.size
    if apart:
        runtime = Runtime(runtime.device)
        options = {**options, "batch_size": options["batch_size"] // size}
    config = config_of({**NO_AIDS, **options})
    faces = noise_set(4 * config.batch_size, config.image_size, config.channels)
    return trainer_of(config, faces, runtime)


def operations(options: dict[str, Any]) -> float:
    """Return floating-point operations per image for both updates, 2 per multiply-add."""
    trainer = trainer_on(Runtime(torch.device("meta")), {**options, "batch_size": 4})
    return floor.operations(trainer.train_batch) / 4


def step_time(trainer: GanTrainer, seconds: float = 5.0) -> float:
    """Return seconds per batch: the median of at least four batches within `seconds`."""
    trainer.train_batch()
    taken: list[float] = []
    while sum(taken) < seconds or len(taken) < 4:
        begun = time.perf_counter()
        trainer.train_batch()
        taken.append(time.perf_counter() - begun)
    return median(taken)


# --- sizes


def sizes_rows(threads: int, seconds: float = 5.0) -> Iterator[str]:
    """Yield the rows of a table: the rate at 96 px, and the predicted time of other sizes."""
    runtime = Runtime.start(gpu=False, threads=threads)
    yield "| net, width | size | GFLOP per image | ms per image: predicted | measured | ratio |"
    yield "|---|---|---|---|---|---|"
    for net, width, tried in (("dcgan", 64, (32, 64, 128, 256)), ("r3gan", 32, (32, 64, 128))):
        rate = 0.0
        for size in (KNOWN, *tried):
            options = {"net": net, "loss": "bce", "image_size": size, "ngf": width, "ndf": width}
            options["batch_size"] = max(4, min(64, 64 * 96**2 // size**2 // (64 // width)))
            spent = step_time(trainer_on(runtime, options), seconds) / options["batch_size"]
            count = operations(options)
            rate = rate or count / spent
            told = "-" if size == KNOWN else f"{1000 * count / rate:.1f}"
            off = "-" if size == KNOWN else f"{spent * rate / count:.2f}"
            took = f"{1e3 * spent:.1f}"
            yield f"| {net}, {width} | {size} | {count / 1e9:.2f} | {told} | {took} | {off} |"
        yield f"| {net} | {KNOWN} | {rate / 1e9:.1f} GFLOP/s, {threads} threads | | | |"


# --- processes


@dataclass(frozen=True)
class Link:
    """Cost of an all-reduce over two processes: latency in s, bandwidth in bytes per second."""

    latency: float
    bandwidth: float

    def time(self, exchanges: Sequence[int], size: int = 2) -> float:
        """Return the seconds for all-reduces of the given bytes, over `size` processes."""
        moved = 2 * (size - 1) / size * sum(exchanges)
        return len(exchanges) * self.latency + moved / self.bandwidth

    @staticmethod
    def measured() -> "Link":
        """Measure a small all-reduce and one of 32 MB in this process group."""
        found = []
        for count in (64, 8_000_000):
            values, taken = torch.zeros(count), []
            for _ in range(12):
                dist.barrier()
                begun = time.perf_counter()
                dist.all_reduce(values)
                taken.append(time.perf_counter() - begun)
            found.append(median(taken[2:]))
        return Link(found[0], 4 * 8_000_000 / (found[1] - found[0]))


@contextmanager
def counted() -> Iterator[list[int]]:
    """Record the bytes of each all-reduce inside the context."""
    exchanges: list[int] = []
    original: Callable[..., Any] = dist.all_reduce

    def count(tensor: torch.Tensor, *args: Any, **others: Any) -> Any:
        exchanges.append(tensor.nbytes)
        return original(tensor, *args, **others)

    with patch.object(dist, "all_reduce", count):
        yield exchanges


def _measured(runtime: Runtime, folder: Path, rounds: int) -> Any:
    """Return the link, and for each case its options, bytes of its exchanges and pairs of times."""
    link = Link.measured()
    found = []
    for options in CASES:
        apart, whole = trainer_on(runtime, options, apart=True), trainer_on(runtime, options)
        with counted() as exchanges:
            whole.train_batch()
        pairs = []
        for _ in range(rounds):
            times = []
            for trainer in (apart, whole):
                dist.barrier()
                begun = time.perf_counter()
                for _ in range(4):
                    trainer.train_batch()
                dist.barrier()
                times.append((time.perf_counter() - begun) / 4)
            pairs.append(tuple(times))
        found.append((options, exchanges, pairs))
    return link, found


def processes_rows(rounds: int, size: int = 2) -> Iterator[str]:
    """Yield the rows of a table: two processes without communication, the model, and with it."""
    with TemporaryDirectory() as folder:
        (link, found), *_ = together(_measured, Path(folder), size, rounds=rounds)
    yield f"all-reduce over {size} processes on this machine (gloo): {1e3 * link.latency:.2f} ms "
    yield f"and {link.bandwidth / 1e9:.2f} GB per second\n"
    yield (
        "| net, width | size | batch | exchanges per step | MB | ms: apart | model | together "
        "| ratio |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for options, exchanges, pairs in found:
        apart, both = (median(pair[k] for pair in pairs) for k in (0, 1))
        told = apart + link.time(exchanges, size)
        yield (
            f"| {options['net']}, {options['ngf']} | {options['image_size']} | "
            f"{options['batch_size']} | {len(exchanges)} | {sum(exchanges) / 1e6:.1f} | "
            f"{1e3 * apart:.0f} | {1e3 * told:.0f} | {1e3 * both:.0f} | {both / told:.2f} |"
        )


# --- large


def exchanges_of(config: Config) -> list[int]:
    """Return the bytes of each all-reduce of a batch that updates both nets on the same fakes."""
    spec = spec_of(config)
    with torch.device("meta"):
        nets = models.build_netg(spec), models.build_netd(spec)
    gradients = [4 * models.parameters_of(net) for net in nets]
    # BatchNorm exchanges two numbers per channel forward and two backward: in netg for one batch
    # of fakes, in netd for reals and fakes of its own update and for the fakes of netg's
    norms = [
        8 * one.num_features
        for net, times in zip(nets, (2, 6), strict=True)
        for one in net.modules()
        if isinstance(one, torch.nn.modules.batchnorm._BatchNorm)
        for _ in range(times)
    ]
    return gradients + norms


def large_rows(
    options: dict[str, Any], pictures: int, epochs: float, rate: float, link: Link
) -> Iterator[str]:
    """Yield the model's predictions for 1 to 64 processes of `rate` operations per second."""
    config = config_of({**TEXTBOOK, **options})
    spec = spec_of(config)
    count = operations(options)
    side, batch = config.image_size, config.batch_size
    cache = pictures * side * side * config.channels
    exchanges = exchanges_of(config)
    yield f"{pictures:,} images of {side} px: a cache of {cache / 1e9:.1f} GB, read at random"
    yield f"operations per image: {count / 1e9:.1f} GFLOP"
    yield f"exchanged per step: {sum(exchanges) / 1e6:.1f} MB in {len(exchanges)} all-reduces"
    yield f"steps per epoch: {pictures // batch:,}, {epochs:g} epochs\n"
    yield ("| processes | memory each, GB | MB sent by each per step | ms per step | share of "
           "communication | images per second | MB read per second | days |")  # fmt: skip
    yield "|---|---|---|---|---|---|---|---|"
    for size in (1, 2, 4, 8, 16, 32, 64):
        if batch % size or batch // size < 2:
            continue
        memory = plan.estimate_memory(spec, batch // size, bool(config.ema), shares_fakes(config))
        talk = link.time(exchanges, size) if size > 1 else 0.0
        sent = 2 * (size - 1) / size * sum(exchanges)
        step = count * batch / (size * rate) + talk
        seconds = step * epochs * (pictures // batch)
        yield (
            f"| {size} | {memory / 1e9:.1f} | {sent / 1e6:.0f} | {1e3 * step:.0f} | "
            f"{talk / step:.0%} | {batch / step:.0f} | {batch / step * side**2 * 3 / 1e6:.0f} | "
            f"{seconds / 86400:.1f} |"
        )


# --- from the command line


def sizes(*, threads: int = 2, seconds: float = 5.0) -> None:
    """Check the time of other image sizes, in at least `seconds` each."""
    show(sizes_rows(threads, seconds))


def processes(*, rounds: int = 5) -> None:
    """Check the time of two processes."""
    show(processes_rows(rounds))


def large(
    *,
    rate: float,
    latency: float,
    bandwidth: float,
    pictures: int = 1_000_000,
    image_size: int = 256,
    batch_size: int = 256,
    net: str = "dcgan",
    epochs: float = 20,
) -> None:
    """Predict a large run.

    Args:
        rate: operations per second of a process.
        latency: seconds per exchange.
        bandwidth: bytes per second between processes.
        pictures, image_size, batch_size, net, epochs: of the run.
    """
    options = {"net": net, "image_size": image_size, "batch_size": batch_size}
    show(large_rows(options, pictures, epochs, rate, Link(latency, bandwidth)))


def show(lines: Iterable[str]) -> None:
    """Print lines as they come."""
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    run(sizes, processes, large)
