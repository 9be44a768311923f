"""Measure how cost grows with the number of images, their size and the widths of the nets.

    python -m benchmarks.speed.growth --work /tmp/growth --plot /tmp/growth.png

Sets are simulated: a folder of empty files, and a cache of the real layout with a sparse file for
the pixels, so that 27.6 GB take no disk space (and no time to read). Each row runs in a separate
process; the folder is removed afterwards. Memory held is anonymous memory above that of an
interpreter with torch; pages of the cache do not count. Prints Markdown.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch

from animegan.core.errors import UsageError
from animegan.data import cache, face_set
from animegan.data.batches import Batches
from animegan.data.folder import find_pictures
from animegan.training.throughput import noise_set
from benchmarks.harness.command import run
from benchmarks.harness.memory import in_child, megabytes
from benchmarks.harness.table import markdown
from benchmarks.harness.training import TEXTBOOK, commit, config_of, trainer_of

COUNTS, SIZES, WIDTHS = (1000, 50_000, 1_000_000), (32, 64, 96, 128, 256), (16, 32, 64, 128)
SIZE, WIDTH, BATCH = 96, 64, 64
NETS_BATCH = 16  # the largest nets take 8 seconds per step

Row = Mapping[str, Any]


def hollow(folder: Path, job: Any, num_workers: int) -> None:
    """Replace `cache._build`: write the cache's files without pixels."""
    folder.mkdir()
    with open(folder / "images.bin", "wb") as file:
        file.truncate(job.bytes)
    blocks = cache._checksums(folder / "images.bin", job, num_workers)
    meta = {"format": cache.FORMAT, "pictures": job.pictures, "broken": {}, "enlarged": 0,
            "changed": {}, "blocks": blocks}  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta | {"check": cache._check_of(meta)}))


def make_folder(folder: Path, count: int) -> None:
    """Create `count` empty files named like images."""
    folder.mkdir(parents=True)
    for number in range(count):
        os.close(os.open(folder / f"{number:07}.jpg", os.O_CREAT | os.O_WRONLY))


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def opening(folder: Path, size: int, batch: int, threads: int) -> Row:
    """List a set, open it through its cache and read batches; return seconds and MB held."""
    torch.set_num_threads(threads)
    setattr(cache, "_build", hollow)  # noqa: B010
    given: dict[str, Any] = {"image_size": size, "cache_dir": folder.parent / "cache"}
    face_set.open_set(folder, **given)
    torch.rand(2, 2) @ torch.rand(2, 2)
    before = megabytes("RssAnon")
    listed = seconds_of(lambda: find_pictures(folder))
    begun = time.perf_counter()
    faces = face_set.open_set(folder, **given)
    opened = time.perf_counter() - begun
    batches = Batches(faces, batch, seed=0)
    first = seconds_of(lambda: batches.images(0))
    epoch = seconds_of(lambda: batches.rows(batches.steps_per_epoch))
    steps = range(1, 1 + min(100, batches.steps_per_epoch - 1))
    batches.images(0)
    each = [seconds_of(partial(batches.images, step)) for step in steps]
    return {
        "listed": listed, "opened": opened, "first": first, "epoch": epoch,
        "load": median(each) / batch, "held": megabytes("RssAnon") - before,
    }  # fmt: skip


def training(size: int, width: int, batch: int, threads: int, steps: int = 3) -> Row:
    """Train a DCGAN on noise; return seconds per image and peak MB above the start."""
    config = config_of(
        {**TEXTBOOK, "image_size": size, "ngf": width, "ndf": width, "batch_size": batch,
         "threads": threads}
    )  # fmt: skip
    faces = noise_set(2 * batch, size)
    before = megabytes("VmHWM")
    trainer = trainer_of(config, faces)
    trainer.train_batch()
    each = [seconds_of(trainer.train_batch) for _ in range(steps)]
    return {"step": median(each) / batch, "peak": megabytes("VmHWM") - before}


def sets_table(rows: Sequence[Row]) -> str:
    heads = ("images", "listed, s", "opened, s", "first batch, ms", "shuffling an epoch, ms",
             "loading, µs per image", "memory held, MB")  # fmt: skip
    return markdown(heads, [
        (f"{row['count']:,}", f"{row['listed']:.2f}", f"{row['opened']:.2f}",
         f"{1e3 * row['first']:.1f}", f"{1e3 * row['epoch']:.1f}", f"{1e6 * row['load']:.1f}",
         f"{row['held']:,.0f}")
        for row in rows
    ])  # fmt: skip


