"""Load training batches: the cache compared with torchvision's ImageFolder and DataLoader.

    python -m benchmarks.speed.loading --data DIR [--rounds 7] [--batches 32] [--batch-size 64]

DIR is a folder of subfolders of images, as ImageFolder requires. Both sides draw random images of
the whole set as float32 [B, 3, 96, 96] in [-1, 1]; the cache is built beforehand. Every round also
runs one training step of a DCGAN of width 64. Prints Markdown.
"""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import DataLoader, RandomSampler

from animegan.data.batches import Batches
from animegan.data.face_set import open_set
from benchmarks.harness.command import run
from benchmarks.harness.plain import Labelled, pictures_of
from benchmarks.harness.ratio import in_turn, ratio
from benchmarks.harness.training import TEXTBOOK, commit, config_of, trainer_of

WORKERS = (0, 2, 4)


def folder_side(
    data: str, size: int, batch_size: int, workers: int, batches: int
) -> DataLoader[Labelled]:
    """Return a DataLoader on ImageFolder whose epochs are `batches` random batches."""
    pictures = pictures_of(Path(data), size)
    sampler = RandomSampler(pictures, num_samples=batches * batch_size)
    return DataLoader(
        pictures, batch_size, sampler=sampler, num_workers=workers, persistent_workers=workers > 0
    )


def drawn(loader: DataLoader[Labelled]) -> None:
    """Load and discard the batches of an epoch."""
    for _ in loader:
        pass


def cache_side(batches: Batches, count: int) -> Callable[[], None]:
    """Return a function that loads the next `count` batches."""
    step = itertools.count()

    def draw() -> None:
        for _ in range(count):
            batches.images(next(step))

    return draw


def table(data: str, rounds: int, count: int, batch_size: int, threads: int, width: int) -> str:
    """Time both sides and the training step in turn; return Markdown."""
    config = config_of(
        {**TEXTBOOK, "data_path": data, "batch_size": batch_size, "threads": threads, "ngf": width,
         "ndf": width}
    )  # fmt: skip
    size = config.image_size
    faces = open_set(data, image_size=size)
    trainer = trainer_of(config, faces)
    batches = Batches(faces, batch_size, 0)
    loaders = {k: folder_side(data, size, batch_size, k, count) for k in WORKERS}
    assert len(faces) == len(loaders[0].dataset)  # type: ignore[arg-type]
    sides: dict[str, Callable[[], object]] = {"cache": cache_side(batches, count)}
    for workers, loader in loaders.items():
        sides[f"DataLoader, {workers} workers"] = partial(drawn, loader)
    sides["training step"] = trainer.train_batch
    for side in sides.values():
        side()
    seconds = in_turn(sides, rounds)
    batch = {
        name: [one / (1 if name == "training step" else count) for one in times]
        for name, times in seconds.items()
    }
    step = batch["training step"]
    lines = [
        f"{len(faces):,} images of {size} px, batch {batch_size}, {threads} threads, {rounds} "
        f"rounds, torch {torch.__version__}, commit {commit()}",
        "",
        "| side | ms per batch, median | ratio to the cache (spread) | share of a step (spread) |",
        "|---|---|---|---|",
    ]
    for name, times in batch.items():
        share = ratio([100 * one for one in times], step)
        lines.append(
            f"| {name} | {1000 * median(times):.2f} | {ratio(times, batch['cache'])} | {share} % |"
        )
    fastest = min((name for name in batch if "workers" in name), key=lambda n: median(batch[n]))
    lines += ["", f"{fastest} / cache: {ratio(batch[fastest], batch['cache'])}"]
    return "\n".join(lines)


def main(
    *,
    data: str,
    rounds: int = 7,
    batches: int = 32,
    batch_size: int = 64,
    threads: int = 2,
    width: int = 64,
) -> None:
    """Print the table."""
    print(table(data, rounds, batches, batch_size, threads, width))


if __name__ == "__main__":
    run(main)
