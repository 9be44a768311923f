"""The `evaluate` command: compare weights or a folder with a folder of real pictures."""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from animegan.config.resume import read_options
from animegan.core.errors import UsageError, refuse
from animegan.core.files import same_place
from animegan.core.images import Draw
from animegan.core.outputs import writable_file, writing_report
from animegan.data.cache import FaceSet, open_set
from animegan.data.folder import find_pictures
from animegan.datasets.faces.detector import FaceDetector
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.measure import Pictures, of_array
from animegan.evaluation.protocol import FEWEST, evaluate, table
from animegan.evaluation.report import write_report
from animegan.generation import generate
from animegan.generation.candidates import labels_of
from animegan.models.fold import folded
from animegan.runs import checkpoint
from animegan.runtime.device import Runtime

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)

ENDLESS = 10**9  # number of candidates a generator is said to have


def run(config: "Config") -> None:
    """Evaluate, print the table or the JSON object to stdout, and write the HTML report.

    A generator is evaluated at its own image size and channels, with real pictures decoded as in
    its training; the options `image_size`, `channels`, `background` and `resize` only apply to
    `samples`. The training set is `train_path`, or the folder that the run was trained on if it
    still exists.

    Raises:
        UsageError: conflicting options, missing folders or files, missing packages or weights; all
            before anything is measured.
        Ended: the report cannot be written; the result has been printed.
    """
    problems = _too_few(config)
    for flag, path in (
        ("--against", config.against), ("--samples", config.samples),
        ("--floor-path", config.floor_path), ("--train-path", config.train_path),
    ):  # fmt: skip
        problems += _unlisted(flag, path)
    page = Path(config.report) if config.report else _page(config.netg_path)
    refuse(problems or writable_file("--report", page))
    against = config.against
    assert against is not None
    _say_if_same(config, against)
    on = Runtime.start(config.gpu, config.device, config.threads)
    pictures = None
    if config.netg_path is not None:
        pictures, config = _drawn(config, on.device)
        if config.train_path and same_place(config.train_path, against):
            logger.info(
                f"--against {against}: the generator was trained on these, so memorising them "
                "would look like quality; use held-out pictures"
            )
    network = build_extractor(config.extractor, config.inception_file, on.device)
    detector = FaceDetector()

    def opened(flag: str, path: str) -> FaceSet:
        return open_set(
            path, image_size=config.image_size, channels=config.channels,
            background=config.background, resize=config.resize,
            num_workers=config.num_workers, max_broken=config.max_broken, flag=flag,
        )  # fmt: skip

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
        train_from=train_path or "",
    )  # fmt: skip
    print(found.as_json() if config.json else table(found), file=sys.stdout, flush=True)
    with writing_report(page):
        write_report(found, page)
    logger.info(
        f"{page}: sheets, distances and protocol; shows real pictures, so do not publish it"
    )


def _drawn(config: "Config", device: torch.device) -> tuple[Pictures, "Config"]:
    """Return a generator's pictures, and the config with the picture options of its training."""
    path = config.netg_path
    assert path is not None
    loaded = checkpoint.load_net(path, "netg", device)
    labels = labels_of(loaded, None, path)
    noise = generate.Noise(config.seed, loaded.spec.nz, config.gen_mean, config.gen_std, labels)
    saved = read_options(loaded.about.get("options", {}), f"--netg-path {path}")
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
    """Return a function that draws candidates `start` and up of a seed, in whatever portions."""
    netg, chunk = folded(loaded.net), generate.chunk_of(loaded.spec.image_size, device)

    def draw(start: int, count: int) -> Tensor:
        some = range(start, start + count)
        return torch.cat(list(generate.draw(netg, noise, some, device, chunk)))

    return draw


def _too_few(config: "Config") -> list[str]:
    if config.eval_num is None or config.eval_num >= FEWEST:
        return []
    return [
        f"--eval-num {config.eval_num}: an evaluation needs at least {FEWEST} pictures; "
        f"use {FEWEST} or more"
    ]


def _say_if_same(config: "Config", against: str) -> None:
    """Say which sets are compared with themselves."""
    for flag, path in (("--samples", config.samples), ("--floor-path", config.floor_path)):
        if path is not None and same_place(path, against):
            logger.info(
                f"{flag} {path}: the same folder as --against, so pictures are compared with "
                "themselves; use another folder"
            )


def _unlisted(flag: str, path: str | None) -> tuple[str, ...]:
    """Return what prevents the folder from being read, if anything."""
    try:
        if path is not None:
            find_pictures(path, flag)
    except UsageError as error:
        return error.problems
    return ()


def _page(netg_path: str | None) -> Path:
    """Return the default report: next to the weights, or in the current folder for --samples."""
    return Path(netg_path).parent / "evaluate.html" if netg_path else Path("evaluate.html")
