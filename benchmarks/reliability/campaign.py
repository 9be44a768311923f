"""A campaign of faults against the tool, with tiny nets and pictures.

    python -m benchmarks.reliability.campaign --kills 7 --disks 7 --mutations 100     (two minutes)
    python -m benchmarks.reliability.campaign --kills 140 --disks 42 --mutations 5000

Commands are killed at random moments and gone on with, their disks are filled, and files of every
kind are damaged and edited. Prints a table of what became of the tries, the first faults of each
kind and a line of JSON; the exit code is 1 if there was a fault.
"""

import json
import resource
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.harness import command
from benchmarks.harness.table import markdown
from benchmarks.reliability.disks import campaign as fill_disks
from benchmarks.reliability.kills import campaign as kill
from benchmarks.reliability.mutations import campaign as mutate
from benchmarks.reliability.samples import make_samples
from benchmarks.reliability.tally import HEADS, Tally

MOST_MEMORY = 12 * 2**30  # bytes of addresses: a file that needs more is a fault


def main(
    *, kills: int = 70, disks: int = 28, mutations: int = 2000, seed: int = 0,
    work: Path | None = None,
) -> None:  # fmt: skip
    """Run the three parts, each with so many tries, and print what they counted.

    `work` is a folder to work in, which is kept; without it, a temporary one is used.
    """
    with tempfile.TemporaryDirectory() as temporary:
        root = work or Path(temporary)
        began = time.monotonic()
        torch.set_num_threads(1)
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, hard))
        tallies = [
            *(kill(root / "kill", kills, seed) if kills else ()),
            *(fill_disks(root / "disk", disks, seed) if disks else ()),
        ]
        if mutations:  # last: making the samples trains in this process
            tallies += mutate(make_samples(root / "samples"), mutations, seed)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        show(tallies, time.monotonic() - began)
    if any(tally.faults for tally in tallies):
        raise SystemExit(1)


def show(tallies: list[Tally], seconds: float) -> None:
    """Print the table, the faults and the JSON."""
    total = Tally("all")
    for tally in tallies:
        for name in ("tried", "right", "refused", "wrong", "tracebacks", "hangs"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    print(markdown(HEADS, [tally.cells() for tally in (*tallies, total)]))
    for tally in tallies:
        for example in tally.examples:
            print(f"{tally.kind}: {example}")
    rows = [asdict(tally) for tally in tallies]
    print(json.dumps({"seconds": round(seconds), "total": asdict(total), "kinds": rows}))


if __name__ == "__main__":
    command.run(main)
