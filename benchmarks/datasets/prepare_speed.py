"""Images per second of `prepare` and of its detector alone, in turn, on the same pages.

    python -m benchmarks.datasets.prepare_speed --pile /tmp/pile/pile --work /tmp/speed

Both run in the same number of processes; the detector alone gets decoded images and writes nothing.
`single detection` is the detector without its ten repetitions for each face.
"""

import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from animegan.core.errors import UsageError
from animegan.datasets.faces.detector import FaceDetector
from animegan.datasets.prepare.pipeline import Options, prepare
from benchmarks.datasets.detector_rates import OneLook
from benchmarks.harness.command import run
from benchmarks.harness.ratio import ratio


def main(*, pile: Path, work: Path, pages: int = 40, rounds: int = 2, num_workers: int = 2) -> None:
    """Run both in turn and print their ratio.

    Args:
        pile: the pages of `prepare_pile`, of which the first `pages` are used.
        work: a folder to create, or to empty.
        rounds: of each side.
        num_workers: processes of each side.
    """
    shutil.rmtree(work, ignore_errors=True)
    copies = work / "pages"
    copies.mkdir(parents=True)
    for path in sorted(pile.glob("page*.png"))[:pages]:
        shutil.copyfile(path, copies / path.name)
    names = sorted(copies.iterdir())
    if not names:
        raise UsageError(
            f"--pile {pile}: has no page*.png; take the pile/ of prepare_pile's --work"
        )
    options = Options(str(copies), str(work / "out"), image_size=64, min_size=56,
                      num_workers=num_workers)  # fmt: skip
    smallest = options.searching.smallest
    rates: dict[str, list[float]] = {"prepare": [], "detector": [], "single detection": []}
    for _ in range(rounds):
        for kind in ("detector", "single detection"):
            once = kind == "single detection"
            rates[kind].append(_detect(names, num_workers, smallest, once))
        shutil.rmtree(work / "out", ignore_errors=True)
        began = time.monotonic()
        prepare(options)
        rates["prepare"].append(len(names) / (time.monotonic() - began))
    for kind, values in rates.items():
        print(f"{kind}: {', '.join(f'{v:.2f}' for v in values)} images per second")
    print(f"prepare / detector: {ratio(rates['prepare'], rates['detector'])}")


def _detect(names: list[Path], workers: int, smallest: int, one_look: bool) -> float:
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (one_look,)) as pool:
        list(pool.map(_busy, range(workers)))  # wait until all processes have started
        times = list(pool.map(_find, names, [smallest] * len(names)))
    return len(names) / sum(times) * workers


_detector: FaceDetector  # of a process of the pool


def _begin(one_look: bool) -> None:
    global _detector
    _detector = OneLook() if one_look else FaceDetector()


def _busy(number: int) -> None:
    time.sleep(0.5)


def _find(path: Path, smallest: int) -> float:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    began = time.monotonic()
    _detector.find(picture, smallest)
    return time.monotonic() - began


if __name__ == "__main__":
    run(main)
