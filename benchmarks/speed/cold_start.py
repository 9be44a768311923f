"""Time commands in fresh processes: help, errors and `generate`.

    python -m benchmarks.speed.cold_start [--rounds 7]

The baselines are an interpreter that does nothing and one that imports torch and torchvision. Every
command runs once per round, with files in the page cache. Prints Markdown.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from animegan.models import Spec
from benchmarks.harness import command
from benchmarks.harness.ratio import Spread, in_turn, ratio
from benchmarks.harness.training import commit
from benchmarks.speed.generating import save_nets

ROOT = Path(__file__).parents[2]
IMPORTS = "import torch, torchvision"


def commands(folder: Path) -> dict[str, tuple[list[str], int]]:
    """Return name -> (arguments of `python`, exit code), for files in `folder`."""
    draw = ["main.py", "generate", "--gpu=false", f"--netg-path={folder}/netg.pth",
            f"--gen-img={folder}/sheet.png"]  # fmt: skip
    return {
        "nothing": (["-c", "pass"], 0),
        IMPORTS: (["-c", IMPORTS], 0),
        "--help": (["main.py", "--help"], 0),
        "train --help": (["main.py", "train", "--help"], 0),
        "train: unknown option": (["main.py", "train", "--bach-size=3"], 2),
        "train: wrong values": (
            ["main.py", "train", "--batch-size=x", "--lr1=-1", "--loss=foo", "--gpu=extra"], 2
        ),
        "train: no such folder": (["main.py", "train", f"--data-path={folder}/away"], 2),
        "train: no pictures": (
            ["main.py", "train", f"--data-path={folder}/empty", "--vis=false", "--dry-run"], 2
        ),
        "train: size no net has": (
            ["main.py", "train", f"--data-path={folder}", "--image-size=97", "--dry-run"], 2
        ),
        "train: no such state": (["main.py", "train", f"--resume={folder}/away"], 2),
        "generate: no weights named": (["main.py", "generate"], 2),
        "generate: no such weights": (
            ["main.py", "generate", f"--netg-path={folder}/away.pth"], 2
        ),
        "generate: wrong suffix": ([*draw[:-1], "--gen-img=sheet.gif"], 2),
        "generate, 64 pictures": (draw, 0),
        "generate, 64 of 64 ranked": (
            [*draw, f"--netd-path={folder}/netd.pth", "--gen-search-num=64"], 0
        ),
    }  # fmt: skip


def run(words: Sequence[str], code: int) -> None:
    """Run `python` with these arguments in the repository's root; exit if its code differs."""
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != code:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr}")


def table(seconds: Mapping[str, Sequence[float]]) -> list[str]:
    """Return Markdown rows per command: seconds, and the ratio to the imports alone."""
    lines = [
        f"| command | seconds (spread) | times `{IMPORTS}` (spread) |",
        "|---|---|---|",
    ]
    for name, times in seconds.items():
        lines.append(f"| {name} | {Spread.of(times)} | {ratio(times, seconds[IMPORTS])} |")
    return lines


def measure(spec: Spec, rounds: int) -> str:
    """Time every command in turn; return Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "empty").mkdir()
        save_nets(spec, folder)
        sides: dict[str, Callable[[], object]] = {
            name: partial(run, words, code) for name, (words, code) in commands(folder).items()
        }
        for side in sides.values():
            side()
        rows = table(in_turn(sides, rounds))
    head = f"{rounds} rounds, torch {torch.__version__}, commit {commit()}"
    return "\n".join([head, "", *rows])


def main(*, rounds: int = 7) -> None:
    """Print the table."""
    print(measure(Spec(), rounds))


if __name__ == "__main__":
    command.run(main)
