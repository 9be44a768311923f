"""The `evaluate` command: weights or a folder against a folder of real pictures."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from animegan import checkpoint, generate, runtime
from animegan.data.cache import FaceSet, open_set
from animegan.data.folder import find_pictures
from animegan.detector import FaceDetector
from animegan.errors import UsageError, refuse
from animegan.eval_report import write_report
from animegan.evaluate import evaluate, table
from animegan.features import build_extractor
from animegan.images import Draw
from animegan.label_draw import labels_of
from animegan.measure import Pictures, of_array
from animegan.models.folded import folded
from animegan.request import writable

if TYPE_CHECKING:
    from config import Config

ENDLESS = 10**9  # candidates of a generator


def run(config: "Config", say: Callable[[str], None]) -> None:
    """Evaluate, write the page, and print the table, or the JSON, to stdout.

    A generator's pictures are compared at its own size and channels, and the reals become pixels
    as they did in its training; `image_size` to `resize` hold for `samples`. The training set is
    `train_path`, or the folder that the run was trained on if it is still there.

    Raises:
        UsageError: options that do not go together, folders and files that are not there, packages
            or weights that are not to be had; all before any measuring.
    """
    problems = _missing(config)
    for flag, path in (
        ("--against", config.against), ("--samples", config.samples),
        ("--floor-path", config.floor_path), ("--train-path", config.train_path),
    ):  # fmt: skip
        problems += _unlisted(flag, path)
    page = Path(config.report) if config.report else _page(config.netg_path)
    refuse(problems or writable("--report", page.parent))
    against = config.against
    assert against is not None
    on = runtime.start(config.gpu, config.device, config.threads)
    pictures = None
    if config.netg_path is not None:
        pictures, config = _drawn(config, on.device)
        if config.train_path and Path(config.train_path).resolve() == Path(against).resolve():
            say(
                f"--against {against}: it was trained on these, and learning by heart looks like "
                "skill; name held-out pictures"
            )
    network = build_extractor(config.extractor, config.inception_file, on.device)
    detector = FaceDetector()

    def opened(flag: str, path: str) -> FaceSet:
        try:
            return open_set(
                path, image_size=config.image_size, channels=config.channels,
                background=config.background, resize=config.resize,
                num_workers=config.num_workers, max_broken=config.max_broken, say=say,
            )  # fmt: skip
        except UsageError as error:
            raise error.under(flag) from None

    if pictures is None:
        assert config.samples is not None
        pictures = of_array(config.samples, opened("--samples", config.samples).images)
    floor_path, train_path = config.floor_path, config.train_path
    found = evaluate(
        pictures, opened("--against", against), against=against, extractor=network,
        detector=detector, count=config.eval_num, seed=config.seed,
        others=opened("--floor-path", floor_path) if floor_path else None,
        others_from=floor_path or "",
        train=opened("--train-path", train_path) if train_path else None,
        train_from=train_path or "", say=say,
    )  # fmt: skip
    write_report(found, page)
    say(f"{page}: sheets, distances and protocol; it shows real pictures, so keep it to yourself")
    print(found.as_json() if config.json else table(found), file=sys.stdout, flush=True)


def _drawn(config: "Config", device: torch.device) -> tuple[Pictures, "Config"]:
    """A generator's pictures, and the config with what its training says of pictures."""
    path = config.netg_path
    assert path is not None
    loaded = checkpoint.load_net(path, "netg", device)
    labels = labels_of(loaded, None, path)
    noise = generate.Noise(config.seed, loaded.spec.nz, config.gen_mean, config.gen_std, labels)
    saved = loaded.about.get("options", {})
    trained_on = saved.get("data_path")
    if config.train_path is None and trained_on and not _unlisted("", trained_on):
        config = replace(config, train_path=trained_on)
    config = replace(
        config,
        image_size=loaded.spec.image_size,
        channels=loaded.spec.channels,
        background=saved.get("background", config.background),
        resize=saved.get("resize", config.resize),
    )
    return Pictures(path, ENDLESS, drawing(loaded, noise, device)), config


def drawing(loaded: checkpoint.LoadedNet, noise: generate.Noise, device: torch.device) -> Draw:
    """A generator's candidates 0, 1, 2, ... of a seed, the same however they are asked for."""
    netg, chunk = folded(loaded.net), generate.chunk_of(loaded.spec.image_size, device)

    def draw(start: int, count: int) -> Tensor:
        some = range(start, start + count)
        return torch.cat(list(generate.draw(netg, noise, some, device, chunk)))

    return draw


def _missing(config: "Config") -> list[str]:
    problems = []
    if config.against is None:
        problems.append("--against: missing; name a folder of real pictures, best held-out ones")
    if config.netg_path is None and config.samples is None:
        problems.append(
            "--netg-path: missing; name the generator's weights, such as "
            "checkpoints/RUN/netg_last.pth, or a folder of pictures with --samples"
        )
    if config.netg_path is not None and config.samples is not None:
        problems.append(
            f"--netg-path and --samples {config.samples}: both name the samples; keep one"
        )
    return problems


def _unlisted(flag: str, path: str | None) -> tuple[str, ...]:
    """What keeps the folder from being read, if anything."""
    try:
        if path is not None:
            find_pictures(path)
    except UsageError as error:
        return error.under(flag).problems
    return ()


def _page(netg_path: str | None) -> Path:
    """Beside the weights, in the run's folder; for a folder of samples, here."""
    return Path(netg_path).parent / "evaluate.html" if netg_path else Path("evaluate.html")
