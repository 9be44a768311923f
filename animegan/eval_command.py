"""The `evaluate` command: weights or a folder against a folder of real pictures."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from animegan import checkpoint, generate, runtime
from animegan.data.cache import FaceSet, open_set
from animegan.data.folder import find_pictures
from animegan.detector import FaceDetector
from animegan.errors import UsageError, refuse
from animegan.eval_report import write_report
from animegan.evaluate import evaluate, table
from animegan.features import Draw, build_extractor
from animegan.label_draw import labels_of
from animegan.measure import Pictures, of_array

ENDLESS = 10**9  # candidates of a generator


@dataclass(frozen=True)
class Options:
    """What to evaluate and how: options of the command of the same names."""

    netg_path: str | None = None
    samples: str | None = None
    against: str | None = None
    floor_path: str | None = None
    train_path: str | None = None
    eval_num: int | None = None
    extractor: str = "lite0"
    inception_file: str | None = None
    report: str | None = None
    json: bool = False
    seed: int = 0
    gen_mean: float = 0.0
    gen_std: float = 1.0
    image_size: int = 96
    channels: int = 3
    background: str = "white"
    resize: str = "crop"
    num_workers: int = 4
    gpu: bool | None = None
    device: str | None = None
    threads: int | None = None


def run(options: Options, say: Callable[[str], None]) -> None:
    """Evaluate, write the page, and print the table, or the JSON, to stdout.

    A generator's pictures are compared at its own size and channels, and the reals become pixels
    as they did in its training; `image_size` to `resize` hold for `samples`. The training set is
    `train_path`, or the folder that the run was trained on if it is still there.

    Raises:
        UsageError: options that do not go together, folders and files that are not there, packages
            or weights that are not to be had; all before any measuring.
    """
    problems = _missing(options)
    for flag, path in (
        ("--against", options.against), ("--samples", options.samples),
        ("--floor-path", options.floor_path), ("--train-path", options.train_path),
    ):  # fmt: skip
        problems += _unlisted(flag, path)
    refuse(problems)
    against = options.against
    assert against is not None
    on = runtime.start(options.gpu, options.device, options.threads)
    pictures = None
    if options.netg_path is not None:
        pictures, options = _drawn(options, on.device)
    network = build_extractor(options.extractor, options.inception_file, on.device)
    detector = FaceDetector()

    def opened(flag: str, path: str) -> FaceSet:
        try:
            return open_set(
                path, image_size=options.image_size, channels=options.channels,
                background=options.background, resize=options.resize,
                num_workers=options.num_workers, say=say,
            )  # fmt: skip
        except UsageError as error:
            raise error.under(flag) from None

    if pictures is None:
        assert options.samples is not None
        pictures = of_array(options.samples, opened("--samples", options.samples).images)
    floor_path, train_path = options.floor_path, options.train_path
    found = evaluate(
        pictures, opened("--against", against), against=against, extractor=network,
        detector=detector, count=options.eval_num, seed=options.seed,
        others=opened("--floor-path", floor_path) if floor_path else None,
        others_from=floor_path or "",
        train=opened("--train-path", train_path) if train_path else None,
        train_from=train_path or "", say=say,
    )  # fmt: skip
    page = Path(options.report) if options.report else _page(options.netg_path)
    write_report(found, page)
    say(f"{page}: sheets, distances and protocol; it shows real pictures, so keep it to yourself")
    print(found.as_json() if options.json else table(found), file=sys.stdout, flush=True)


def _drawn(options: Options, device: torch.device) -> tuple[Pictures, Options]:
    """A generator's pictures, and the options as they were in its training."""
    path = options.netg_path
    assert path is not None
    loaded = checkpoint.load_net(path, "netg", device)
    labels = labels_of(loaded, None, path)
    noise = generate.Noise(options.seed, loaded.spec.nz, options.gen_mean, options.gen_std, labels)
    saved = loaded.about.get("options", {})
    trained_on = saved.get("data_path")
    if options.train_path is None and trained_on and not _unlisted("", trained_on):
        options = replace(options, train_path=trained_on)
    options = replace(
        options,
        image_size=loaded.spec.image_size,
        channels=loaded.spec.channels,
        background=saved.get("background", options.background),
        resize=saved.get("resize", options.resize),
    )
    return Pictures(path, ENDLESS, drawing(loaded.net, noise, device)), options


def drawing(netg: nn.Module, noise: generate.Noise, device: torch.device) -> Draw:
    """A generator's candidates 0, 1, 2, ... of a seed, the same however they are asked for."""

    def draw(start: int, count: int) -> Tensor:
        return torch.cat(list(generate.draw(netg, noise, range(start, start + count), device)))

    return draw


def _missing(options: Options) -> list[str]:
    problems = []
    if options.against is None:
        problems.append("--against: missing; name a folder of real pictures, best held-out ones")
    if options.netg_path is None and options.samples is None:
        problems.append(
            "--netg-path: missing; name the generator's weights, such as "
            "checkpoints/RUN/netg_last.pth, or a folder of pictures with --samples"
        )
    if options.netg_path is not None and options.samples is not None:
        problems.append(
            f"--netg-path and --samples {options.samples}: both name the samples; keep one"
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
