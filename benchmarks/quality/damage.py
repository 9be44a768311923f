"""How the metrics of `evaluate` respond to damaged real faces: the tables of docs/evaluate.md.

    python -m benchmarks.quality.damage --faces DIR [--n 1000]

Uses n faces as reals and n others, which it damages at three strengths each. Prints Markdown.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from tqdm import tqdm

from animegan.core.errors import UsageError
from animegan.data.face_set import open_set
from animegan.datasets.drawn.draw import draw_face
from animegan.datasets.faces.detector import FaceDetector
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.measure import measure, of_array
from animegan.evaluation.protocol import Numbers, compare
from benchmarks.harness.command import run
from benchmarks.harness.table import line, markdown

Faces = NDArray[np.uint8]  # [N, S, S, 3]

UP_IS_WORSE = ("fd", "kid", "duplicates")
SHOWN = ("fd", "kid", "precision", "recall", "density", "coverage", "face_rate", "duplicates")


def blurred(faces: Faces, sigma: float, reals: Faces) -> Faces:
    """Apply Gaussian blur; sigma in pixels."""
    blur = ImageFilter.GaussianBlur(sigma)
    return np.stack([np.asarray(Image.fromarray(face).filter(blur)) for face in faces])


def noised(faces: Faces, sigma: float, reals: Faces) -> Faces:
    """Add Gaussian noise; sigma in grey levels (of 255)."""
    noise = np.random.RandomState(1).normal(0, sigma, faces.shape)
    return np.clip(faces + noise, 0, 255).round().astype(np.uint8)


def warped(faces: Faces, pixels: float, reals: Faces) -> Faces:
    """Warp each face by its own smooth displacement field with a std of `pixels`."""
    size = faces.shape[1]
    source = torch.Generator().manual_seed(1)
    coarse = torch.randn(len(faces), 2, 5, 5, generator=source) * (2 * pixels / size)
    field = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    straight = F.affine_grid(torch.eye(2, 3)[None], [1, 1, size, size], align_corners=False)
    x = torch.from_numpy(faces).permute(0, 3, 1, 2).float()
    bent = F.grid_sample(
        x, straight + field.permute(0, 2, 3, 1), mode="bicubic", padding_mode="reflection",
        align_corners=False,
    )  # fmt: skip
    return bent.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def checkered(faces: Faces, levels: float, reals: Faces) -> Faces:
    """Make alternate pixels lighter and darker by `levels`, like upsampling artefacts."""
    rows, columns = np.indices(faces.shape[1:3])
    board = np.where((rows + columns) % 2, levels, -levels)[None, :, :, None]
    return np.clip(faces + board, 0, 255).round().astype(np.uint8)


def half_swapped(faces: Faces, share: float, reals: Faces) -> Faces:
    """Replace the right half by another face's in a share of the set."""
    out, count = faces.copy(), round(share * len(faces))
    middle = faces.shape[2] // 2
    out[:count, :, middle:] = np.roll(faces, 1, axis=0)[:count, :, middle:]
    return out


def ten_repeated(faces: Faces, share: float, reals: Faces) -> Faces:
    """Replace a share of the set by repetitions of ten faces."""
    out, count = faces.copy(), round(share * len(faces))
    out[:count] = faces[np.arange(count) % 10]
    return out


def drawn(faces: Faces, share: float, reals: Faces) -> Faces:
    """Replace a share of the set by drawn faces (`animegan.datasets.drawn`)."""
    out, count = faces.copy(), round(share * len(faces))
    for k in range(count):
        out[k] = np.asarray(draw_face(k, faces.shape[1]))
    return out


def copied(faces: Faces, share: float, reals: Faces) -> Faces:
    """Replace a share of the set by the reals themselves, like a generator that memorises."""
    out, count = faces.copy(), round(share * len(faces))
    out[:count] = reals[:count]
    return out


DAMAGES: tuple[tuple[Callable[[Faces, float, Faces], Faces], str, tuple[float, ...]], ...] = (
    (blurred, "sigma {:g} px", (0.5, 1, 2)),
    (noised, "sigma {:g} levels", (8, 16, 32)),
    (warped, "{:g} px", (1, 2, 4)),
    (checkered, "± {:g} levels", (4, 8, 16)),
    (half_swapped, "{:.0%} of the set", (0.25, 0.5, 1)),
    (ten_repeated, "{:.0%} of the set", (0.25, 0.5, 1)),
    (drawn, "{:.0%} of the set", (0.25, 0.5, 1)),
    (copied, "{:.0%} of the set", (0.25, 0.5, 1)),
)


