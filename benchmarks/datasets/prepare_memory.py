"""Measure the memory of `prepare` on many small images, read from /proc.

python -m benchmarks.datasets.prepare_memory --work /tmp/many --files 100000
"""

import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from animegan.datasets.prepare.pipeline import Options, prepare
from benchmarks.harness.command import run
from benchmarks.harness.memory import megabytes


def main(*, work: Path, files: int = 100_000, num_workers: int = 2) -> None:
    """Create the images in `work`, run prepare without detection, and print its memory."""
    pile, out = work / "pile", work / "out"
    for number in range(files):
        path = pile / f"{number // 1000:03d}" / f"{number:06d}.bmp"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
            Image.fromarray(pixels).resize((24, 24), Image.Resampling.BICUBIC).save(path)
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(out, files, done))
    watch.start()
    began = time.monotonic()
    options = Options(
        str(pile), str(out), image_size=24, detect=False, num_workers=num_workers,
        min_sharpness=0, min_detail=-60,
    )  # fmt: skip
    try:
        counts = prepare(options)
    finally:
        done.set()
        watch.join()
    print(f"{counts.sources:,} files in {time.monotonic() - began:.0f} s")
    print(f"peak of the main process: {megabytes('VmHWM'):.0f} MB")


def _watch(out: Path, files: int, done: threading.Event) -> None:
    """Print the memory of this process and of its largest child at every tenth of the files."""
    journal = out / ".prepare" / "journal.jsonl"
    seen, lines, told = 0, 0, 0
    while not done.wait(0.2):
        if not journal.exists():
            continue
        with open(journal, "rb") as file:
            file.seek(seen)
            fresh = file.read()
        seen += len(fresh)
        lines += fresh.count(b"\n")
        if lines >= told + files // 10:
            told = lines - lines % (files // 10)
            children = _children()
            worst = max((megabytes("VmRSS", child) for child in children), default=0.0)
            print(
                f"{lines:8,} files: main {megabytes('VmRSS'):.0f} MB, "
                f"largest worker {worst:.0f} MB",
                flush=True,
            )


def _children() -> list[str]:
    tasks = Path("/proc/self/task")
    return [c for task in tasks.iterdir() for c in (task / "children").read_text().split()]


if __name__ == "__main__":
    run(main)
