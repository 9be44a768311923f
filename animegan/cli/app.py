"""The commands of animegan: `python main.py train`, `generate`, `monitor`, `evaluate`, ...

The whole command line is checked before anything runs; each command then resolves it to a Config
and connects the parts it needs. Heavy modules such as torch are imported only by the commands.
"""

import dataclasses
import inspect
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from animegan import __version__
from animegan.cli import parse
from animegan.config.config import OPTIONS, Config
from animegan.config.options import Layer
from animegan.config.resolve import brought, refuse_changes, resolve, saved_options, to_resume
from animegan.core.errors import Ended, TrainingStopped, UsageError, reason, refuse
from animegan.core.files import same_place
from animegan.core.signals import Terminated, terminable
from animegan.runtime.launch import launched


def say(text: str) -> None:
    """Print a message to stderr (stdout is for results), under torchrun once per machine."""
    if launched().local_rank:
        return
    _say(text)


def say_alone(text: str) -> None:
    """Print a message that concerns only this process, prefixed with its rank unless it is 0."""
    rank = launched().rank
    _say(f"process {rank}: {text}" if rank else text)


def _say(text: str) -> None:
    if "tqdm" in sys.modules:  # a progress bar may be on the line
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr, flush=True)


# --- commands


def train(**words: str) -> None:
    """Train on a folder of pictures; Ctrl-C saves and stops, --resume continues."""
    resumed = to_resume(words)
    config, sources = resolve("train", words, *(saved_options(resumed[0]) if resumed else ()))
    if resumed:
        refuse_changes(resumed[0], config, sources)
    from animegan.data.folder import find_pictures

    listing = find_pictures(config.data_path)
    if config.eval_path is not None and same_place(config.eval_path, config.data_path):
        say(
            f"--eval-path {config.eval_path}: the same folder as --data-path, so memorising it "
            "would look like quality; use held-out pictures"
        )
    if config.budget is not None:
        from animegan.training.spend import within_budget

        config, sources = within_budget(config, words, listing, say)
    from animegan.training import session

    session.train(config, sources, say, listing, resumed)


def generate(**words: str) -> None:
    """Draw new pictures from trained weights; with --netd-path, keep those it scores highest."""
    config, _ = resolve("generate", words)
    from animegan.generation.request import request_of

    request = request_of(config, say)
    from animegan.generation.generate import generate as run

    run(config, request, say)


def monitor(**words: str) -> None:
    """Start the visdom server, where training shows its losses and pictures."""
    config, _ = resolve("monitor", words)
    from animegan.monitor.visdom_server import serve

    serve(config.visdom_port, config.host, say=say)


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
    run = session.train(dataclasses.replace(config, preset="demo"), sources, say, listing)
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

    netg_path = str(find_weights(config, say)[0]) if config.netg_path else None
    from animegan.evaluation import command as eval_command

    eval_command.run(dataclasses.replace(config, netg_path=netg_path), say)


def prepare(**words: str) -> None:
    """Crop clean faces from a folder or archive of illustrations; exit code 1 if none is left."""
    config, _ = resolve("prepare", words)
    from animegan.datasets.prepare import pipeline

    counts = pipeline.prepare(_told(pipeline.Options, config), say, shlex.join(sys.argv))
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

    if examination.doctor(options, say, show).hurts:
        raise Ended(1)


DOCTOR: dict[str, Any] = {"image_size": None}  # pictures are examined at their own size


def download(**words: str) -> None:
    """Download a public set of pictures, after printing its source, size and licence."""
    config, _ = resolve("download", words)
    from animegan.datasets.download import sets as transfer

    options = _told(transfer.Options, dataclasses.replace(config, name=config.dataset))
    count = transfer.download(options, say)
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
    "monitor": monitor,
    "evaluate": evaluate,
    "prepare": prepare,
    "doctor": doctor,
    "download": download,
    "demo": demo,
    "runs": runs,
}
OWN = {"demo": DEMO, "doctor": DOCTOR}  # defaults that differ from Config's, by command

# --- the command line


