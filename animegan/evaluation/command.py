"""The `evaluate` command: compare weights or a folder with a folder of real pictures."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from animegan.config.resume import read_options
from animegan.core.errors import UsageError, refuse
from animegan.core.files import same_place
from animegan.core.images import Draw
from animegan.core.outputs import writable_file, writing_report
from animegan.core.printable import printable
from animegan.data.decode import RULES, parse_background
from animegan.data.face_set import open_set
from animegan.data.folder import Listing, find_pictures
from animegan.datasets.faces.detector import FaceDetector
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.measure import Folder, Pictures, of_array
from animegan.evaluation.protocol import FEWEST, evaluate
from animegan.evaluation.report import write_report
from animegan.evaluation.table import table
from animegan.generation import generate
from animegan.generation.candidates import Noise, labels_of
from animegan.models.fold import folded
from animegan.runs import checkpoint
from animegan.runtime.device import Runtime

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)

ENDLESS = 10**9  # number of pictures of a generator, until --eval-num or the reals limit it


def run(config: "Config") -> None:
    """Evaluate, write the HTML report, and print the table or the JSON object to stdout.

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
    listings: dict[str, Listing] = {}
    for flag, path in (
        ("--against", config.against), ("--samples", config.samples),
        ("--floor-path", config.floor_path), ("--train-path", config.train_path),
    ):  # fmt: skip
        try:
            if path is not None:
                listings[flag] = find_pictures(path, flag)
        except UsageError as error:
            problems += error.problems
    page = Path(config.report) if config.report else _page(config.netg_path)
    refuse(problems or writable_file("--report", page))
    against = config.against
    assert against is not None
    _say_if_same(config, against)
    runtime = Runtime.start(config.gpu, config.device, config.threads)
    pictures, trained_on = None, ""
    if config.netg_path is not None:
        generator = _load_generator(config, runtime.device)
        pictures, config, trained_on = generator.pictures, generator.config, generator.trained_on
        if generator.training_set is not None:
            listings["--train-path"] = generator.training_set
        if config.train_path and same_place(config.train_path, against):
            logger.info(
                f"--against {against}: the generator was trained on these, so memorising them "
                "would look like quality; use held-out pictures"
            )
    network = build_extractor(config.extractor, config.inception_file, runtime.device)
    detector = FaceDetector()

    def opened(flag: str, path: str) -> Folder:
        faces = open_set(
            listings[flag], image_size=config.image_size, channels=config.channels,
            background=config.background, resize=config.resize,
            num_workers=config.num_workers, max_broken=config.max_broken,
        )  # fmt: skip
        return Folder(path, faces)

    if pictures is None:
        assert config.samples is not None
        samples = opened("--samples", config.samples)
        pictures = of_array(samples.path, samples.faces.images)
    reals = opened("--against", against)
    others = opened("--floor-path", config.floor_path) if config.floor_path else None
    train = opened("--train-path", config.train_path) if config.train_path else None
    if train is not None and trained_on and train.faces.digest != trained_on:
        logger.info(
            f"--train-path {train.path}: its pictures are not those that the generator was trained "
            "on (other names or sizes); copies of missing ones are not found"
        )
    evaluation = evaluate(
        pictures, reals, extractor=network, detector=detector, count=config.eval_num,
        seed=config.seed, others=others, train=train, trained_on=trained_on,
    )  # fmt: skip
    try:
        with writing_report(page):
            write_report(evaluation, page)
    finally:  # whatever became of the page
        text = evaluation.as_json() if config.json else table(evaluation)
        print(printable(text), file=sys.stdout, flush=True)
    logger.info(
        f"{page}: sheets, distances and protocol; shows real pictures, so do not publish it"
    )


@dataclass(frozen=True, eq=False)
class _Generator:
    """A generator's pictures, and what its weight file says about its training."""

    pictures: Pictures
    config: "Config"  # with the picture options of its training
    training_set: Listing | None  # the folder it was trained on; None: it is given, or gone
    trained_on: str  # digest of the training set; "" in older files


def _load_generator(config: "Config", device: torch.device) -> _Generator:
    path = config.netg_path
    assert path is not None
    loaded = checkpoint.load_net(path, "netg", device)
    labels = labels_of(loaded, None, path)
    noise = Noise(config.seed, loaded.spec.nz, config.gen_mean, config.gen_std, labels)
    saved = read_options(loaded.about.get("options", {}), f"--netg-path {path}")
    training_set, data_path = None, saved.get("data_path")
    if config.train_path is None and data_path:
        try:
            training_set = find_pictures(data_path, "--train-path")
            config = replace(config, train_path=data_path)
        except UsageError:
            logger.info(
                f"--netg-path {path}: the folder that it was trained on, {data_path}, is gone or "
                "holds no pictures; if it has moved, name it with --train-path"
            )
    config = replace(
        config,
        image_size=loaded.spec.image_size,
        channels=loaded.spec.channels,
        background=_decoded_with(saved, "background", config.background, path),
        resize=_decoded_with(saved, "resize", config.resize, path),
    )
    pictures = Pictures(path, ENDLESS, drawing(loaded, noise, device))
    trained_on = loaded.about.get("picture_files")
    return _Generator(
        pictures, config, training_set, trained_on if isinstance(trained_on, str) else ""
    )


def _decoded_with(saved: Mapping[str, Any], name: str, default: str, path: str) -> str:
    """Return how the training decoded its pictures; UsageError if no training can have."""
    value = saved.get(name, default)
    known = isinstance(value, str)
    try:
        known = known and (value in RULES if name == "resize" else bool(parse_background(value)))
    except UsageError:
        known = False
    if not known:
        raise UsageError(
            f"--netg-path {path}: says {name} {value!r:.40}, which this version does not know; "
            "was it edited, or written by a newer version?"
        )
    return str(value)


def drawing(loaded: checkpoint.LoadedNet, noise: Noise, device: torch.device) -> Draw:
    """Return a function that draws candidates `start` and up of a seed, in whatever portions."""
    netg, chunk = folded(loaded.net), generate.chunk_of(loaded.spec.image_size, device)

    def draw(start: int, count: int) -> Tensor:
        candidates = range(start, start + count)
        return torch.cat(list(generate.draw(netg, noise, candidates, device, chunk)))

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


def _page(netg_path: str | None) -> Path:
    """Return the default report: next to the weights, or in the current folder for --samples."""
    return Path(netg_path).parent / "evaluate.html" if netg_path else Path("evaluate.html")
