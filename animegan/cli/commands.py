"""One function per command: each takes a resolved command line and connects the parts it needs.

Heavy modules such as torch are imported only by the commands.
"""

import dataclasses
import logging
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from animegan.config.config import Config
from animegan.config.resolve import Resolved, resolve, typed
from animegan.core.errors import Ended, UsageError
from animegan.core.files import same_place
from animegan.core.program import command_line

if TYPE_CHECKING:
    from animegan.data.folder import Listing

logger = logging.getLogger(__name__)


def train(resolved: Resolved) -> None:
    config, sources = resolved.config, resolved.sources
    from animegan.data.folder import find_pictures

    listing = find_pictures(config.data_path)
    if config.eval_path is not None:
        _keep_apart(config.data_path, config.eval_path, listing)
    if config.budget is not None:
        from animegan.training.budget import within_budget

        config, sources = within_budget(resolved, listing)
    from animegan.training import session

    session.train(config, sources, listing, resolved.resumed)


def _keep_apart(data_path: str, eval_path: str, listing: "Listing") -> None:
    """Raise UsageError if one folder holds pictures of the other; say so if they are the same."""
    from animegan.data.folder import find_pictures

    if same_place(eval_path, data_path):
        logger.info(
            f"--eval-path {eval_path}: the same folder as --data-path, so memorising it would look "
            "like quality; use held-out pictures"
        )
        return
    way = "put the two side by side, such as data/mine/train and data/mine/heldout"
    if listing.holds(eval_path):
        raise UsageError(
            f"--data-path {data_path}: holds --eval-path {eval_path}, so the held-out pictures "
            f"would be trained on; {way}"
        )
    if find_pictures(eval_path, "--eval-path").holds(data_path):
        raise UsageError(
            f"--eval-path {eval_path}: holds --data-path {data_path}, so memorising would look "
            f"like quality; {way}"
        )


def generate(resolved: Resolved) -> None:
    from animegan.generation.request import request_of

    request = request_of(resolved.config)
    from animegan.generation.generate import generate as run

    run(resolved.config, request)


def studio(resolved: Resolved) -> None:
    config = resolved.config
    from animegan.generation.request import find_weights

    netg_path, _ = find_weights(config)
    from animegan.web import studio as page

    listening = page.listen(config.port)
    from animegan.generation.draw_recipes import RecipeDrawer
    from animegan.runtime.device import Runtime

    runtime = Runtime.start(config.gpu, config.device, config.threads)
    page.serve(
        listening, RecipeDrawer(netg_path, runtime.device), netg_path, config.seed, config.browser
    )


def monitor(resolved: Resolved) -> None:
    from animegan.monitor.visdom_server import serve

    serve(resolved.config.visdom_port, resolved.config.host)


def demo(resolved: Resolved) -> None:
    config = resolved.config
    from pathlib import Path

    from animegan.data.folder import find_pictures
    from animegan.datasets.drawn.draw import draw_set
    from animegan.training import session

    draw_set(Path(config.data_path), count=DEMO_PICTURES, size=config.image_size, seed=0,
             workers=config.num_workers)  # fmt: skip
    listing = find_pictures(config.data_path)
    run = session.train(dataclasses.replace(config, preset="demo"), resolved.sources, listing)
    weights = {"netg_path": f"{run.path}/netg_last.pth", "netd_path": f"{run.path}/netd_last.pth"}
    machine = {name: str(getattr(config, name)) for name in ("gpu", "device", "threads")}
    given = typed("generate", {**weights, "gen_img": f"{run.path}/result.png", **machine})
    generate(Resolved(*resolve("generate", given), given))


DEMO_PICTURES = 4000
DEMO: dict[str, Any] = {
    "data_path": "data/.demo", "image_size": 64, "net": "dcgan", "loss": "bce", "augment": "none",
    "max_epoch": 40, "max_minutes": 4.0, "state_every_minutes": 1.0,
}  # fmt: skip


def evaluate(resolved: Resolved) -> None:
    config = resolved.config
    from animegan.generation.request import find_weights

    netg_path = str(find_weights(config)[0]) if config.netg_path else None
    from animegan.evaluation import command as eval_command

    eval_command.run(dataclasses.replace(config, netg_path=netg_path))


def video(resolved: Resolved) -> None:
    from animegan.generation.request import film_of

    netg_path = film_of(resolved.config)
    from animegan.generation.video import film

    film(resolved.config, netg_path)