def version() -> str:
    """Return the versions to quote in a bug report."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        torch = version_of("torch")
    except PackageNotFoundError:
        torch = "not installed"
    python = ".".join(map(str, sys.version_info[:3]))
    return f"animegan {__version__}, torch {torch}, Python {python}, {sys.platform}"


def summaries() -> dict[str, str]:
    """Return each command's summary, the first line of its docstring, by name."""
    return {name: (command.__doc__ or "").splitlines()[0] for name, command in COMMANDS.items()}


def exposed(name: str) -> Callable[..., None]:
    """Return the command for Fire: one keyword per option, with values left as text."""
    from fire.decorators import SetParseFn

    def command(**words: str) -> None:
        COMMANDS[name](**words)

    command.__doc__ = COMMANDS[name].__doc__
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default)
            for one in OPTIONS.values()
            if name in one.on
        ]
    )
    return SetParseFn(str)(command)  # type: ignore[no-any-return]


def check(line: parse.Line) -> None:
    """Raise UsageError listing every problem of the command line, including option conflicts."""
    problems = list(line.problems)
    if line.command != "train" and launched().size > 1:
        problems.append(
            f"torchrun: {launched().size} processes would each repeat all of {line.command}, since "
            f"only train is distributed; run python main.py {line.command} without it"
        )
    if line.command in COMMANDS:
        under: list[Layer] = []
        told: tuple[str, ...] = ()
        try:
            if line.command == "train" and (resumed := to_resume(line.values)):
                under = saved_options(resumed[0])
        except UsageError as error:
            told = error.problems
        except ValueError:
            pass  # --resume has an invalid value; `resolve` below reports it
        try:
            resolve(line.command, line.values, *under)
        except UsageError as error:
            problems += error.problems
        if not any(problem.startswith("--resume") for problem in problems):
            problems += told
    refuse(problems)


def main(words: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    0: success; 1: training stopped, a command found problems, or the system failed (memory, disk);
    2: usage error; 130: Ctrl-C; 143: SIGTERM; 128 + n: training stopped by signal n.
    """
    if list(words) == ["--version"]:
        print(version())
        return 0
    line = parse.parse(words, list(COMMANDS), OPTIONS)
    try:
        here = launched()
    except UsageError as error:
        for problem in error.problems:
            _say(problem)
        return 2
    try:
        if here.restarts and "resume" in line.values:
            from animegan.runtime.distributed import remembered_run

            line.values["resume"] = remembered_run(here) or line.values["resume"]
        if line.problems and line.command not in COMMANDS:
            raise UsageError(*line.problems)
        if line.help:
            about = summaries()
            page = parse.overview(about)
            if line.command in COMMANDS:
                own = OWN.get(line.command, {})
                page = parse.help_page(line.command, about[line.command], OPTIONS, own)
            print(page)
            return 0
        check(line)
        import fire

        assert line.command is not None
        words = [line.command, *(f"--{name}={value}" for name, value in line.values.items())]
        with nullcontext() if line.command == "train" else terminable():
            fire.Fire({line.command: exposed(line.command)}, command=words, name="animegan")
    except UsageError as error:
        for problem in error.problems:
            say(problem)
        if here.size > 1 and line.command == "train":
            from animegan.runtime.distributed import give_up

            give_up(here, error.problems)
        if here.local_rank:  # torchrun ends all once one exits: let the one that prints exit
            time.sleep(30)
        return 2
    except TrainingStopped as error:
        say_alone(str(error))
        return 1
    except Ended as end:
        return end.code
    except Terminated:
        say("stopped")
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except BrokenPipeError:  # `python main.py runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MemoryError, RuntimeError) as error:
        from animegan.runtime.memory import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        say_alone(f"out of memory: {reason(error, 100)}; try fewer or smaller pictures")
        return 1
    except OSError as error:  # the disk is full, a folder disappeared, ...
        say_alone(f"{error.filename or 'a file'}: {reason(error)}")
        return 1
    return 0


def run() -> int:
    """Run the command line of this process: the entry point of the installed command."""
    return main(sys.argv[1:])
