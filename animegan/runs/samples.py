"""A run's sample grids over time: a strip of the same noise vectors, and a time-lapse."""

import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from animegan.core.files import aside, sweep

STRIP_EPOCHS = (1, 10, 20, 30, 40)
GRID = re.compile(r"fake_e(\d+)_s(\d+)\.png")
MOST_PIXELS = 2**26  # in all frames of a time-lapse together, since all are held in memory


@dataclass(frozen=True, order=True)
class Sheet:
    """One sample grid on disk."""

    step: int
    epoch: int
    path: Path


def grid_name(epoch: int, step: int) -> str:
    """Return the file name of the grid drawn after `epoch` full epochs and `step` batches."""
    return f"fake_e{epoch:04d}_s{step:08d}.png"


def sheets(folder: Path) -> list[Sheet]:
    """Return the grids in a folder, ordered by step."""
    matches = [(path, GRID.fullmatch(path.name)) for path in folder.glob("fake_e*_s*.png")]
    return sorted(Sheet(int(m[2]), int(m[1]), path) for path, m in matches if m)


def forget_after(folder: Path, step: int) -> None:
    """Delete the grids of steps after `step`, which a resumed run draws again.

    Also delete what a killed process left half written.
    """
    for sheet in sheets(folder):
        if sheet.step > step:
            sheet.path.unlink()
    sweep(folder)


def write_strip(folder: Path, out: Path) -> None:
    """Write the first rows of the grids at epochs 1, 10, 20, 30, 40 and of the last, stacked.

    Writes nothing if there are no grids.
    """
    grids = sheets(folder)
    chosen = [sheet for sheet in _first_of_epoch(grids) if sheet.epoch in STRIP_EPOCHS]
    if grids and grids[-1] not in chosen:
        chosen.append(grids[-1])
    if not chosen:
        return
    rows = []
    for sheet in chosen:
        with Image.open(sheet.path) as picture:
            # eight faces per row, with lines of 2 pixels between and around them
            side = (picture.width - 2) // 8
            rows.append(picture.convert("RGB").crop((0, 0, picture.width, side + 2)))
    strip = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)))
    top = 0
    for row in rows:
        strip.paste(row, (0, top))
        top += row.height
    _save(strip, out, format="PNG")


def write_timelapse(folder: Path, out: Path, milliseconds: int = 200) -> None:
    """Write the grids as an animated WebP, `milliseconds` per frame and two seconds for the last.

    Writes nothing if there are fewer than two grids. If they exceed MOST_PIXELS, only every second,
    third, ... is used, always including the last.
    """
    grids = sheets(folder)
    if len(grids) < 2:
        return
    with Image.open(grids[-1].path) as picture:
        size = picture.size
    most = max(2, MOST_PIXELS // (size[0] * size[1]))
    stride = -(-len(grids) // most)
    frames = []
    for sheet in grids[::-1][::stride][::-1]:
        with Image.open(sheet.path) as picture:
            if picture.size == size:  # `save_path` may hold another run's grids
                frames.append(picture.convert("RGB"))
    times = [milliseconds] * (len(frames) - 1) + [2000]
    _save(frames[0], out, format="WEBP", save_all=True, append_images=frames[1:], duration=times,
          loop=0, quality=75, method=2)  # fmt: skip


def _first_of_epoch(grids: list[Sheet]) -> list[Sheet]:
    """Return the grids drawn right after each epoch, without those drawn during the next one."""
    first: dict[int, Sheet] = {}
    for sheet in grids:
        first.setdefault(sheet.epoch, sheet)
    return list(first.values())


def _save(picture: Image.Image, out: Path, **how: object) -> None:
    with aside(out) as half:
        picture.save(half, **how)  # type: ignore[arg-type]
