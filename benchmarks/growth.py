"""How cost grows with the number of pictures, their size and the widths of the nets.

    python -m benchmarks.growth --work /tmp/growth [--plot docs/images/growth.png] [--threads 2]

Sets are simulated: a folder of so many empty files, and a cache of the real layout whose pictures
are a hole in a file, so that 27.6 GB take no room (nor a disk's time to read). Each row is a
process of its own; the folder is removed afterwards. `held` is memory that the system cannot take
back, above that of an interpreter with torch; pages of the cache do not count. Prints Markdown.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from animegan.data import cache
from animegan.data.batches import Batches
from animegan.data.cache import FaceSet
from animegan.data.folder import find_pictures
from benchmarks.memory import in_child, megabytes
from benchmarks.training import commit, config_of, trainer_of

COUNTS, SIZES, WIDTHS = (1000, 50_000, 1_000_000), (32, 64, 96, 128, 256), (16, 32, 64, 128)
SIZE, WIDTH, BATCH = 96, 64, 64

Row = Mapping[str, float]


def hollow(folder: Path, job: Any, num_workers: int, say: Callable[[str], None]) -> None:
    """Stands in for the building of a cache: its files as they would be, but for the pixels."""
    folder.mkdir()
    with open(folder / "images.bin", "wb") as file:
        file.truncate(job.bytes)
    meta = {"pictures": job.pictures, "broken": {}, "enlarged": 0, "changed": {}}
    (folder / "meta.json").write_text(json.dumps(meta | {"format": cache.FORMAT}))


def make_folder(folder: Path, count: int) -> None:
    """So many empty files that are named as pictures."""
    folder.mkdir(parents=True)
    for number in range(count):
        os.close(os.open(folder / f"{number:07}.jpg", os.O_CREAT | os.O_WRONLY))


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def opening(folder: Path, size: int, batch: int, threads: int) -> Row:
    """A set is listed, opened through its cache, and read: seconds, and MB that are held."""
    torch.set_num_threads(threads)
    setattr(cache, "_build", hollow)  # noqa: B010
    given: dict[str, Any] = {"image_size": size, "cache_dir": folder.parent / "cache"}
    cache.open_set(folder, **given, say=lambda line: None)
    torch.rand(2, 2) @ torch.rand(2, 2)
    before = megabytes("RssAnon")
    listed = seconds_of(lambda: find_pictures(folder))
    begun = time.perf_counter()
    faces = cache.open_set(folder, **given)
    opened = time.perf_counter() - begun
    batches = Batches(faces, batch, seed=0)
    first = seconds_of(lambda: batches.images(0))
    epoch = seconds_of(lambda: batches.rows(batches.steps_per_epoch))
    steps = range(1, 1 + min(100, batches.steps_per_epoch - 1))
    batches.images(0)
    each = [seconds_of(lambda step=step: batches.images(step)) for step in steps]
    return {
        "listed": listed, "opened": opened, "first": first, "epoch": epoch,
        "batch": median(each), "held": megabytes("RssAnon") - before,
    }  # fmt: skip


def training(size: int, width: int, batch: int, threads: int, steps: int = 3) -> Row:
    """Training steps of a DCGAN on noise: seconds a picture, MB at the peak above the start."""
    config = config_of(
        {"image_size": size, "ngf": width, "ndf": width, "batch_size": batch, "threads": threads}
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2 * batch, size, size, 3), np.uint8)
    labels, files = np.zeros(len(pixels), np.int64), ("",) * len(pixels)
    before = megabytes("VmHWM")
    trainer = trainer_of(config, FaceSet(pixels, labels, ("a",), files, ()))
    trainer.train_batch()
    each = [seconds_of(trainer.train_batch) for _ in range(steps)]
    return {"step": median(each) / batch, "peak": megabytes("VmHWM") - before}


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sets_table(rows: Mapping[int, Row], batch: int) -> str:
    heads = ("pictures", "listed, s", "opened, s", "first batch, ms", "an epoch's order, ms",
             "loading, µs a picture", "held, MB")  # fmt: skip
    return markdown(heads, [
        (f"{count:,}", f"{row['listed']:.2f}", f"{row['opened']:.2f}", f"{1e3 * row['first']:.1f}",
         f"{1e3 * row['epoch']:.1f}", f"{1e6 * row['batch'] / batch:.1f}", f"{row['held']:,.0f}")
        for count, row in rows.items()
    ])  # fmt: skip


def nets_table(rows: Mapping[tuple[int, int, int], Row]) -> str:
    heads = ("size", "width", "batch", "training, ms a picture", "memory above the start, MB")
    return markdown(heads, [
        (f"{size}", f"{width}", f"{batch}", f"{1e3 * row['step']:.2f}", f"{row['peak']:,.0f}")
        for (size, width, batch), row in rows.items()
    ])  # fmt: skip


def plot(
    sets: Mapping[int, Row], nets: Mapping[tuple[int, int, int], Row], batch: int, path: Path
) -> None:
    """Time (above) and memory (below) over pictures, size and width, on logarithmic axes."""
    from matplotlib.figure import Figure

    sizes = {size: row for (size, width, _), row in nets.items() if width == WIDTH}
    widths = {width: row for (size, width, _), row in nets.items() if size == SIZE}
    load = {count: {"step": row["batch"] / batch, "peak": row["held"]}
            for count, row in sets.items()}  # fmt: skip
    figure = Figure((8, 4), layout="constrained")
    axes = figure.subplots(2, 3, sharex="col", squeeze=False)
    panels = (("pictures in the set (loading)", load), ("size, px (training)", sizes),
              ("width (training)", widths))  # fmt: skip
    for column, (name, rows) in enumerate(panels):
        above, below = axes[0][column], axes[1][column]
        above.loglog(list(rows), [1e3 * row["step"] for row in rows.values()], "o-")
        below.loglog(list(rows), [max(1.0, row["peak"]) for row in rows.values()], "o-")
        for axis in (above, below):
            axis.set_ylim(bottom=min(axis.get_ylim()[0], axis.get_ylim()[1] / 30))
            axis.grid(alpha=0.3)
        below.set_xlabel(name)
    axes[0][0].set_ylabel("ms a picture")
    axes[1][0].set_ylabel("memory, MB")
    figure.savefig(path, dpi=80)


def measure(
    work: Path, counts: Sequence[int], shapes: Sequence[tuple[int, int, int]], threads: int
) -> tuple[dict[int, Row], dict[tuple[int, int, int], Row]]:
    """Every row in a process of its own; nothing is left in `work`. Shapes: size, width, batch."""
    sets, nets = {}, {}
    try:
        for count in counts:
            folder = work / str(count) / "pictures"
            make_folder(folder, count)
            sets[count] = in_child(opening, folder, SIZE, BATCH, threads)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for size, width, batch in shapes:
        nets[size, width, batch] = in_child(training, size, width, batch, threads)
    return sets, nets


def main() -> None:
    """Read the options, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder to make and remove")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--counts", type=int, nargs="*", default=COUNTS)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    shapes = [(size, WIDTH, 16 if size > 128 else BATCH) for size in SIZES]
    shapes += [(SIZE, width, BATCH) for width in WIDTHS if width != WIDTH]
    sets, nets = measure(args.work, args.counts, shapes, args.threads)
    print(f"{args.threads} threads, torch {torch.__version__}, commit {commit()}\n")
    print(sets_table(sets, BATCH), nets_table(nets), sep="\n\n")
    if args.plot:
        plot(sets, nets, BATCH, args.plot)


if __name__ == "__main__":
    main()
