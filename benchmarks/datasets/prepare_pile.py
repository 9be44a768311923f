"""Evaluate `prepare` on pages with known faces.

Faces are pasted at known places and sizes into drawn pages, among distractors. Pages and faces are
repeated mirrored, recompressed, smaller, blurred, rotated and without colour. `prepare` runs on the
pages, and its manifest is compared with the ground truth.

    python -m benchmarks.datasets.prepare_pile --faces FOLDER --distractors FOLDER --work /tmp/pile
"""

import io
import json
import random
import shutil
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from animegan.datasets.faces.detector import Box, overlap_of
from animegan.datasets.prepare.pipeline import Options, prepare
from benchmarks.harness.command import run

SIZES = ((40, 56), (56, 80), (80, 120), (120, 200), (200, 400))  # px, side of a pasted face
_BOX = 0.74  # side of animeface's box relative to these crops, median of 2,500


@dataclass(frozen=True)
class Pasted:
    """A face pasted on a page."""

    page: str
    face: str  # file name of the face
    x: int
    y: int
    side: int
    kind: str  # plain, rotated or blurred
    copy_of: str = ""  # "face" or "face mirrored" if pasted before, or how the page was copied

    @property
    def box(self) -> Box:
        """The expected box of the detector."""
        off, inner = self.side * (1 - _BOX) / 2, self.side * _BOX
        x0, y0 = round(self.x + off), round(self.y + off)
        return x0, y0, x0 + round(inner), y0 + round(inner)


