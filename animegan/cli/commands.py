"""One function per command: each resolves its words to a Config and connects the parts it needs.

Heavy modules such as torch are imported only by the commands.
"""

import dataclasses
import logging
import sys
from collections.abc import Callable
from typing import Any

from animegan.config.config import OPTIONS, Config
from animegan.config.options import Layer
from animegan.config.resolve import brought, refuse_changes, resolve, saved_options, to_resume
from animegan.core.errors import Ended
from animegan.core.files import same_place
from animegan.core.program import command_line

logger = logging.getLogger(__name__)


def train(**words: str) -> None:
    """Train on a folder of pictures; Ctrl-C saves and stops, --resume continues."""
    resumed = to_resume(words)
    config, sources = resolve("train", words, *(saved_options(resumed[0]) if resumed else ()))
    if resumed:
        refuse_changes(resumed[0], config, sources)
    from animegan.data.folder import find_pictures

    listing = find_pictures(config.data_path)
    if config.eval_path is not None and same_place(config.eval_path, config.data_path):
        logger.info(
            f"--eval-path {config.eval_path}: the same folder as --data-path, so memorising it "
            "would look like quality; use held-out pictures"
        )
    if config.budget is not None:
        from animegan.training.spend import within_budget

        config, sources = within_budget(config, words, listing)
    from animegan.training import session

    session.train(config, sources, listing, resumed)


def generate(**words: str) -> None:
    """Draw new pictures from trained weights; with --netd-path, keep those it scores highest."""
    config, _ = resolve("generate", words)
    from animegan.generation.request import request_of

    request = request_of(config)
    from animegan.generation.generate import generate as run

    run(config, request)


def studio(**words: str) -> None:
    """Open a page for playing with a generator: a wall of faces, mixing, sliders, walks."""
    config, _ = resolve("studio", words)
    from animegan.generation.request import find_weights

    netg_path, _ = find_weights(config)
    from animegan.web import studio as page

    listening = page.listen(config.port)
    from animegan.generation.draw_recipes import RecipeDrawer
    from animegan.runtime.device import Runtime

    on = Runtime.start(config.gpu, config.device, config.threads)
    page.serve(
        listening, RecipeDrawer(netg_path, on.device), netg_path, config.seed, config.browser
    )


def monitor(**words: str) -> None:
    """Start the visdom server, where training shows its losses and pictures."""
    config, _ = resolve("monitor", words)
    from animegan.monitor.visdom_server import serve

    serve(config.visdom_port, config.host)


def demo(**words: str) -> None:
    """Draw a set of simple faces, train on it for a few minutes and generate new ones."""
    config, sources = resolve("demo", words, Layer("demo", DEMO))
    from pathlib import Path

    from animegan.data.folder import find_pictures
    from animegan.datasets.drawn.draw import draw_set
    from animegan.training import session

    draw_set(Path(config.data_path), count=DEMO_PICTURES, size=config.image_size, seed=0,
             workers=config.num_workers)  # fmt: skip
    listing = find_pictures(config.data_path)
    run = session.train(dataclasses.replace(config, preset="demo"), sources, listing)
    machine = {name: words[name] for name in ("gpu", "device", "threads") if name in words}
    generate(netg_path=f"{run.path}/netg_last.pth", netd_path=f"{run.path}/netd_last.pth",
             gen_img=f"{run.path}/result.png", **machine)  # fmt: skip


DEMO_PICTURES = 4000
DEMO: dict[str, Any] = {
    "data_path": "data/.demo", "image_size": 64, "net": "dcgan", "loss": "bce", "augment": "none",
    "max_epoch": 40, "max_minutes": 4.0, "state_every_minutes": 1.0,
}  # fmt: skip


def evaluate(**words: str) -> None:
    """Measure how close a generator's samples, or a folder of pictures, come to real pictures."""
    config, _ = resolve("evaluate", words)
    from animegan.generation.request import find_weights

    netg_path = str(find_weights(config)[0]) if config.netg_path else None
    from animegan.evaluation import command as eval_command

    eval_command.run(dataclasses.replace(config, netg_path=netg_path))


def prepare(**words: str) -> None:
    """Crop clean faces from a folder or archive of illustrations; exit code 1 if none is left."""
    config, _ = resolve("prepare", words)
    from animegan.datasets.prepare import pipeline

    counts = pipeline.prepare(_told(pipeline.Options, config), command_line(*sys.argv[1:]))
    print("\n".join(counts.lines()))
    if not counts.to_train_on:
        raise Ended(1)


def doctor(**words: str) -> None:
    """Examine a set of pictures; exit code 1 if something in it would hurt training."""
    config, sources = resolve("doctor", words)
    from animegan.datasets.doctor import command as examination
    from animegan.datasets.doctor.diagnosis import Diagnosis

    options = _told(examination.Options, config)
    if "image_size" not in sources:
        options = dataclasses.replace(options, **DOCTOR)

    def show(found: Diagnosis) -> None:
        print("\n".join(found.lines()), flush=True)

    if examination.doctor(options, show).hurts:
        raise Ended(1)


DOCTOR: dict[str, Any] = {"image_size": None}  # pictures are examined at their own size


def download(**words: str) -> None:
    """Download a public set of pictures, after printing its source, size and licence."""
    config, _ = resolve("download", words)
    from animegan.datasets.download import sets as transfer

    options = _told(transfer.Options, dataclasses.replace(config, name=config.dataset))
    count = transfer.download(options)
    if not config.dry_run:
        print(f"{options.folder}: {count:,} pictures")


def _told(kind: Any, config: Config) -> Any:
    """Return a part's own options dataclass, filled from the Config fields of the same names."""
    return kind(**{one.name: getattr(config, one.name) for one in dataclasses.fields(kind)})


def runs(**words: str) -> None:
    """List the runs; with --repeat=RUN, print the command that repeats one."""
    config, _ = resolve("runs", words)
    from animegan.cli.listing import command_of, listing

    if config.repeat:
        print(command_of(config.runs_path, config.repeat, OPTIONS, brought))
    else:
        print(listing(config.runs_path, OPTIONS))


COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "generate": generate,
    "studio": studio,
    "monitor": monitor,
    "evaluate": evaluate,
    "prepare": prepare,
    "doctor": doctor,
    "download": download,
    "demo": demo,
    "runs": runs,
}
OWN = {"demo": DEMO, "doctor": DOCTOR}  # defaults that differ from Config's, by command
