"""Time a training step on the CPU: lower bound, plain loop and ours; optionally profile it.

    python -m benchmarks.speed.step --data DIR --profile
    python -m benchmarks.speed.step --data DIR --batch 64 --updates 5:1 --compile

DCGAN at 96 x 96 with the example's widths, float32. The floor is the time of our step's operations
at the best rate measured on the machine (`benchmarks/speed/floor.py`). `plain` is the textbook's
loop (`benchmarks/harness/plain.py`) with the fastest number of workers; it decodes JPEGs every
epoch, while ours are decoded into the cache beforehand, which is not timed. The sides run in turn
in one process, and ratios are taken within a round. Ours keeps freed memory in the process
(`animegan/runtime/memory.py`); for the plain loop, malloc gets the values that glibc would adapt
to. `--updates` are updates of the discriminator to those of the generator.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from animegan.core.errors import UsageError
from animegan.data.face_set import FaceSet, open_set
from animegan.models import Spec
from animegan.runtime import memory
from animegan.runtime.device import Runtime
from benchmarks.harness.command import run
from benchmarks.harness.plain import PlainLoop, loader_of
from benchmarks.harness.ratio import Spread, in_turn, ratio
from benchmarks.harness.training import TEXTBOOK, commit, config_of, trainer_of
from benchmarks.speed import floor, spent

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
        runtime = Runtime(torch.device("meta"))  # computes shapes only
        counted = trainer_of(config_of(options | {"batch_size": 4}), self.faces, runtime)
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
    taken = in_turn({name: partial(side.turn, batches) for name, side in sides.items()}, 3)
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
    turns = {name: partial(side.turn, batches) for name, side in sides.items()}
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


def copy_pictures(data: Path, count: int, folder: Path) -> None:
    """Copy the first `count` images into a class folder of `folder`."""
    (folder / "faces").mkdir()
    for file in sorted(file for file in data.iterdir() if file.is_file())[:count]:
        shutil.copyfile(file, folder / "faces" / file.name)


def main(
    *,
    data: Path,
    pictures: int = 2000,
    batch: tuple[int, ...] = (64, 256),
    updates: tuple[str, ...] = ("1:1", "5:1"),
    compile: bool = False,
    profile: bool = False,
    rounds: int = 5,
    seconds: float = 5.0,
    workers: int | None = None,
    rate: float = 0.0,
    floor_seconds: float = 0.3,
    threads: int = 2,
) -> None:
    """Print the rates of the machine, the comparison and the profiles.

    Args:
        data: folder of images, of which the first `pictures` are used.
        batch, updates: sizes and ratios D:G to compare.
        compile: adds a third side: ours, compiled.
        profile: profile the first batch and updates.
        rounds: of the comparison; 0 for only the floor and profile.
        seconds: of the plain loop per round.
        workers: of the plain loop; None takes the fastest number.
        rate: GFLOP/s of the machine, if already known; else measured, `floor_seconds` per rate.
        threads: of both sides.
    """
    ratios = [parse_updates(text) for text in updates]
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_pictures(data, pictures, folder)
        faces = open_set(folder, image_size=SIZE, cache_dir=folder / "cache")
        print(f"commit {commit()}, torch {torch.__version__}, {threads} threads, "
              f"{len(faces):,} images\n")  # fmt: skip
        best = 1e9 * rate or print_rates(floor_seconds)
        cases = [
            Case(folder, faces, size, d_every=to_g, g_every=to_d, threads=threads)
            for size in batch
            for to_d, to_g in ratios
        ]
        workers = fastest_workers(cases[0]) if workers is None else workers
        print("| batch | D:G | side | ms per batch | CPU ms | GFLOP per image | GFLOP/s "
              "| share of the floor | plain / side |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        for case in cases if rounds else ():
            for row in compare(case, sides_of(case, workers, compile), rounds, seconds, best):
                print(row, flush=True)
        if profile:
            print(f"\nprofile, batch {batch[0]}, updates {updates[0]}\n")
            print("\n".join(profiles(cases[0], workers, compile)), flush=True)


def parse_updates(text: str) -> tuple[int, int]:
    """Parse updates of D to those of G, such as 5:1."""
    to_d, _, to_g = text.partition(":")
    if not (to_d.isdecimal() and to_g.isdecimal() and int(to_d) and int(to_g)):
        raise UsageError(f"--updates {text}: not a ratio of updates; write it like 5:1")
    return int(to_d), int(to_g)


def print_rates(seconds: float) -> float:
    """Print the machine's rates and return the best, in operations per second."""
    best = 0.0
    for line, rate in rates(seconds):
        print(line, flush=True)
        best = max(best, rate)
    print(f"\nbest rate: {best / 1e9:.0f} GFLOP/s\n", flush=True)
    return best


def sides_of(case: Case, workers: int, compiled: bool) -> dict[str, Side]:
    """Return the sides to compare by their names."""
    sides = {"plain": case.plain(workers), "ours": case.ours()}
    if compiled:
        sides["ours, compiled"] = case.ours(compiled=True)
    return sides


def profiles(case: Case, workers: int, compiled: bool) -> Iterator[str]:
    """Yield the lines of a table of each side's profile, after two cycles of warm-up."""
    table = {}
    for name, side in sides_of(case, workers, compiled).items():
        side.turn(2 * case.cycle)
        each = spent.spent(partial(side.turn, case.cycle), 3)
        table[name] = {group: seconds / case.cycle for group, seconds in each.items()}
    yield from spent.table(table)


if __name__ == "__main__":
    run(main)