def verdict(worse: list[float], noise: float) -> str:
    """Summarise how a metric responds to damage.

    Args:
        worse: how much worse it is than its floor, from the weakest to the strongest damage.
        noise: standard deviation of the floor; changes of less than twice this do not count.
    """
    limit = 2 * noise
    if worse[-1] < -limit:
        return "praises it"
    if abs(worse[-1]) <= limit:
        return "praises it at first" if min(worse) < -limit else "blind"
    if all(step > 0 for step in np.diff([0.0, *worse])):
        return "orders"
    return "wrong order" if min(worse) < -limit or worse[-1] < max(worse) - limit else "orders late"


def _row(name: str, strength: str, numbers: Numbers) -> str:
    shares = (getattr(numbers, key) for key in ("precision", "recall", "density", "coverage"))
    return line((
        name, strength, f"{numbers.fd:.1f}",
        f"{1000 * numbers.kid:.1f} ± {1000 * numbers.kid_std:.1f}",
        *(f"{share:.3f}" for share in shares),
        "-" if numbers.face_rate is None else f"{numbers.face_rate:.3f}", str(numbers.duplicates),
    ))  # fmt: skip


def main(
    *,
    faces: Path,
    n: int = 1000,
    splits: int = 10,
    extractor: Literal["lite0", "inception"] = "lite0",
    inception_file: str | None = None,
) -> None:
    """Print the two tables.

    Args:
        faces: folder of at least 2n real faces.
        n: reals, and faces to damage.
        splits: for the spread of the floor.
        extractor, inception_file: as of `evaluate`.
    """
    look, detector = build_extractor(extractor, inception_file), FaceDetector()
    images = open_set(faces, flag="--faces").images
    if len(images) < 2 * n:
        raise UsageError(f"--n {n}: {faces} has {len(images)} faces; take at most half of them")
    order = np.random.RandomState(0).permutation(len(images))
    everything = measure(of_array("all reals", images, order), look, detector)
    real, others = images[order[:n]], images[order[n : 2 * n]]

    def compare_rows(rows: NDArray[np.int64]) -> Numbers:
        halves = everything.rows(rows[:n]), everything.rows(rows[n : 2 * n])
        return compare(*halves, look, seed=0)

    floor, measured = compare_rows(np.arange(2 * n)), everything.rows(np.arange(n))
    orders = [np.random.RandomState(k).permutation(len(images)) for k in range(splits)]
    spread = [compare_rows(rows) for rows in tqdm(orders, desc="floor")]
    noise = {key: float(np.std([getattr(s, key) for s in spread], ddof=1)) for key in SHOWN}
    print(markdown(("damage", "strength", look.fd_title, "KID x 1000", "precision", "recall",
                    "density", "coverage", "face rate", "near-identical"), ()))  # fmt: skip
    print(_row("none", "the floor", floor))
    verdicts = []
    for damage, label, strengths in DAMAGES:
        worse: dict[str, list[float]] = {key: [] for key in SHOWN}
        name = damage.__name__.replace("_", " ")
        for strength in strengths:
            damaged = of_array(f"{name} {strength:g}", damage(others, strength, real))
            numbers = compare(measured, measure(damaged, look, detector), look, seed=0)
            print(_row(name, label.format(strength), numbers), flush=True)
            for key in SHOWN:
                change = getattr(numbers, key) - getattr(floor, key)
                worse[key].append(change if key in UP_IS_WORSE else -change)
        verdicts.append((name, *(verdict(worse[key], noise[key]) for key in SHOWN)))
    print("", markdown(("damage", *(key.replace("_", " ") for key in SHOWN)), verdicts), sep="\n")
    print("\nSpread of the floor over splits (standard deviation):",
          ", ".join(f"{key} {noise[key]:.2g}" for key in SHOWN))  # fmt: skip


if __name__ == "__main__":
    run(main)
