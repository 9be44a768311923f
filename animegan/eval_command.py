"""The `evaluate` command: weights or a folder against a folder of real pictures."""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from animegan import checkpoint, generate, runtime
from animegan.data.cache import FaceSet, open_set
from animegan.data.folder import find_pictures
from animegan.detector import FaceDetector
from animegan.errors import UsageError
from animegan.eval_report import write_report
from animegan.evaluate import evaluate, table
from animegan.features import Draw, build_extractor
from animegan.label_draw import labels_of
from animegan.measure import Pictures, of_array

ENDLESS = 10**9  # candidates of a generator


def run(
    *,
    netg_path: str | None,
    samples: str | None,
    against: str | None,
    floor_path: str | None = None,
    train_path: str | None = None,
    eval_num: int | None = None,
    extractor: str = "lite0",
    inception_file: str | None = None,
    report: str | None = None,
    as_json: bool = False,
    seed: int = 0,
    gen_mean: float = 0.0,
    gen_std: float = 1.0,
    image_size: int = 96,
    channels: int = 3,
    background: str = "white",
    resize: str = "crop",
    num_workers: int = 4,
    gpu: bool | None = None,
    device: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None],
) -> None:
    """Evaluate, write the page, and print the table, or with `as_json` the JSON, to stdout.

    A generator's pictures are compared at its own size and channels, and the reals become pixels
    as they did in its training; `image_size` to `resize` hold for `samples`. The training set is
    `train_path`, or the folder that the run was trained on if it is still there.

    Raises:
        UsageError: options that do not go together, folders and files that are not there, packages
            or weights that are not to be had; all before any measuring.
    """
    problems = _missing(netg_path, samples, against)
    for flag, path in (
        ("--against", against), ("--samples", samples), ("--floor-path", floor_path),
        ("--train-path", train_path),
    ):  # fmt: skip
        problems += _unlisted(flag, path)
    if problems:
        raise UsageError(*problems)
    assert against is not None
    on = runtime.start(gpu, device, threads)
    pictures = None
    if netg_path is not None:
        loaded = checkpoint.load_net(netg_path, "netg", on.device)
        labels = labels_of(loaded, None, netg_path)
        noise = generate.Noise(seed, loaded.spec.nz, gen_mean, gen_std, labels)
        pictures = Pictures(netg_path, ENDLESS, drawing(loaded.net, noise, on.device))
        image_size, channels = loaded.spec.image_size, loaded.spec.channels
        options = loaded.about.get("options", {})
        background, resize = options.get("background", background), options.get("resize", resize)
        trained_on = options.get("data_path")
        if train_path is None and trained_on and not _unlisted("", trained_on):
            train_path = trained_on
    network = build_extractor(extractor, inception_file, on.device)
    detector = FaceDetector()

    def opened(flag: str, path: str) -> FaceSet:
        try:
            return open_set(
                path, image_size=image_size, channels=channels, background=background,
                resize=resize, num_workers=num_workers, say=say,
            )  # fmt: skip
        except UsageError as error:
            raise error.under(flag) from None

    if pictures is None:
        assert samples is not None
        pictures = of_array(samples, opened("--samples", samples).images)
    found = evaluate(
        pictures, opened("--against", against), against=against, extractor=network,
        detector=detector, count=eval_num, seed=seed,
        others=opened("--floor-path", floor_path) if floor_path else None,
        others_from=floor_path or "",
        train=opened("--train-path", train_path) if train_path else None,
        train_from=train_path or "", say=say,
    )  # fmt: skip
    page = Path(report) if report else _page(netg_path)
    write_report(found, page)
    say(f"{page}: sheets, distances and protocol; it shows real pictures, so keep it to yourself")
    print(found.as_json() if as_json else table(found), file=sys.stdout, flush=True)


def drawing(netg: nn.Module, noise: generate.Noise, device: torch.device) -> Draw:
    """A generator's candidates 0, 1, 2, ... of a seed, the same however they are asked for."""

    def draw(start: int, count: int) -> Tensor:
        return torch.cat(list(generate.draw(netg, noise, range(start, start + count), device)))

    return draw


def _missing(netg_path: str | None, samples: str | None, against: str | None) -> list[str]:
    problems = []
    if against is None:
        problems.append("--against: missing; name a folder of real pictures, best held-out ones")
    if netg_path is None and samples is None:
        problems.append(
            "--netg-path: missing; name the generator's weights, such as "
            "checkpoints/RUN/netg_last.pth, or a folder of pictures with --samples"
        )
    if netg_path is not None and samples is not None:
        problems.append(f"--netg-path and --samples {samples}: both name the samples; keep one")
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
