"""What a shell, a terminal or a second start does to a training, with real processes."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.cli import MAIN, SMALL, environment, run, started

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the shell's words")
LONG = ["--max-steps=1000000", "--plot-every=1"]


def wait_for(process, words):
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without saying {words}")


@pytest.mark.parametrize("closing", ["<&- >&- 2>&-", "2>/dev/full"])
def test_a_training_needs_no_streams(place, closing):
    words = " ".join([*SMALL, "--preset=scratch", "--max-steps=2", f"--name=s{len(closing)}"])
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' '{MAIN}' train {words} {closing}"],
        cwd=place, env=environment(place), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    assert (place / "checkpoints" / f"s{len(closing)}" / "netg_last.pth").exists()


def test_the_folder_is_claimed_before_the_pictures_are_read(place):
    """The second start is refused at once, and says who holds the folder."""
    with started(place, "train", *SMALL, *LONG, "--channels=1", "--name=one") as process:
        wait_for(process, "decoding")
        process.send_signal(signal.SIGSTOP)
        done = run(place, "train", *SMALL, "--max-steps=1", "--name=one", code=2)
        assert f"process {process.pid} " in done.stderr
        process.send_signal(signal.SIGCONT)