def nets_table(rows: Sequence[Row]) -> str:
    heads = ("size", "width", "batch", "training, ms per image", "memory above the start, MB")
    return markdown(heads, [
        (f"{row['size']}", f"{row['width']}", f"{row['batch']}", f"{1e3 * row['step']:.2f}",
         f"{row['peak']:,.0f}")
        for row in rows
    ])  # fmt: skip


def draw(sets: Sequence[Row], nets: Sequence[Row], path: Path) -> None:
    """Plot time (top) and memory (bottom) over images, size and width, on logarithmic axes."""
    from matplotlib.figure import Figure

    sizes = sorted((row for row in nets if row["width"] == WIDTH), key=lambda row: row["size"])
    widths = sorted((row for row in nets if row["size"] == SIZE), key=lambda row: row["width"])
    panels = (
        ("images in the set (loading)", sets, "count", "load", "held"),
        ("size, px (training)", sizes, "size", "step", "peak"),
        ("width (training)", widths, "width", "step", "peak"),
    )
    figure = Figure((8, 4), layout="constrained")
    axes = figure.subplots(2, 3, sharex="col", squeeze=False)
    for column, (name, rows, over, seconds, memory) in enumerate(panels):
        above, below = axes[0][column], axes[1][column]
        places = [row[over] for row in rows]
        above.loglog(places, [1e3 * row[seconds] for row in rows], "o-")
        below.loglog(places, [max(1.0, row[memory]) for row in rows], "o-")
        for axis in (above, below):
            low, high = axis.get_ylim()
            axis.set_ylim(bottom=min(low, high / 30))
            axis.grid(alpha=0.3)
        below.set_xlabel(name)
        below.set_xticks(places, [f"{place:,}" for place in places])
        below.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    axes[0][0].set_ylabel("ms per image")
    axes[1][0].set_ylabel("memory, MB")
    figure.savefig(path, dpi=80)


def measure_sets(work: Path, counts: Sequence[int], threads: int) -> list[Row]:
    """Return one row per number of images; leave nothing in `work`."""
    rows: list[Row] = []
    try:
        for count in counts:
            folder = work / str(count) / "pictures"
            make_folder(folder, count)
            rows.append({"count": count, **in_child(opening, folder, SIZE, BATCH, threads)})
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return rows


def measure_nets(shapes: Sequence[tuple[int, int, int]], threads: int) -> list[Row]:
    """Return one row per (size, width, batch)."""
    return [
        {"size": size, "width": width, "batch": batch,
         **in_child(training, size, width, batch, threads)}
        for size, width, batch in shapes
    ]  # fmt: skip


def main(
    *,
    work: Path,
    part: Literal["both", "sets", "nets"] = "both",
    rows: Path | None = None,
    plot: Path | None = None,
    counts: tuple[int, ...] = COUNTS,
    sizes: tuple[int, ...] = SIZES,
    widths: tuple[int, ...] = WIDTHS,
    threads: int = 2,
) -> None:
    """Print the tables.

    Args:
        work: a folder to create and remove.
        part: print only this table.
        rows: JSON file that stores the rows of both parts.
        plot: image file to write; needs the rows of both parts.
        counts, sizes, widths: images in a set, their sides, and widths of the nets.
        threads: of each row's process.
    """
    kept: dict[str, list[Row]] = json.loads(rows.read_text()) if rows and rows.exists() else {}
    missing = {"sets", "nets"} - {*kept, *(("sets", "nets") if part == "both" else (part,))}
    if plot and missing:
        raise UsageError(f"--plot {plot}: --rows has no rows of {missing.pop()}; omit --part")
    print(f"{threads} threads, torch {torch.__version__}, commit {commit()}")
    if part != "nets":
        kept["sets"] = measure_sets(work, counts, threads)
        print("", sets_table(kept["sets"]), sep="\n")
    if part != "sets":
        shapes = [(size, WIDTH, NETS_BATCH) for size in sizes]
        shapes += [(SIZE, width, NETS_BATCH) for width in widths if width != WIDTH]
        kept["nets"] = measure_nets(shapes, threads)
        print("", nets_table(kept["nets"]), sep="\n")
    if rows:
        rows.write_text(json.dumps(kept))
    if plot:
        draw(kept["sets"], kept["nets"], plot)


if __name__ == "__main__":
    run(main)
