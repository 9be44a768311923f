"""Whole trainings of several processes, started by torchrun."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import torch

from animegan.cli.app import main
from animegan.core.program import command_line
from tests.support import cli
from tests.support.cli import MAIN, run
from tests.training.test_two_processes import BOUNDS

SMALL = [*cli.SMALL, "--preset=scratch"]
LONG = ["--max-steps=1000000", "--plot-every=1", "--state-every-minutes=0.005", "--keep=1000"]
PATIENCE = 240  # seconds; for machines with much else to do


def environment(place):
    # no warnings as errors: torchrun itself has some
    return os.environ | {"ANIMEGAN_CACHE": str(place / "cache")}


def torchrun(*words, restarts=0):
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            f"--max-restarts={restarts}", str(MAIN), *words]  # fmt: skip


def run_two(place, *words):
    return subprocess.run(
        torchrun(*words), cwd=place, env=environment(place), capture_output=True, text=True,
        timeout=PATIENCE,
    )  # fmt: skip


@contextmanager
def started(place, *words, restarts=0):
    """torchrun at work; it and its processes are gone at the end, whatever the test finds."""
    with subprocess.Popen(
        torchrun(*words, restarts=restarts), cwd=place, env=environment(place),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()  # it ends its own
                try:
                    process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()


def wait_for(what, process):
    """What `what()` gives once it is something; the process has to live that long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := what():
            return found
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def workers(process):
    """Ids of the two processes, by rank, of which the main one is the first."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    return [int(one) for one in found]


def states(place, name):
    return sorted((place / "checkpoints" / name / "states").glob("state_*.pt"))


def steps(place, name):
    lines = (place / "checkpoints" / name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def weights(place, name, kind):
    path = place / "checkpoints" / name / f"{kind}_last.pth"
    return torch.load(path, weights_only=True)["weights"]


def furthest(place, one, other):
    pairs = [(weights(place, one, kind), weights(place, other, kind)) for kind in ("netg", "netd")]
    return max(
        (a[name].double() - b[name].double()).abs().max().item() for a, b in pairs for name in a
    )


def test_two_processes_go_on_with_a_run_of_one(place):
    """They begin where one process stopped, and end where one alone does.

    In float32: in bfloat16, which machines that have it take by themselves, the order of sums
    shows.
    """
    words = [*SMALL, "--precision=fp32", "--plot-every=1"]
    run(place, "train", *words, "--max-steps=4", "--name=alone")
    run(place, "train", *words, "--max-steps=2", "--name=mixed")
    done = run_two(place, "train", *words, "--max-steps=4", "--name=mixed", "--resume")
    assert done.returncode == 0, done.stderr
    assert (
        "processes 2 instead of 1: resuming, but results will not be bitwise identical"
        in done.stderr
    )
    assert done.stderr.count("from step 2") == done.stderr.count("done: ") == 1
    assert steps(place, "mixed") == [1, 2, 3, 4]
    assert furthest(place, "alone", "mixed") < BOUNDS[False]


def test_the_plan_is_printed_once_and_names_the_processes(place):
    done = run_two(place, "train", *SMALL, "--dry-run", "--name=plan")
    assert done.returncode == 0
    assert done.stdout.count("plan:") == 1
    assert "processes   2, each with 2 pictures per batch" in done.stdout
    assert not (place / "checkpoints" / "plan").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["demo"], ["runs"], ["monitor"], ["doctor", "data"], ["download", "mnist"],
        ["prepare", "data", "--out=new"], ["evaluate", "--samples=data", "--against=data"],
        ["generate", "--netg-path=x"],
    ],
)  # fmt: skip
def test_only_a_training_takes_several_processes(command, monkeypatch, capsys):
    for name, value in {"RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "-", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("torchrun: 2 processes would")
    assert line.endswith(f"; run {command_line(command[0])} without it")


def test_what_torchrun_cannot_have_set_is_told(monkeypatch, capsys):
    said = {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "-", "MASTER_PORT": "1.5"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert main(["train"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "RANK x: not a whole number; torchrun sets it, without torchrun unset it"
    assert second.startswith("MASTER_PORT 1.5: not a whole number; ")


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("--batch-size=5", "--batch-size 5: not divisible by 2 processes; use 4"),
        ("--batch-size=many", "--batch-size: got 'many'"),
    ],
)
def test_mistakes_are_told_once(place, word, problem):
    done = run_two(place, "train", *SMALL[:4], word, *SMALL[5:], "--name=wrong")
    assert done.returncode != 0
    assert "exitcode  : 2" in done.stderr
    assert done.stderr.count(problem) == 1
    assert 'main.py", line' not in done.stderr
    assert not (place / "checkpoints" / "wrong").exists()


def test_a_machine_that_does_not_see_the_run_ends_both_in_a_line(place, tmp_path):
    """Two machines, one process each, without a folder in common."""
    run(place, "train", *SMALL, "--max-steps=1", "--name=here")
    shutil.copytree(place / "data", tmp_path / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(MAIN), "train", "--resume", "--name=here", "--max-steps=2"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={rank}",
             "--master-addr=127.0.0.1", f"--master-port={port}", *words],
            cwd=folder, env=environment(place), stderr=subprocess.PIPE, text=True,
        )
        for rank, folder in enumerate((place, tmp_path))
    ]  # fmt: skip
    try:
        said = [one.communicate(timeout=PATIENCE)[1] for one in both]
    finally:
        for one in both:
            one.kill()
    line = "--resume: no state in checkpoints/here/states; "
    assert all(one.count(line) == 1 for one in said)
    assert "(process 1)" in said[0]
    assert all('main.py", line' not in one for one in said)


def test_a_signal_saves_and_stops_both_at_one_step(place):
    with started(place, "train", *SMALL, *LONG, "--name=asked") as process:
        wait_for(lambda: states(place, "asked"), process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert (
        len(re.findall("saved; to continue: .*main.py train --resume=checkpoints/asked\n", said))
        == 1
    )
    last = steps(place, "asked")[-1]
    assert states(place, "asked")[-1].name == f"state_{last:08d}.pt"


def test_a_process_that_dies_ends_the_training(place):
    with started(place, "train", *SMALL, *LONG, "--name=dead") as process:
        wait_for(lambda: states(place, "dead"), process)
        both = workers(process)
        os.kill(both[1], signal.SIGKILL)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "Signal 9 (SIGKILL)" in said
    for gone in both:
        with pytest.raises(ProcessLookupError):
            os.kill(gone, 0)


def test_torchrun_starts_them_anew_from_the_last_state(place):
    """Without --resume, nor a name by which to find the run."""
    before = {path.name for path in (place / "checkpoints").iterdir()}
    with started(place, "train", *SMALL, *LONG, restarts=1) as process:

        def new():
            found = {path.name for path in (place / "checkpoints").iterdir()} - before
            return next((name for name in found if states(place, name)), None)

        name = wait_for(new, process)
        first = set(workers(process))
        os.kill(workers(process)[0], signal.SIGKILL)
        wait_for(lambda: len(set(workers(process)) - first) == 2, process)
        at_restart = steps(place, name)[-1]
        wait_for(lambda: steps(place, name)[-1] > at_restart + 3, process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    starts = [line for line in said.splitlines() if "pictures, cpu, from step" in line]
    assert len(starts) == 2
    assert starts[0].startswith(f"checkpoints/{name}: 10 pictures, cpu, from step 0")
    assert starts[1].startswith(f"checkpoints/{name}: 10 pictures, cpu, from step ")
    assert int(starts[1].rpartition(" ")[2]) > 0
    seen = steps(place, name)
    assert seen == list(range(1, len(seen) + 1))  # each once, in order
