"""Small files of every kind that the tool reads, made by the tool itself."""

import json
import os
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from animegan.data.face_set import open_set
from animegan.datasets.doctor import command
from animegan.datasets.prepare.pipeline import Options, prepare
from benchmarks.reliability.tally import run_main, watched

SMALL = ("--image-size=16", "--nz=4", "--ngf=2", "--ndf=2", "--batch-size=4", "--threads=1",
         "--vis=False", "--nogpu", "--num-workers=1")  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """Where they lie below `root`."""

    root: Path
    steps: int = 6
    preparing: dict[str, Any] = field(default_factory=lambda: {
        "image_size": 16, "detect": False, "min_size": 1, "min_spread": 0.0, "min_colour": 0.0,
        "min_sharpness": 0.0, "min_detail": -200.0, "near": 0, "num_workers": 0, "heldout": 0.2,
    })  # fmt: skip
    fixing: dict[str, Any] = field(default_factory=lambda: {
        "num_workers": 0, "min_detail": -200.0, "min_sharpness": 0.0, "min_colour": 0.0, "near": 0,
        "min_spread": 0.0,
    })  # fmt: skip

    @property
    def faces(self) -> Path:
        return self.root / "faces"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def old_weights(self) -> Path:
        return self.root / "old" / "netg.pth"

    @property
    def each(self) -> Path:
        return self.root / "each"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def fix(self) -> Path:
        return self.root / "fix"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    @property
    def archives(self) -> Path:
        return self.root / "archives"

    @property
    def csv(self) -> Path:
        return self.root / "tables" / "labels.csv"

    @property
    def toml(self) -> Path:
        return self.root / "tables" / "options.toml"


def draw_faces(folder: Path, count: int, size: int = 20) -> None:
    """Write random pictures 0.png, 1.png, ..., the same for the same count."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(count):
        spots = rng.integers(0, 256, (5, 5, 3), np.uint8)
        Image.fromarray(spots).resize((size, size)).save(folder / f"{k}.png")


def make_samples(root: Path) -> Samples:
    """Make all of them. ANIMEGAN_CACHE is set to a folder among them."""
    files = Samples(root)
    os.environ["ANIMEGAN_CACHE"] = str(files.cache)
    draw_faces(files.faces, 12)
    for folder in (files.old_weights.parent, files.pictures, files.archives, files.csv.parent,
                   files.fix):  # fmt: skip
        folder.mkdir(parents=True)
    train = ("train", f"--data-path={files.faces}", f"--runs-path={files.runs}", "--name=a", *SMALL)
    run = files.runs / "a"
    often = ("--plot-every=1", f"--max-steps={files.steps - 2}")
    _done(lambda: run_main(*train, *often))
    going_on = ("train", f"--resume={run}", *SMALL[5:], f"--max-steps={files.steps}")
    _done(lambda: run_main(*going_on))  # which leaves a second state
    weights = torch.load(run / "netg_last.pth", weights_only=True)
    torch.save(weights, files.old_weights, _use_new_zipfile_serialization=False)
    _done(lambda: run_main("generate", f"--netg-path={run / 'netg_last.pth'}", "--gen-num=4",
                           f"--gen-img={root / 'drawn.png'}", "--nogpu", "--vis=False",
                           "--threads=1", f"--save-each={files.each}"))  # fmt: skip
    _done(lambda: prepare(Options(str(files.faces), str(files.out), **files.preparing)))
    _done(lambda: open_set(files.faces, image_size=16, num_workers=1))
    _pictures(files.pictures)
    with zipfile.ZipFile(files.archives / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(files.faces.iterdir()):
            packed.write(path, f"部/{path.name}")
    for suffix, mode in (("tar", "w"), ("tar.gz", "w:gz"), ("tar.bz2", "w:bz2"),
                         ("tar.xz", "w:xz")):  # fmt: skip
        with tarfile.open(files.archives / f"a.{suffix}", mode) as tar:  # type: ignore[call-overload]
            tar.add(files.faces, "部")
    rows = "".join(f"{k}.png,{'red' if k % 2 else 'blonde'},{k % 3}\n" for k in range(12))
    files.csv.write_text(f"file,hair,eyes\n{rows}", encoding="utf-8")
    files.toml.write_text(
        f'data_path = "{files.faces}"\nloss = "bce"\nlr1 = 0.0002\nimage_size = 16\n'
        'batch_size = 4\nflip = true\nname = "b"\n', encoding="utf-8")  # fmt: skip
    asked = command.Options(str(files.faces), fix=str(files.fix), **files.fixing)
    note = json.dumps(command.request(asked))
    (files.fix / ".doctor.json").write_text(note, encoding="utf-8")
    return files


def _pictures(folder: Path) -> None:
    """Write one picture of each format that can be written here."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8))
    for suffix in ("png", "jpg", "webp", "bmp", "gif", "tiff", "avif", "jp2", "ppm", "tga", "ico"):
        try:
            picture.save(folder / f"0.{suffix}")
        except (KeyError, ValueError, OSError):  # this Pillow writes none
            (folder / f"0.{suffix}").unlink(missing_ok=True)


def _done(work: Any) -> None:
    outcome, text = watched(work)
    assert outcome == "answer", f"{outcome}: {text}"
