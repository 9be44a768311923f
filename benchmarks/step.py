"""Time a training step on the CPU: lower bound, plain loop and ours; optionally profile it.

    python -m benchmarks.step --data ../shared/data/train/faces --profile
    python -m benchmarks.step --data ../shared/data/train/faces --batch 64 --updates 5:1 --compile

DCGAN at 96 x 96 with the example's widths, float32. The floor is the time of our step's operations
at the best rate measured on the machine (`benchmarks/floor.py`). `plain` is the textbook's loop
(`benchmarks/plain.py`) with the fastest number of workers; it decodes JPEGs every epoch, while ours
are decoded into the cache beforehand, which is not timed. The sides run in turn in one process, and
ratios are taken within a round. Ours keeps freed memory in the process
(`animegan/runtime/memory.py`); for the plain loop, malloc gets the values that glibc would adapt
to. `--updates` are updates of the discriminator to those of the generator.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from animegan.data.cache import FaceSet, open_set
from animegan.models import Spec
from animegan.runtime import memory
from animegan.runtime.device import Runtime
from benchmarks import floor, spent
from benchmarks.plain import PlainLoop, loader_of
from benchmarks.ratio import Spread, in_turn, ratio
from benchmarks.training import TEXTBOOK, commit, config_of, trainer_of

SIZE = 96
WORKERS = (0, 2, 4)


@dataclass
class Side:
    """One side of the comparison."""

    train_batch: Callable[[], None]
    operations: float  # floating-point operations per image
    malloc: Callable[[], object]  # sets malloc's options for the side's turns
    cpu: list[float] = field(default_factory=list)  # CPU seconds of each turn

    def turn(self, batches: int) -> None:
        self.malloc()
        begun = time.process_time()
        for _ in range(batches):
            self.train_batch()
        self.cpu.append(time.process_time() - begun)


@dataclass(frozen=True)
class Case:
    """The batch size and the batches between updates of a comparison."""

    folder: Path  # contains one class folder
    faces: FaceSet
    batch: int
    d_every: int
    g_every: int
    threads: int

    @property
    def cycle(self) -> int:
        """Batches after which the pattern of updates repeats."""
        return max(self.d_every, self.g_every)

    def plain(self, workers: int) -> Side:
        """Return the plain loop's side, with `workers` loading processes."""
        every = self.d_every, self.g_every
        few = torch.randn(4, 3, SIZE, SIZE), torch.zeros(4)
        counted = PlainLoop([few], Spec(), *every)
        loop = PlainLoop(loader_of(self.folder, SIZE, self.batch, workers), Spec(), *every)
        return Side(loop.train_batch, self._operations(counted.train_batch), self._malloc)

    def ours(self, compiled: bool = False) -> Side:
        """Return our side."""
        options = {
            **TEXTBOOK, "batch_size": self.batch, "d_every": self.d_every, "g_every": self.g_every,
            "threads": self.threads, "compile": compiled,
        }  # fmt: skip
        on = Runtime(torch.device("meta"))  # computes shapes only
        counted = trainer_of(config_of(options | {"batch_size": 4}), self.faces, on)
        trainer = trainer_of(config_of(options), self.faces)
        return Side(trainer.train_batch, self._operations(counted.train_batch), memory.keep_freed)

    def _malloc(self) -> None:
        """Set what glibc adapts to: mmap for blocks larger than the largest freed so far."""
        largest = min(32 << 20, 4 * self.batch * Spec().ndf * (SIZE // 3) ** 2 + 4096)
        memory.option(memory.MMAP_MAX, 65536)
        memory.option(memory.MMAP_THRESHOLD, largest)
        memory.option(memory.TRIM_THRESHOLD, 2 * largest)

    def _operations(self, train_batch_of_4: Callable[[], None]) -> float:
        def cycle() -> None:
            for _ in range(self.cycle):
                train_batch_of_4()

        return floor.operations(cycle) / (4 * self.cycle)


# --- the floor


def rates(seconds: float) -> Iterator[tuple[str, float]]:
    """Yield lines of Markdown with the best rate on each, in operations per second."""
    yield "| what | memory | GFLOP/s: forward | gradient of inputs | of weights |", 0.0
    yield "|---|---|---|---|---|", 0.0
    for size in (1024, 2048):
        found = floor.product_rate(size, seconds)
        yield f"| product, {size} x {size} | | {found / 1e9:.0f} | | |", found
    loop = PlainLoop([], Spec())
    nets = ((loop.netg, torch.randn(64, Spec().nz, 1, 1)),
            (loop.netd, torch.randn(64, 3, SIZE, SIZE)))  # fmt: skip
    for layer in (one for net, inputs in nets for one in floor.layers_of(net, inputs)):
        for layout in floor.FORMATS:
            three = floor.convolution_rates(layer, layout, seconds)
            told = " | ".join(f"{one / 1e9:.0f}" for one in three)
            yield f"| {layer} | {layout} | {told} |", max(three)


# --- the comparison


def fastest_workers(case: Case) -> int:
    """Return the number of workers with which the plain loop is fastest."""
    sides = {str(count): case.plain(count) for count in WORKERS}
    batches = max(2, 128 // case.batch)
    for side in sides.values():
        side.turn(1)
    taken = in_turn({name: lambda s=side: s.turn(batches) for name, side in sides.items()}, 3)
    middle = {name: Spread.of(seconds).median / batches for name, seconds in taken.items()}
    told = ", ".join(f"{name}: {1000 * value:.0f} ms" for name, value in middle.items())
    best = min(middle, key=middle.__getitem__)
    print(f"plain loop by workers, batch {case.batch}: {told}; fastest: {best}\n", flush=True)
    return int(best)


def compare(case: Case, sides: Mapping[str, Side], rounds: int, seconds: float, rate: float
            ) -> Iterator[str]:  # fmt: skip
    """Yield the rows of the table, the floor first."""
    firsts = {}
    for name, side in sides.items():  # compiles, fills caches
        begun = time.perf_counter()
        side.turn(case.cycle)
        firsts[name] = time.perf_counter() - begun
    begun = time.perf_counter()
    sides["plain"].turn(case.cycle)
    batches = case.cycle * max(1, round(seconds / (time.perf_counter() - begun)))
    for side in sides.values():
        side.cpu.clear()
    turns = {name: lambda s=side: s.turn(batches) for name, side in sides.items()}
    taken = in_turn(turns, rounds)
    least = min(side.operations for side in sides.values())
    told = f"| {case.batch} | {case.g_every}:{case.d_every} |"
    best = least * case.batch / rate
    yield f"{told} floor | {1000 * best:.0f} | | {least / 1e9:.2f} | {rate / 1e9:.0f} | 100% | |"
    for name, side in sides.items():
        each = Spread.of([one / batches for one in taken[name]])
        done = side.operations * case.batch / each.median
        cpu = Spread.of(side.cpu).median / batches
        yield (
            f"{told} {name} | {_ms(each)} | {1000 * cpu:.0f} | {side.operations / 1e9:.2f} | "
            f"{done / 1e9:.0f} | {best / each.median:.0%} | {ratio(taken['plain'], taken[name])} |"
        )
    if "ours, compiled" in sides:
        yield f"{told} the first {case.cycle} compiled: {firsts['ours, compiled']:.0f} s |||||||"


def _ms(seconds: Spread) -> str:
    return f"{1000 * seconds.median:.0f} ({1000 * seconds.low:.0f} to {1000 * seconds.high:.0f})"


# --- from the command line


def _some_of(data: Path, count: int, folder: Path) -> Path:
    """Copy the first `count` images into a class folder of `folder`."""
    (folder / "faces").mkdir()
    files = sorted(one for one in data.iterdir() if one.is_file())[:count]
    for file in files:
        shutil.copyfile(file, folder / "faces" / file.name)
    return folder


def _run(asked: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(asked.threads)
    faces = open_set(folder, image_size=SIZE, cache_dir=folder / "cache")
    print(f"commit {commit()}, torch {torch.__version__}, {asked.threads} threads, "
          f"{len(faces):,} images\n")  # fmt: skip
    rate = asked.rate * 1e9
    if not rate:
        for line, found in rates(asked.floor_seconds):
            print(line, flush=True)
            rate = max(rate, found)
        print(f"\nbest rate: {rate / 1e9:.0f} GFLOP/s\n", flush=True)
    updates = [tuple(map(int, one.split(":"))) for one in asked.updates]
    cases = [
        Case(folder, faces, batch, d_every=to_g, g_every=to_d, threads=asked.threads)
        for batch in asked.batch
        for to_d, to_g in updates
    ]
    workers = fastest_workers(cases[0]) if asked.workers is None else asked.workers
    print("| batch | D:G | side | ms per batch | CPU ms | GFLOP per image | GFLOP/s "
          "| share of the floor | plain / side |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for case in cases if asked.rounds else ():
        sides = {"plain": case.plain(workers), "ours": case.ours()}
        if asked.compile:
            sides["ours, compiled"] = case.ours(compiled=True)
        for row in compare(case, sides, asked.rounds, asked.seconds, rate):
            print(row, flush=True)
    if asked.profile:
        print(f"\nprofile, batch {cases[0].batch}, updates {asked.updates[0]}\n")
        print("\n".join(profiles(cases[0], workers, asked.compile)), flush=True)


def profiles(case: Case, workers: int, compiled: bool) -> Iterator[str]:
    """Yield the lines of a table of each side's profile, after two cycles of warm-up."""
    sides = {"plain": case.plain(workers), "ours": case.ours()}
    if compiled:
        sides["ours, compiled"] = case.ours(compiled=True)
    found = {}
    for name, side in sides.items():
        side.turn(2 * case.cycle)
        each = spent.spent(lambda s=side: s.turn(case.cycle), 3)
        found[name] = {group: seconds / case.cycle for group, seconds in each.items()}
    yield from spent.table(found)


def main(words: Sequence[str] | None = None) -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--data", type=Path, required=True, help="folder of images")
    ask.add_argument("--pictures", type=int, default=2000, help="number of images to use")
    ask.add_argument("--batch", type=int, nargs="+", default=[64, 256])
    ask.add_argument("--updates", nargs="+", default=["1:1", "5:1"], help="of D to G")
    ask.add_argument("--compile", action="store_true", help="add a third side: ours, compiled")
    ask.add_argument("--profile", action="store_true", help="profile the first batch and updates")
    ask.add_argument("--rounds", type=int, default=5, help="0 for only the floor and profile")
    ask.add_argument("--seconds", type=float, default=5.0, help="of the plain loop per round")
    ask.add_argument("--workers", type=int, help="of the plain loop (default: the fastest)")
    ask.add_argument("--rate", type=float, default=0.0, help="GFLOP/s, if already known")
    ask.add_argument("--floor-seconds", type=float, default=0.3, help="per rate")
    ask.add_argument("--threads", type=int, default=2)
    asked = ask.parse_args(words)
    with tempfile.TemporaryDirectory() as name:
        _run(asked, _some_of(asked.data, asked.pictures, Path(name)))


if __name__ == "__main__":
    main()
