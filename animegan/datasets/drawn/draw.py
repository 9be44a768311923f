"""Anime-style faces drawn from a seed: a data set for trying things out without a download."""

import json
import random
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw
from tqdm import tqdm

from animegan.core.errors import UsageError
from animegan.core.files import aside, write_text
from animegan.core.parallel import spread
from animegan.datasets.drawn.face import Face
from animegan.datasets.drawn.pen import Pen, hsv, mix

RECIPE = 1  # increment when the same seed would give a different face
_SUPERSAMPLING = 4


def draw_face(seed: int, size: int = 96) -> Image.Image:
    """Draw one face as an RGB picture of `size` x `size`; the same seed gives the same face.

    The seed determines skin, hair (cut, length, colour), eyes, brows, mouth, turn, tilt, clothes,
    ornaments and background; most of these are continuous, so faces hardly ever repeat. Drawn four
    times as large and averaged down.
    """
    rng = random.Random(seed)
    side = size * _SUPERSAMPLING
    canvas = _background(rng, side)
    pen = Pen(canvas, tilt=rng.gauss(0, 7), zoom=rng.uniform(1.06, 1.32))
    Face(rng).draw(pen)
    return canvas.reduce(_SUPERSAMPLING)


def draw_set(folder: Path, count: int, size: int, seed: int, workers: int = 0) -> None:
    """Write `count` faces as `folder/000000.jpg` and up, with a progress bar on stderr.

    Face number i is ``draw_face((seed << 32) + i, size)``. Existing files are kept, so an
    interrupted call can be resumed and a complete set costs nothing. `workers` is the number of
    processes (0: draw in this one).

    Raises:
        UsageError: the folder contains anything but a set drawn with the same seed and size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, {"recipe": RECIPE, "size": size, "seed": seed})
    missing = [i for i in range(count) if not _file(folder, i).exists()]
    if not missing:
        return
    write = partial(_write, folder, size, seed)
    # one whose process died (out of memory) is drawn here
    faces = spread(write, missing, min(workers, len(missing)), _begin, (), write)
    for _ in tqdm(faces, total=len(missing), desc="drawing faces", unit="face"):
        pass


def _begin() -> None:
    """Nothing has to be prepared in a worker process."""


def _claim(folder: Path, recipe: dict[str, int]) -> None:
    label = folder / ".drawn.json"
    if label.exists():
        try:
            same = json.loads(label.read_text()) == recipe
        except ValueError:  # damaged
            same = False
        if not same:
            raise UsageError(f"{folder}: contains another drawn set; remove it or use a new folder")
    elif any(folder.iterdir()):
        raise UsageError(f"{folder}: is not empty; use a new folder for the drawn faces")
    else:
        write_text(label, json.dumps(recipe))


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.jpg"


def _write(folder: Path, size: int, seed: int, index: int) -> None:
    face = draw_face((seed << 32) + index, size)
    with aside(_file(folder, index)) as half:
        face.save(half, format="JPEG", quality=95, subsampling=0)


def _background(rng: random.Random, side: int) -> Image.Image:
    hue, soft = rng.random(), rng.uniform(0.05, 0.55)
    top = hsv(hue, soft, rng.uniform(0.55, 1))
    bottom = hsv(hue + rng.gauss(0, 0.08), soft * rng.uniform(0.3, 1.2), rng.uniform(0.5, 1))
    ramp = Image.new("RGB", (1, 2))
    ramp.putpixel((0, 0), top)
    ramp.putpixel((0, 1), bottom)
    canvas = ramp.resize((side, side), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(canvas)
    light = mix(top, (255, 255, 255), rng.uniform(0.25, 0.6))
    pattern = rng.choice(("plain", "plain", "dots", "stripes", "disc"))
    if pattern == "dots":
        for _ in range(rng.randint(6, 16)):
            x, y, r = rng.random() * side, rng.random() * side, rng.uniform(0.015, 0.07) * side
            draw.ellipse((x - r, y - r, x + r, y + r), fill=light)
    elif pattern == "stripes":
        step, lean = side * rng.uniform(0.12, 0.25), side * rng.uniform(-0.6, 0.6)
        x = -side * 1.0
        while x < side * 2:
            draw.polygon(((x, 0), (x + step / 2, 0), (x + step / 2 + lean, side), (x + lean, side)),
                         fill=light)  # fmt: skip
            x += step
    elif pattern == "disc":
        x, y, r = (rng.uniform(0.2, 0.8) * side for _ in range(3))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=light)
    return canvas
