"""`generate`: draw candidates from noise, score them with netd and keep the best.

Memory use does not grow with the number of candidates.
"""

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from animegan.core import images
from animegan.core.errors import UsageError, refuse
from animegan.core.files import sweep, write_text
from animegan.generation.candidates import Noise, labels_of
from animegan.generation.draw_recipes import BATCH, RecipeDrawer
from animegan.generation.recipes import Recipe, as_json
from animegan.generation.request import HOLDS_OTHERS, Request
from animegan.models.fold import folded
from animegan.runs import checkpoint
from animegan.runtime import modes
from animegan.runtime.device import Runtime

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)
T = TypeVar("T")

CHUNK = 256  # candidates of 96 x 96 drawn and scored at once ...
CHUNK_CPU = 64  # ... and on a CPU, so that a layer's feature maps stay in its cache
SHEET = 1024  # maximum number of pictures in the grid ...
SHEET_PIXELS = 2**26  # ... and of their pixels
POOL = 8  # --diverse chooses among this many times --gen-num best-scored candidates


def chunk_of(image_size: int, device: torch.device) -> int:
    """Return how many candidates to draw at once: CHUNK at 96 x 96, fewer if they are larger."""
    most = min(CHUNK, CHUNK_CPU) if device.type == "cpu" else CHUNK
    return max(1, min(most, most * 96**2 // image_size**2))


def best(
    netg: nn.Module, netd: nn.Module, noise: Noise, count: int, keep: int, device: torch.device,
    progress: Callable[[int], object] = lambda done: None, chunk: int = CHUNK,
) -> tuple[list[int], list[float]]:  # fmt: skip
    """Return indices and logits of the `keep` best-scored of candidates 0 .. count-1, best first.

    Pictures are discarded chunk by chunk. Equal scores are ordered by index.
    """
    scores = torch.empty(0)
    indices = torch.empty(0, dtype=torch.long)
    with modes.evaluating(netg, netd):
        for start in range(0, count, chunk):
            some = range(start, min(count, start + chunk))
            given = noise.given(some, device)
            logits = netd(netg(noise(some).to(device), *given), *given).float()
            logits = logits.view(len(some), -1).sum(1).cpu()  # over the heads of a projected netd
            scores = torch.cat([scores, logits])
            indices = torch.cat([indices, torch.tensor(some)])
            order = torch.argsort(scores, descending=True, stable=True)[:keep]
            scores, indices = scores[order], indices[order]
            progress(len(some))
    return indices.tolist(), scores.tolist()


def most_different(
    netg: nn.Module, noise: Noise, ranked: Sequence[int], keep: int, device: torch.device,
    chunk: int = CHUNK,
) -> list[int]:  # fmt: skip
    """Return the positions in `ranked` of the `keep` candidates that differ most, in order.

    Farthest-first traversal (Gonzalez 1985) on pictures shrunk to 8 x 8: starting with the best,
    each next one is the farthest from all kept so far. Keeps ranking by score from favouring a
    single kind of picture.
    """
    small = [
        adaptive_avg_pool2d(pictures.float(), 8).flatten(1)
        for pictures in draw(netg, noise, ranked, device, chunk)
    ]
    points = torch.cat(small)
    kept = [0]
    distance = (points - points[0]).square().sum(1)
    while len(kept) < keep:
        distance[kept[-1]] = -1  # even if all pictures are equal, keep each only once
        farthest = int(distance.argmax())
        kept.append(farthest)
        distance = torch.minimum(distance, (points - points[farthest]).square().sum(1))
    return sorted(kept)


def draw(
    netg: nn.Module,
    noise: Noise,
    indices: Sequence[int],
    device: torch.device,
    chunk: int = CHUNK,
) -> Iterator[Tensor]:
    """Yield the candidates in the given order, a chunk at a time: uint8 [n, C, S, S] on the CPU."""
    for start in range(0, len(indices), chunk):
        some = indices[start : start + chunk]
        with modes.evaluating(netg):
            pictures = netg(noise(some).to(device), *noise.given(some, device))
        yield images.to_uint8(pictures).cpu()


def generate(config: "Config", request: Request) -> None:
    """Run the `generate` command: write the grid `gen_img` and, with `save_each`, single files.

    Raises UsageError if the weight files cannot be read or do not fit each other.
    """
    from tqdm import tqdm

    runtime = Runtime.start(config.gpu, config.device, config.threads)
    if request.recipes is not None:
        _draw_recipes(config, request.netg_path, request.recipes, runtime.device)
        return
    netg_path, netd_path, chosen = request.netg_path, request.netd_path, request.indices
    loaded = checkpoint.load_net(netg_path, "netg", runtime.device)
    netg = folded(loaded.net)
    labels = labels_of(loaded, config.label, str(netg_path))
    noise = Noise(config.seed, loaded.spec.nz, config.gen_mean, config.gen_std, labels)
    chunk = chunk_of(loaded.spec.image_size, runtime.device)
    scores: list[float] | None = None
    if chosen is None and netd_path is not None:
        netd = checkpoint.load_net(netd_path, "netd", runtime.device)
        same = ("image_size", "channels")
        if any(getattr(netd.spec, name) != getattr(loaded.spec, name) for name in same):
            raise UsageError(
                f"--netd-path {netd_path}: takes pictures of {netd.spec.image_size} px and "
                f"{netd.spec.channels} channel(s), but netg draws {loaded.spec.image_size} px and "
                f"{loaded.spec.channels}; take both from one run"
            )
        if netd.spec.classes and netd.about.get("labels") != loaded.about.get("labels"):
            raise UsageError(
                f"--netd-path {netd_path}: has different labels than netg; take both from one run"
            )
        with tqdm(total=config.gen_search_num, unit="img", desc="scoring") as bar:
            chosen, scores = best(
                netg,
                folded(netd.net),
                noise,
                config.gen_search_num,
                config.gen_num * (POOL if config.diverse else 1),
                runtime.device,
                bar.update,
                chunk,
            )
        if config.diverse:
            kept = most_different(netg, noise, chosen, config.gen_num, runtime.device, chunk)
            chosen, scores = [chosen[k] for k in kept], [scores[k] for k in kept]
    elif chosen is None:
        logger.info("no --netd-path: pictures are not ranked, these are the first candidates")
        chosen = list(range(config.gen_num))
    if config.save_each:  # first, so that a call that was ended early can be repeated
        pictures = [
            {"file": _file(index), "index": index, "score": scores[k] if scores else None}
            for k, index in enumerate(chosen)
        ]
        record = {
            "netg": str(netg_path), "seed": config.seed, "gen_mean": config.gen_mean,
            "gen_std": config.gen_std, "label": config.label, "pictures": pictures,
        }  # fmt: skip
        _write_manifest(Path(config.save_each), record)

    def draw_some(indices: Sequence[int]) -> Iterator[Tensor]:
        return draw(netg, noise, indices, runtime.device, chunk)

    _write_pictures(config, chosen, chosen, draw_some, loaded.spec.image_size)


def _draw_recipes(
    config: "Config", netg_path: Path, recipes: Sequence[Recipe], device: torch.device
) -> None:
    """Write the faces of --recipes in their order; single files are numbered from 0."""
    drawer = RecipeDrawer(netg_path, device)
    for recipe in recipes:
        drawer.check(recipe, "--recipes")
    if config.save_each:
        pictures = [
            {"file": _file(k), "recipe": as_json(recipe)} for k, recipe in enumerate(recipes)
        ]
        _write_manifest(Path(config.save_each), {"netg": str(netg_path), "pictures": pictures})

    def draw_some(wanted: Sequence[Recipe]) -> Iterator[Tensor]:
        return (drawer(wanted[k : k + BATCH]) for k in range(0, len(wanted), BATCH))

    _write_pictures(config, recipes, range(len(recipes)), draw_some, drawer.image_size)


def columns_of(count: int) -> int:
    """Return the number of columns of a sheet of `count` pictures."""
    return max(8, math.isqrt(count - 1) + 1)


def _write_pictures(
    config: "Config", chosen: Sequence[T], numbers: Sequence[int],
    draw_some: Callable[[Sequence[T]], Iterator[Tensor]], image_size: int,
) -> None:  # fmt: skip
    """Draw all that was chosen; write the sheet and, with `save_each`, a file for each number.

    `draw_some` yields uint8 [n, C, S, S] on the CPU, in the order of what it is given.
    """
    shown = min(len(chosen), SHEET, max(1, SHEET_PIXELS // image_size**2))
    sheet: list[Tensor] = []
    names = iter(numbers)
    for pictures in draw_some(chosen if config.save_each else chosen[:shown]):
        sheet += pictures[: shown - len(sheet)]
        if config.save_each:
            for picture in pictures:
                images.save_picture(picture, Path(config.save_each) / _file(next(names)))
    images.save_picture(images.grid(torch.stack(sheet), columns_of(shown)), config.gen_img)
    logger.info(f"{config.gen_img}: {shown} pictures of {image_size} pixels")
    if shown < len(chosen):
        logger.info(
            f"it shows the first {shown} of {len(chosen)}; --save-each=FOLDER writes all of them"
        )


def _file(number: int) -> str:
    return f"{number:08d}.png"


def _write_manifest(folder: Path, record: dict[str, Any]) -> None:
    """Write what will be drawn to manifest.json.

    Raises UsageError if the pictures of another call lie there, which these would mix with.
    """
    manifest = folder / "manifest.json"
    try:
        before = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        before = None
    except (OSError, ValueError, RecursionError):
        before = {}
    names = {picture["file"] for picture in record["pictures"]}
    others = any(path.name not in names for path in folder.glob("*.png"))
    if before not in (None, json.loads(json.dumps(record))) or others:
        refuse([HOLDS_OTHERS.format(folder=folder)])
    sweep(folder)
    write_text(manifest, json.dumps(record, indent=1) + "\n")
