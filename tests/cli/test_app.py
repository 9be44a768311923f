"""Whole command lines, through real processes."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from animegan.losses.objectives import r3gan_gamma
from tests.support.cli import MAIN, SMALL, environment, run, started


def weights(path):
    return torch.load(path, weights_only=True)["weights"]


# --- the book's reader


def test_train_and_generate_with_the_books_words(place):
    run(place, "train", *SMALL, "--max-epoch=2", "--save-every=1", "--name=book")
    files = {path.name for path in (place / "checkpoints" / "book").iterdir()}
    assert files >= {"netg_2.pth", "netd_2.pth", "netg_last.pth", "options.json", "metrics.jsonl",
                     "curves.png", "strip.png", "timelapse.webp", "samples", "states"}  # fmt: skip
    done = run(
        place, "generate", "--nogpu", "--vis=False", "--netd-path=checkpoints/netd_2.pth",
        "--netg-path=checkpoints/netg_2.pth", "--gen-img=result.png", "--gen-num=64",
    )  # fmt: skip
    assert "using that of the newest run, book" in done.stderr
    with Image.open(place / "result.png") as picture:
        assert picture.size == (8 * 18 + 2, 8 * 18 + 2)


def test_options_and_runs_are_listed(place):
    run(place, "train", *SMALL, "--max-steps=1", "--name=listed", "--lr1=5e-4")
    listing = run(place, "runs").stdout
    row = next(line for line in listing.splitlines() if line.startswith("listed"))
    assert "lr1=0.0005" in row
    assert "beta1" not in row
    command = run(place, "runs", "--repeat=listed").stdout
    assert "main.py train" in command
    assert "--lr1=0.0005" in command


def test_a_dry_run_trains_nothing(place):
    done = run(place, "train", *SMALL, "--preset=book", "--dry-run", "--name=dry")
    assert re.search(r"g_every +5 +preset book", done.stdout)
    assert re.search(r"batch_size +4 +flag", done.stdout)
    assert "pictures    10" in done.stdout
    assert not (place / "checkpoints" / "dry").exists()


def test_measuring_against_the_training_set_is_told(place):
    done = run(place, "train", *SMALL, "--eval-path=data/faces/..", "--dry-run", "--name=dry")
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("--eval-path")]
    assert "the same folder as --data-path" in line


def test_a_warm_start_takes_sizes_from_the_files(place):
    run(place, "train", *SMALL, "--max-steps=1", "--name=cold")
    cold = place / "checkpoints" / "cold"
    run(
        place, "train", f"--netg-path={cold}/netg_last.pth", f"--netd-path={cold}/netd_last.pth",
        "--batch-size=4", "--lr1=1e-9", "--lr2=1e-9", "--max-steps=1", "--name=warm", "--vis=False",
    )  # fmt: skip
    plan = run(place, "train", f"--netg-path={cold}/netg_last.pth", "--batch-size=4", "--dry-run")
    assert re.search(rf"image_size +16 +{re.escape(str(cold))}/netg_last.pth", plan.stdout)
    before = weights(cold / "netg_last.pth")["last.weight"]
    after = weights(place / "checkpoints" / "warm" / "netg_last.pth")["last.weight"]
    torch.testing.assert_close(before, after, rtol=0, atol=1e-7)


def test_a_warm_start_takes_what_goes_by_size_from_the_size_that_is_trained(place):
    r3gan = ["--net=r3gan", "--loss=r3gan", "--ema=0"]
    small = [one.replace("f=2", "f=8") for one in SMALL]
    run(place, "train", *small, *r3gan, "--max-steps=1", "--name=r3gan")
    warm = [f"--netg-path={place}/checkpoints/r3gan/netg_last.pth", "--batch-size=4", "--dry-run"]
    weight = f"{r3gan_gamma(16):g}"
    done = run(place, "train", *warm, *r3gan, "--ndf=8", "--r2=3")
    assert re.search(rf"r1 +{weight} +loss r3gan", done.stdout)
    assert re.search(r"r2 +3.0 +flag", done.stdout)


def test_a_warm_start_that_cannot_be_is_told(place):
    run(place, "train", *SMALL, "--max-steps=1", "--name=batch-norm")
    run(place, "train", *SMALL, "--max-steps=1", "--name=mlp", "--net=mlp")
    here = place / "checkpoints"
    netd = f"--netd-path={here}/batch-norm/netd_last.pth"
    warm = ["train", "--batch-size=4", "--vis=False", "--dry-run"]
    done = run(place, *warm, netd, "--loss=wgan-gp", code=2)
    assert re.fullmatch(r"--netd-path .*: has BatchNorm, .*\n", done.stderr)
    done = run(place, *warm, netd, f"--netg-path={here}/mlp/netg_last.pth", code=2)
    assert "differ in image size, channels or --net" in done.stderr
    run(place, *warm, netd, "--loss=hinge")  # its own norm is not asked for, only brought along


def test_a_warm_start_from_features_is_held_to_what_they_can(place):
    small = [one for one in SMALL if "size=16" not in one]
    run(place, "train", *small, "--image-size=32", "--d-features=lite0", "--net=dcgan",
        "--max-steps=1", "--name=looks")  # fmt: skip
    netd = f"--netd-path={place}/checkpoints/looks/netd_last.pth"
    warm = ["train", "--batch-size=4", "--vis=False", "--dry-run", netd]
    done = run(place, *warm, "--loss=wgan", code=2)
    assert re.fullmatch(r"--clip 0.01: has no effect on weights that spectral .*\n", done.stderr)
    done = run(place, *warm, "--loss=wgan-gp", code=2)
    assert done.stderr.startswith("--loss wgan-gp with --d-features lite0: its penalty is meant")
    plan = run(place, *warm, "--preset=best", "--ngf=2")  # its net has no --g-convs
    assert re.search(r"g_convs +None", plan.stdout)


def test_fine_tuning_from_features_takes_their_objective_and_rates(place):
    small = [one for one in SMALL if "size=" not in one]
    run(place, "train", *small, "--image-size=32", "--batch-size=4", "--preset=best",
        "--max-steps=1", "--name=tuned")  # fmt: skip
    tuned = place / "checkpoints" / "tuned"
    warm = ["train", f"--netg-path={tuned}/netg_last.pth", f"--netd-path={tuned}/netd_last.pth",
            "--batch-size=4", "--vis=False", "--dry-run"]  # fmt: skip
    plan = run(place, *warm).stdout
    for line in (r"loss +hinge", r"lr1 +0.002", r"beta1 +0.0", r"beta2 +0.99"):
        assert re.search(rf"{line} +d-features lite0", plan)
    assert re.search(rf"g_convs +2 +{re.escape(str(tuned))}/netg_last.pth", plan)
    plan = run(place, *warm, "--loss=lsgan", "--lr1=0.1").stdout
    assert re.search(r"loss +lsgan +flag", plan)
    assert re.search(r"lr1 +0.1 +flag", plan)
    assert re.search(r"lr2 +0.002 +d-features lite0", plan)
    done = run(place, *warm, "--preset=book", code=2)
    assert re.search(r"--net dcgan \(preset book\): .* has fastgan; leave", done.stderr)


def test_a_run_from_before_an_option_goes_on_without_it(place):
    lite0 = [*SMALL, "--preset=best", "--g-convs=1"]
    run(place, "train", *[one for one in lite0 if "size=16" not in one], "--image-size=32",
        "--max-steps=1", "--name=old")  # fmt: skip
    file = place / "checkpoints" / "old" / "options.json"
    saved = json.loads(file.read_text())
    del saved["options"]["g_convs"]
    file.write_text(json.dumps(saved))
    repeat = run(place, "runs", "--repeat=old").stdout
    assert "--g-convs= " in repeat
    run(
        place,
        "train",
        "--resume=old",
        "--max-steps=2",
        "--allow-changes",
        "--vis=False",
    )
    done = run(place, "train", "--resume=checkpoints/old", "--g-convs=2", "--vis=False", code=2)
    assert "--g-convs 2: run old has None; leave it out" in done.stderr


def test_held_out_pictures_are_told_under_their_own_flag(place):
    (place / "empty").mkdir()
    done = run(place, "train", *SMALL, "--eval-path=empty", "--name=x", code=2)
    assert done.stderr.startswith("--eval-path empty: no pictures")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--eval-path=few"], "--eval-path few: 9 pictures are too few"),
        (["--eval-path=enough", "--extractor=inception", "--inception-file=data/faces/1.png"],
         "--inception-file data/faces/1.png: contains no state dict"),
    ],
)  # fmt: skip
def test_a_dry_run_refuses_what_cannot_be_measured(place, words, problem):
    for name, first in (("few", 1), ("enough", 0)):
        (place / name).mkdir(exist_ok=True)
        for path in sorted((place / "data" / "faces").iterdir())[first:]:
            shutil.copy(path, place / name)
    done = run(place, "train", *SMALL, *words, "--dry-run", code=2)
    assert done.stderr.startswith(problem)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_an_evaluation_counts_the_pictures_that_there_are(place):
    """10 pictures are 2.5 steps, a tenth of 25; 1,000 would be measured after step 2,500."""
    words = ["--eval-path=data", "--eval-every=1", "--max-steps=25"]
    run(place, "train", *SMALL, *words, "--name=watched")
    record = (place / "checkpoints" / "watched" / "metrics.jsonl").read_text().splitlines()
    assert [one["step"] for one in map(json.loads, record) if "kid_x1000" in one] == [25]


# --- stops


def ended_by(process, number):
    """Send the signal; the exit code, and what was said."""
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def wait_for_step(run_folder, step):
    for _ in range(600):
        metrics = run_folder / "metrics.jsonl"
        if metrics.exists() and re.findall(rf'"step": ({step}|\d\d\d+),', metrics.read_text()):
            return
        time.sleep(0.1)
    raise AssertionError(f"no step {step} in a minute")


def test_stops_of_every_kind_and_resumes_give_the_same_bits(place):
    common = [*SMALL, "--plot-every=1", "--save-every=1000", "--state-every-minutes=0.0001"]
    run(place, "train", *common, "--max-steps=301", "--name=straight")
    folder = place / "checkpoints" / "stopped"
    with started(place, "train", *common, "--max-steps=1000000", "--name=stopped") as process:
        wait_for_step(folder, 20)
        code, said = ended_by(process, signal.SIGINT)
        assert code == 130, said
        assert "--resume=" in said
    again = ["train", "--resume", "--name=stopped"]
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        before = (folder / "metrics.jsonl").read_text().count("\n")
        with started(place, *again) as process:
            wait_for_step(folder, before + 20)
            assert ended_by(process, number)[0] == code
    done_steps = int(max((folder / "states").glob("*.pt")).stem.removeprefix("state_"))
    assert done_steps < 301, "the machine was too fast for this test"
    run(place, *again, "--max-steps=301")
    for name in ("netg_last.pth", "netd_last.pth"):
        one, other = weights(place / "checkpoints" / "straight" / name), weights(folder / name)
        assert all(torch.equal(one[key], other[key]) for key in one)
    steps = [int(s) for s in re.findall(r'"step": (\d+)', (folder / "metrics.jsonl").read_text())]
    assert steps == list(range(1, 302))


def test_the_end_of_the_minutes_is_not_the_end_of_the_run(place):
    done = run(place, "train", *SMALL, "--max-minutes=0.00001", "--name=short")
    assert re.search("before the last step; to continue: .*main.py train --resume=", done.stderr)
    assert "so far: " in done.stderr
    assert "done: " not in done.stderr
    done = run(place, "train", *SMALL, "--max-steps=2", "--name=whole")
    assert "last step" not in done.stderr
    assert "done: " in done.stderr
    both = place / "both"
    shutil.copytree(place / "data" / "faces", both / "one")
    shutil.copytree(place / "data" / "faces", both / "two")
    done = run(place, "train", *SMALL, f"--data-path={both}", "--dry-run")
    assert "20 pictures, of the folders one 10, two 10" in done.stderr
    assert re.search(r"weights +a pair of files every 10 epochs .*, 20 in total", done.stdout)


def test_places_that_cannot_be_written_are_told_before_any_work(place):
    (place / "file").touch()
    faces = "data/faces"
    for words in (
        ["evaluate", f"--samples={faces}", f"--against={faces}", "--report=file/page.html"],
        ["doctor", faces, "--report=file/page.html"],
        ["doctor", faces, "--fix=file/fixed"],
        ["prepare", faces, "--out=file/out", "--no-detect"],
    ):
        done = run(place, *words, code=2)
        assert re.fullmatch(
            r"--\w+ file.*: cannot be written to \(.*\); use another folder\n", done.stderr
        )


def test_a_pile_without_faces_ends_with_1_and_no_advice_to_train(place):
    (place / "pile").mkdir()
    done = run(place, "prepare", "pile", "--out=cut", "--no-detect", code=1)
    assert "no faces to train on; cut/report.html" in done.stderr
    assert "main.py train" not in done.stderr


def test_two_trainers_cannot_share_a_folder(place):
    shared = ["--max-steps=1000000", "--name=shared", "--plot-every=1"]
    folder = place / "checkpoints" / "shared"
    with started(place, "train", *SMALL, *shared, "--state-every-minutes=0.0001") as process:
        wait_for_step(folder, 2)
        done = run(place, "train", "--resume", "--name=shared", code=2)
        assert f"--name shared: process {process.pid} " in done.stderr
        assert ended_by(process, signal.SIGINT)[0] == 130


def test_a_resume_with_other_options_is_refused(place):
    run(place, "train", *SMALL, "--max-steps=1", "--name=mine")
    done = run(place, "train", "--resume", "--name=mine", "--lr1=5e-4", "--seed=3", code=2)
    assert "--lr1 0.0005: run mine has 0.001" in done.stderr
    assert "--seed 3: run mine has 0" in done.stderr
    run(place, "train", "--resume", "--name=mine", "--lr1=5e-4", "--allow-changes", "--max-steps=2")


# --- mistakes


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["trian"], ["trian: no such command; did you mean train?"]),
        (["train", "--lr", "3"], ["--lr: unknown option; did you mean --lr1 or --lr2?"]),
        (["train", "faces"], ["faces: unexpected argument; options are written --name=value"]),
        (["train", "--gpu", "extra"], ["--gpu: got 'extra'; it takes true or false"]),
        (["train", "--batch-size=1e9"], ["--batch-size: got '1e9'; it takes a whole number"]),
        (["train", "--nz", "2", "--nz", "3"], ["--nz: given twice (2 and 3); keep one"]),
        (["train", "--data-path", "2024"], ["--data-path 2024: no such file or folder"]),
        (["train", "--beta1=False", "--lr1"], ["--lr1: needs a value", "--beta1: got 'False'"]),
        (["train", "--image-size=97"],
         ["--image-size 97: fastgan does not support this size; nearest supported: 80, 96"]),
        (["train", "--gpu"], ["--gpu: torch finds no CUDA device;"]),
        (["train", "--device=cuda:9"], ["--device cuda:9: cannot be used here"]),
        (["train", "--device=cup"], ["--device cup: cannot be used here"]),
        (["train", "--batch-size=11"], ["--batch-size 11: there are only 10 pictures"]),
        (["train", "--name=../up"], ["--name ../up: not a folder name; use letters, digits"]),
        (["train", "--resume"], ["--resume: no run in checkpoints/ has a state"]),
        (["train", "--preset=boko"], ["--preset: got 'boko'; it takes one of best, scratch, book"]),
        (["train", "--config=no.toml"], ["--config no.toml: cannot be read"]),
        (["train", *SMALL, "--background=blurple"], ["--background blurple"]),
        (["generate"], ["--netg-path: no run in checkpoints/ has weights"]),
        (["generate", "--netg-path=data/faces/1.png"], ["--netg-path data/faces/1.png: "]),
        (["generate", "--netg-path=none.pth"], ["--netg-path none.pth: no such file"]),
        (["monitor", "--visdom-port=99999"], ["--visdom-port: got '99999'"]),
        (["runs", "--repeat=nobody"], ["--repeat nobody: no such run"]),
    ],
)  # fmt: skip
def test_wrong_lines_get_their_answer(tmp_path, place, words, lines):
    (tmp_path / "data").symlink_to(place / "data")
    (tmp_path / "checkpoints").mkdir()
    said = run(tmp_path, *words, code=2).stderr.splitlines()
    assert len(said) == len(lines), said
    for line, start in zip(said, lines, strict=True):
        assert line.startswith(start)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_help_needs_nothing_heavy(place):
    listed = subprocess.run(
        [sys.executable, "-X", "importtime", str(MAIN), "train", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--batch-size" in listed.stdout
    modules = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}
    assert modules.isdisjoint({"torch", "numpy", "PIL", "fire", "visdom"})


def test_version_names_what_a_report_should(place):
    shown = run(place, "--version")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.fullmatch(
        r"animegan \d+\.\d+\.\d+, torch \S+, Python 3\.\d+\.\d+, \w+\n", shown.stdout
    )


def test_every_command_has_a_help_page(place):
    for command in re.findall(r"^  (\w+)  ", run(place).stdout, re.M):
        assert f"main.py {command}" in run(place, command, "--help").stdout


@pytest.mark.parametrize(
    "words",
    [["doctor", "many"], ["prepare", "many", "--out=cut", "--no-detect"], ["demo", "--nogpu"]],
    ids=lambda words: words[0],
)
def test_sigterm_ends_the_worker_processes_too(tmp_path, words):
    (tmp_path / "many").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    for k in range(300):
        (tmp_path / "many" / f"{k}.png").symlink_to(tmp_path / "large.png")
    with subprocess.Popen(
        [sys.executable, str(MAIN), *words, "--num-workers=2"],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        said = b""
        while not re.search(rb" [1-9]\d*/\d+ ", said):  # the progress bar: workers are at work
            said += process.stderr.read1()
            assert process.poll() is None, said
        process.terminate()
        _, rest = process.communicate(timeout=60)  # returns once nobody holds the pipes any more
    assert process.returncode == 128 + signal.SIGTERM
    assert rest.endswith(b"stopped\n")
    assert b"Traceback" not in rest
