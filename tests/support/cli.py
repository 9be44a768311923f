"""Run command lines as real processes, with tiny nets."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

MAIN = Path(__file__).parents[2] / "main.py"
SMALL = ["--image-size=16", "--nz=5", "--ngf=2", "--ndf=2",
         "--batch-size=4", "--threads=1", "--vis=False", "--nogpu"]  # fmt: skip


def environment(place):
    wide = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return wide | {"ANIMEGAN_CACHE": str(place / "cache"), "PYTHONWARNINGS": "error"}


# options that decide the recipe; without one of them, tests train tiny nets from scratch
RECIPE = ("--preset", "--net", "--loss", "--d-features", "--resume", "--budget", "--config")


def scratch(*words):
    """The words of a command line, which trains from scratch unless it names its recipe."""
    chosen = any(word.startswith(RECIPE) for word in words)
    return words if words[:1] != ("train",) or chosen else (*words, "--preset=scratch")


def run(place, *words, code=0):
    done = subprocess.run(
        [sys.executable, str(MAIN), *scratch(*words)],
        cwd=place, env=environment(place), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def started(place, *words):
    """A process that is gone at the end, whatever the test finds."""
    with subprocess.Popen(
        [sys.executable, str(MAIN), *scratch(*words)], cwd=place, env=environment(place),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
