"""`train --resume` and what it takes over from the run, through real processes."""

import shlex
import shutil
import signal
import time

import pytest
from PIL import Image

from animegan import models
from animegan.models import Spec
from animegan.runs import checkpoint
from tests.support.cli import SMALL, run, started


@pytest.fixture
def away(tmp_path, place):
    """A folder without data/, and the faces in another."""
    shutil.copytree(place / "data" / "faces", tmp_path / "my faces")
    return tmp_path


def test_a_run_goes_on_with_its_own_folder_and_is_repeated_as_it_began(away):
    spec = Spec(image_size=16, nz=5, ngf=2, ndf=2)
    checkpoint.save_net(
        away / "cold.pth", "netg", models.build_netg(spec).state_dict(), spec, {}
    )  # fmt: skip
    run(away, "train", *SMALL, "--data-path=my faces", "--max-steps=1", "--name=warm",
        "--netg-path=cold.pth")  # fmt: skip
    before = shlex.split(run(away, "runs", "--repeat=warm").stdout)
    assert "--netg-path=cold.pth" in before
    run(away, "train", "--resume", "--name=warm", "--max-steps=2", "--nogpu")  # data/ is not there
    after = shlex.split(run(away, "runs", "--repeat=warm").stdout)
    assert set(before) ^ set(after) == {"--max-steps=1", "--max-steps=2"}


def test_a_missing_path_is_told_once(away):
    done = run(away, "train", "--resume=nowhere", "--data-path=my faces", code=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("--resume nowhere: no such state")
    done = run(away, "train", "--resume=", "--data-path=my faces", code=2)
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_that_goes_away_is_made_again_to_save_the_run(away):
    folder = away / "checkpoints" / "gone"
    words = ["--data-path=my faces", "--max-epoch=100000", "--plot-every=1", "--name=gone"]
    with started(away, "train", *SMALL, *words) as process:
        for _ in range(600):
            if (folder / "metrics.jsonl").exists():
                break
            time.sleep(0.1)
        folder.rename(away / "elsewhere")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in said
    assert any(line.startswith("checkpoints/gone: ") for line in said.splitlines())
    assert list((folder / "states").glob("state_*.pt"))
    assert (folder / "options.json").exists()


def test_pictures_that_were_replaced_are_told(away):
    words = ("train", "--resume", "--name=replaced")
    run(away, "train", *SMALL, "--data-path=my faces", "--max-steps=1", "--name=replaced")
    assert "picture files" not in run(away, *words, "--max-steps=2").stderr
    with Image.open(away / "my faces" / "3.png") as picture:
        picture.resize((9, 9)).save(away / "my faces" / "4.png")
    (line,) = [one for one in run(away, *words, "--max-steps=3").stderr.splitlines()
               if "picture files (names and sizes)" in one]  # fmt: skip
    assert line.endswith("resuming, but results will not be bitwise identical")


def test_going_back_to_an_earlier_state_says_what_it_drops(away):
    words = ("--data-path=my faces", "--name=back")
    run(away, "train", *SMALL, *words, "--max-steps=2")
    states = away / "checkpoints" / "back" / "states"
    (first,) = states.iterdir()
    run(away, "train", "--resume", "--name=back", "--max-steps=4")
    (later,) = set(states.iterdir()) - {first}
    done = run(away, "train", f"--resume={first.relative_to(away)}", "--max-steps=3")
    assert f"going back to step 2: deleting {later}" in done.stderr
    assert f"deleting {first}" not in done.stderr
    assert not later.exists()
