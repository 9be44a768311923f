"""Images per second of `prepare` and of its detector alone, in turn, on the same pages.

    python -m benchmarks.prepare_speed --pile /tmp/pile/pile --work /tmp/speed

Both run in the same number of processes; the detector alone gets decoded images and writes nothing.
`single detection` is the detector without its ten repetitions for each face.
"""

import argparse
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from animegan.datasets.faces.detector import FaceDetector
from animegan.datasets.prepare.pipeline import Options, prepare


class OneLook(FaceDetector):
    """The detector without its repeated detections."""

    def _again(self, image: Image.Image, face):  # type: ignore[no-untyped-def]
        return face


def main() -> None:
    """Parse the options, run both in turn and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pile", required=True, help="the pages of prepare_pile.py")
    parser.add_argument("--work", required=True)
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--num-workers", type=int, default=2)
    args = parser.parse_args()
    work = Path(args.work)
    shutil.rmtree(work, ignore_errors=True)
    pages = work / "pages"
    pages.mkdir(parents=True)
    for path in sorted(Path(args.pile).glob("page*.png"))[: args.pages]:
        shutil.copyfile(path, pages / path.name)
    names = sorted(pages.iterdir())
    options = Options(str(pages), str(work / "out"), image_size=64, min_size=56,
                      num_workers=args.num_workers)  # fmt: skip
    smallest = options.searching.smallest
    rates: dict[str, list[float]] = {"prepare": [], "detector": [], "single detection": []}
    for _ in range(args.rounds):
        for kind in ("detector", "single detection"):
            once = kind == "single detection"
            rates[kind].append(_detect(names, args.num_workers, smallest, once))
        shutil.rmtree(work / "out", ignore_errors=True)
        began = time.monotonic()
        prepare(options, lambda line: None)
        rates["prepare"].append(len(names) / (time.monotonic() - began))
    for kind, values in rates.items():
        print(f"{kind}: {', '.join(f'{v:.2f}' for v in values)} images per second")
    ratio = [a / b for a, b in zip(rates["prepare"], rates["detector"], strict=True)]
    print(f"prepare / detector: {', '.join(f'{v:.2f}' for v in ratio)}")


def _detect(names: list[Path], workers: int, smallest: int, one_look: bool) -> float:
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (one_look,)) as pool:
        list(pool.map(_busy, range(workers)))  # wait until all processes have started
        times = list(pool.map(_find, names, [smallest] * len(names)))
    return len(names) / sum(times) * workers


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
    main()