def main(
    *,
    faces: Path,
    distractors: Path,
    work: Path,
    pages: int = 120,
    seed: int = 0,
    num_workers: int = 2,
) -> None:
    """Create the pages, run prepare and print the scores.

    Args:
        faces: folder of cropped faces.
        distractors: folder of images without faces.
        work: folder for the pages and the result.
        pages, seed: number of pages, and of their random contents.
        num_workers: processes of `prepare`.
    """
    pile, out = work / "pile", work / "out"
    if not (work / "truth.json").exists():
        shutil.rmtree(pile, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
        truth = compose(pile, faces, distractors, pages, seed)
        (work / "truth.json").write_text(json.dumps([asdict(face) for face in truth]))
    truth = [Pasted(**face) for face in json.loads((work / "truth.json").read_text())]
    began = time.monotonic()
    options = Options(
        str(pile), str(out), image_size=64, min_size=56, heldout=0, num_workers=num_workers
    )
    counts = prepare(options, "python -m benchmarks.datasets.prepare_pile")
    print("\n".join(counts.lines()))
    print(f"prepare took {time.monotonic() - began:.0f} s")
    score(truth, [json.loads(line) for line in (out / "manifest.jsonl").open()])


# ---------------------------------------------------------------------------------------------
# the pages


def compose(pile: Path, faces: Path, distractors: Path, pages: int, seed: int) -> list[Pasted]:
    """Draw the pages and their copies; return the pasted faces."""
    rng = random.Random(seed)
    deck = sorted(faces.iterdir())
    rng.shuffle(deck)
    other = sorted(path for path in distractors.rglob("*") if path.is_file())
    truth: list[Pasted] = []
    pile.mkdir(parents=True)
    for number in range(pages):
        name = f"page{number:03d}.png"
        canvas = _background(rng, other)
        pasted: list[Pasted] = []
        for _ in range(rng.randint(1, 4)):
            low, high = SIZES[rng.randrange(len(SIZES))]
            kind = rng.choices(("plain", "rotated", "blurred"), (0.7, 0.2, 0.1))[0]
            again = [face for face in truth if face.kind == "plain" and not face.copy_of]
            if again and rng.random() < 0.2 and kind == "plain":
                old = rng.choice(again)
                path, copy = faces / old.face, rng.choice(("face", "face mirrored"))
            else:
                path, copy = deck.pop(), ""
            side = rng.randint(low, high - 1)
            place = _free(canvas.size, side, pasted, rng)
            if place is None:
                continue
            canvas.paste(_face(path, side, kind, copy, rng), place)
            pasted.append(Pasted(name, path.name, *place, side, kind, copy))
        canvas.save(pile / name)
        truth += pasted
        truth += _page_copy(pile, canvas, name, pasted, rng)
    return truth


def _face(path: Path, side: int, kind: str, copy: str, rng: random.Random) -> Image.Image:
    with Image.open(path) as opened:
        face = opened.convert("RGB")
    if copy == "face mirrored":
        face = ImageOps.mirror(face)
    if kind == "blurred":
        face = face.filter(ImageFilter.GaussianBlur(face.width * 2 / 96))
    if kind == "rotated":
        wide = np.pad(np.asarray(face), ((24, 24), (24, 24), (0, 0)), mode="edge")
        angle = rng.choice((-1, 1)) * rng.uniform(5, 15)
        face = Image.fromarray(wide).rotate(angle, Image.Resampling.BICUBIC)
        face = face.crop((24, 24, face.width - 24, face.height - 24))
    return face.resize((side, side), Image.Resampling.LANCZOS)


def _free(
    size: tuple[int, int], side: int, taken: list[Pasted], rng: random.Random
) -> tuple[int, int] | None:
    for _ in range(50):
        x, y = rng.randint(0, size[0] - side), rng.randint(0, size[1] - side)
        if all(
            x + side < t.x or t.x + t.side < x or y + side < t.y or t.y + t.side < y for t in taken
        ):
            return x, y
    return None


def _page_copy(
    pile: Path, canvas: Image.Image, name: str, pasted: list[Pasted], rng: random.Random
) -> list[Pasted]:
    """With probability 0.4, write a copy of the page, changed in one way; return its faces."""
    how = rng.choices(
        ("", "page bytes", "page JPEG 60", "page mirrored", "page 0.8", "page grey"),
        (0.6, 0.08, 0.08, 0.08, 0.08, 0.08),
    )[0]
    if not how:
        return []
    copy = name.replace("page", "z_copy")
    factor = 1.0
    if how == "page JPEG 60":
        copy = copy.replace(".png", ".jpg")
        file = io.BytesIO()
        canvas.save(file, "JPEG", quality=60)
        (pile / copy).write_bytes(file.getvalue())
    elif how == "page bytes":
        shutil.copyfile(pile / name, pile / copy)
    else:
        if how == "page mirrored":
            canvas = ImageOps.mirror(canvas)
        if how == "page 0.8":
            factor = 0.8
            size = (round(canvas.width * factor), round(canvas.height * factor))
            canvas = canvas.resize(size, Image.Resampling.LANCZOS)
        if how == "page grey":
            canvas = canvas.convert("L").convert("RGB")
        canvas.save(pile / copy)
    moved = []
    for face in pasted:
        x, y, side = (round(v * factor) for v in (face.x, face.y, face.side))
        if how == "page mirrored":
            x = canvas.width - x - side
        moved.append(Pasted(copy, face.face, x, y, side, face.kind, how))
    return moved


def _background(rng: random.Random, other: list[Path]) -> Image.Image:
    """Draw a page of gradients, shapes, hatching and enlarged distractors."""
    width, height = rng.randint(600, 1100), rng.randint(600, 1100)

    def colour() -> tuple[int, int, int]:
        return rng.randrange(256), rng.randrange(256), rng.randrange(256)

    steps = np.linspace(0, 1, height)[:, None, None]
    ramp = np.array(colour()) * (1 - steps) + np.array(colour()) * steps
    page = Image.fromarray(np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(page)
    for _ in range(rng.randint(4, 14)):
        x, y = rng.randrange(width), rng.randrange(height)
        w, h = rng.randint(30, 300), rng.randint(30, 300)
        shape = rng.choice((pen.ellipse, pen.rectangle))
        shape((x, y, x + w, y + h), fill=colour(), outline=colour(), width=rng.randint(1, 4))
    for _ in range(rng.randint(1, 4)):  # hatching and lines of "text"
        x, y, gap = rng.randrange(width), rng.randrange(height), rng.randint(3, 9)
        for line in range(rng.randint(8, 25)):
            across = rng.randint(60, 160)
            pen.line((x, y + line * gap, x + across, y + line * gap), fill=colour(), width=1)
    for _ in range(rng.randint(2, 6)):
        with Image.open(rng.choice(other)) as opened:
            side = rng.randint(60, 220)
            picture = opened.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        page.paste(picture, (rng.randrange(width - side), rng.randrange(height - side)))
    return page


# ---------------------------------------------------------------------------------------------
# the score


def score(truth: list[Pasted], manifest: list[dict[str, object]]) -> None:
    """Print recall, precision, duplicates and rejections."""
    found: dict[str, list[dict[str, object]]] = defaultdict(list)
    for line in manifest:
        if "box" in line:
            found[str(line["source"])].append(line)
    matches = [_match(face, found[face.page]) for face in truth]
    print("\nrecall by the side of the pasted face (not blurred)")
    for low, high in SIZES:
        row = []
        for kind in ("plain", "rotated"):
            here = [
                m is not None
                for face, m in zip(truth, matches, strict=True)
                if face.kind == kind and low <= face.side < high
            ]
            row.append(f"{kind} {np.mean(here):.3f} of {len(here)}" if here else f"{kind} -")
        print(f"  {low:3d}-{high - 1:3d} px: " + "; ".join(row))
    print("precision by the width of the detected box")
    hits = {id(m) for m in matches if m is not None}
    for least in (0.0, 0.35, 0.9):
        row = []
        for low, high in ((0, 45), (45, 60), (60, 90), (90, 150), (150, 9999)):
            here = [
                id(line) in hits
                for lines in found.values()
                for line in lines
                if low <= _width(line) < high and float(str(line["score"])) >= least
            ]
            row.append(f"{low}-{high - 1}: {np.mean(here) if here else 0:.3f} of {len(here)}")
        print(f"  score >= {least}: " + "; ".join(row))
    _score_duplicates(truth, matches)
    _score_rejections(truth, matches)


def _score_duplicates(truth: list[Pasted], matches: list[dict[str, object] | None]) -> None:
    """Print the share of copies removed, among those found with an original within the limits."""
    print("duplicates removed, by how the copy was made")
    alive: dict[str, list[tuple[Pasted, dict[str, object]]]] = defaultdict(list)
    for face, match in zip(truth, matches, strict=True):
        if match is not None and match["why"] in (None, "exact duplicate", "near duplicate"):
            alive[face.face].append((face, match))
    kinds: dict[str, list[bool]] = defaultdict(list)
    for group in alive.values():
        if len(group) < 2:
            continue
        for face, match in group:
            if face.copy_of:
                others = [m for f, m in group if f is not face]
                gone = match["why"] is not None or all(m["why"] is not None for m in others)
                kinds[face.copy_of].append(gone)
    for kind, removed in sorted(kinds.items()):
        print(f"  {kind}: {np.mean(removed):.3f} of {len(removed)}")
    every = [value for values in kinds.values() for value in values]
    print(f"  all: {np.mean(every):.3f} of {len(every)}")
    lone = [group[0][1] for group in alive.values() if len(group) == 1]
    wrong = sum(match["why"] is not None for match in lone)
    print(f"  dropped as duplicates without having any: {wrong} of {len(lone)}")


def _score_rejections(truth: list[Pasted], matches: list[dict[str, object] | None]) -> None:
    print("outcome of the faces, by kind")
    for kind in ("plain", "rotated", "blurred", "page grey"):
        fate: dict[str, int] = defaultdict(int)
        for face, match in zip(truth, matches, strict=True):
            grey = face.copy_of == "page grey"
            if (kind == "page grey") != grey or (not grey and face.kind != kind):
                continue
            fate["not found" if match is None else str(match["why"] or "kept")] += 1
        print(f"  {kind}: " + ", ".join(f"{name} {n}" for name, n in sorted(fate.items())))


def _match(face: Pasted, lines: list[dict[str, object]]) -> dict[str, object] | None:
    overlaps = [(overlap_of(face.box, tuple(line["box"])), i) for i, line in enumerate(lines)]  # type: ignore[arg-type]
    best = max(overlaps, default=(0.0, -1))
    return lines[best[1]] if best[0] > 0.4 else None


def _width(line: dict[str, object]) -> int:
    box: list[int] = line["box"]  # type: ignore[assignment]
    return box[2] - box[0]


if __name__ == "__main__":
    run(main)