def export(resolved: Resolved) -> None:
    from animegan.generation.request import find_weights

    netg_path = find_weights(resolved.config)[0]
    from animegan.exports.command import export as run

    run(resolved.config, netg_path)


def prepare(resolved: Resolved) -> None:
    config = resolved.config
    from animegan.datasets.prepare import pipeline

    counts = pipeline.prepare(_filled(pipeline.Options, config), command_line(*sys.argv[1:]))
    print("\n".join(counts.lines()))
    if not counts.to_train_on:
        raise Ended(1)


def doctor(resolved: Resolved) -> None:
    from animegan.datasets.doctor import command as examination
    from animegan.datasets.doctor.diagnosis import Diagnosis

    options = _filled(examination.Options, resolved.config)
    if "image_size" not in resolved.sources:
        options = dataclasses.replace(options, **DOCTOR)

    def show(diagnosis: Diagnosis) -> None:
        print("\n".join(diagnosis.lines()), flush=True)

    if examination.doctor(options, show).hurts:
        raise Ended(1)


DOCTOR: dict[str, Any] = {"image_size": None}  # pictures are examined at their own size


def download(resolved: Resolved) -> None:
    config = resolved.config
    from animegan.datasets.download import sets as transfer

    options = _filled(transfer.Options, dataclasses.replace(config, name=config.dataset))
    count = transfer.download(options)
    if not config.dry_run:
        print(f"{options.folder}: {count:,} pictures")


def _filled(kind: Any, config: Config) -> Any:
    """Return a part's own options dataclass, filled from the Config fields of the same names."""
    return kind(**{field.name: getattr(config, field.name) for field in dataclasses.fields(kind)})


def runs(resolved: Resolved) -> None:
    config = resolved.config
    from animegan.cli.listing import command_of, listing

    if config.repeat:
        print(command_of(config.runs_path, config.repeat))
    else:
        columns = shutil.get_terminal_size((0, 0)).columns
        print(listing(config.runs_path, config.format, config.sort, columns))


def cache(resolved: Resolved) -> None:
    from animegan.data.cache_folder import cache_root, cached, clear

    for entry in cached():
        print(f"{entry.bytes / 1e6:>10,.1f} MB  {entry.days:>5.1f} days old  {entry.name}")
    if resolved.config.clear:
        count, size = clear()
        print(f"deleted {count:,} of them, {size / 1e6:,.1f} MB, in {cache_root()}")
    else:
        total = sum(entry.bytes for entry in cached())
        print(f"{total / 1e6:,.1f} MB in {cache_root()}; --clear deletes it")


@dataclass(frozen=True)
class Command:
    """A command: what it does, a line about it, and defaults that differ from Config's."""

    run: Callable[[Resolved], None]
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict)


COMMANDS = {
    "train": Command(
        train, "Train on a folder of pictures; Ctrl-C saves and stops, --resume continues."
    ),
    "generate": Command(
        generate,
        "Draw new pictures from trained weights; with --netd-path, keep those it scores highest.",
    ),
    "studio": Command(
        studio, "Open a page for playing with a generator: a wall of faces, mixing, sliders, walks."
    ),
    "monitor": Command(
        monitor, "Start the visdom server, where training shows its losses and pictures."
    ),
    "evaluate": Command(
        evaluate,
        "Measure how close a generator's samples, or a folder of pictures, come to real pictures.",
    ),
    "video": Command(
        video, "Draw a film that walks from face to face and ends where it began: MP4, WebP or GIF."
    ),
    "export": Command(
        export,
        "Write a generator as safetensors, as ONNX, as a page that draws in the browser, or as a "
        "folder for the Hugging Face Hub.",
    ),
    "prepare": Command(
        prepare,
        "Crop clean faces from a folder or archive of illustrations; exit code 1 if none is left.",
    ),
    "doctor": Command(
        doctor,
        "Examine a set of pictures; exit code 1 if something in it would hurt training.",
        DOCTOR,
    ),
    "download": Command(
        download,
        "Download a public set of pictures, after printing its source, size and licence.",
    ),
    "demo": Command(
        demo,
        "Draw a set of simple faces, train on it for a few minutes and generate new ones.",
        DEMO,
    ),
    "runs": Command(runs, "List the runs; with --repeat=RUN, print the command that repeats one."),
    "cache": Command(
        cache, "List what the cache of decoded pictures and features holds; --clear deletes it."
    ),
}
