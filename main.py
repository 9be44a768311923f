"""animegan's commands: `python main.py train`, `generate`, `monitor`, `evaluate`, ...

The command line is checked whole before anything is imported or done; each command then gets the
Config it resolves to and wires the parts together. Needs nothing heavy until a command runs.
"""

import dataclasses
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from animegan import flags
from animegan.errors import TrainingStopped, UsageError
from animegan.options import Layer
from config import OPTIONS, Config
from resolve import resolve

if TYPE_CHECKING:
    import torch

    from animegan.monitor import Monitor
    from animegan.runs import Run
    from animegan.watch import Watch


def say(text: str) -> None:
    """Prose goes to stderr, so that stdout holds results alone."""
    if "tqdm" in sys.modules:  # a progress bar may be on the line
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr, flush=True)


class Ended(Exception):  # noqa: N818
    """A command ended with this exit code; it has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


# --- commands


def train(**words: str) -> None:
    """Train on a folder of pictures; Ctrl-C saves and stops, --resume goes on."""
    resumed = _resumed(words)
    config, sources = resolve("train", words, *(_saved_options(resumed[0]) if resumed else ()))
    if resumed and not config.allow_changes:
        _refuse_changes(resumed[0], config)
    _train(config, sources, resumed)


def _train(
    config: Config, sources: Mapping[str, str], resumed: "tuple[Run, Sequence[Any]] | None" = None
) -> "Run":
    """Wire data, networks, trainer, monitor and checkpoints together, and train."""
    from animegan import album, checkpoint, models, plan, runs, runtime
    from animegan.data.batches import Batches, check_batch
    from animegan.data.cache import open_set
    from animegan.data.folder import find_pictures
    from animegan.loop import Loop
    from animegan.losses import OBJECTIVES
    from animegan.signals import Stop
    from animegan.trainer import Trainer

    on = runtime.start(config.gpu, config.device, config.threads)
    netg, netd, config = _nets(config, sources)
    run = resumed[0] if resumed else runs.new_run(config.runs_path, config.name, config.preset)
    names = [one.name for one in OPTIONS.values() if "train" in one.on]
    pictures = len(find_pictures(config.data_path).files)
    check_batch(pictures, config.batch_size)
    text = plan.describe(config, names, sources, pictures, on.device, str(run.path))
    if config.dry_run:
        print(text)
        return run

    with _monitor(config, run) as monitor:
        faces = open_set(
            config.data_path,
            image_size=config.image_size,
            channels=config.channels,
            background=config.background,
            resize=config.resize,
            num_workers=config.num_workers,
            max_broken=config.max_broken,
            say=say,
        )
        batches = Batches(faces, config.batch_size, config.seed, flip=config.flip, device=on.device)
        trainer = Trainer(config, netg, netd, OBJECTIVES[config.loss], batches, on)
        options = dataclasses.asdict(config)
        if resumed:  # what the run once started from stays part of it
            saved = run.read_options()["options"]
            options |= {name: saved.get(name) for name in ("netg_path", "netd_path")}
        watch = _watch(config, on.device)
        loop = Loop(config, trainer, run, monitor, models.Spec.of(config), options, say, watch)
        with run.lock(), Stop(say) as stop:
            if resumed:
                loop.load_state(checkpoint.load_first(resumed[1], "--resume", say))
                run.forget_after(trainer.step)
                album.forget_after(loop.samples, trainer.step)
            run.write_options(options, sources)
            monitor.text("options", text)
            say(f"{run.path}: {len(faces):,} pictures, {trainer.device}, from step {trainer.step}")
            loop.fit(stop)
    if stop.asked:
        say(f"saved; go on with: python main.py train --resume={run.path}")
        raise Ended(128 + stop.asked)
    say(
        f"done: {run.path}/strip.png shows the training, and this draws new faces:\n"
        f"python main.py generate --netg-path={run.path}/netg_last.pth "
        f"--netd-path={run.path}/netd_last.pth"
    )
    return run


def _watch(config: Config, device: "torch.device") -> "Watch | None":
    """What measures the generator against held-out pictures while it trains, if asked for."""
    if config.eval_path is None:
        return None
    from animegan.data.cache import open_set
    from animegan.features import build_extractor
    from animegan.watch import PICTURES, Watch, interval
    from animegan.yardstick import TrainingYardstick

    extractor = build_extractor(config.extractor, config.inception_file, device)
    held_out = open_set(
        config.eval_path,
        image_size=config.image_size,
        channels=config.channels,
        background=config.background,
        resize=config.resize,
        num_workers=config.num_workers,
        say=say,
    )
    yardstick = TrainingYardstick(held_out, extractor, config.eval_num or PICTURES)
    return Watch(config, yardstick, interval(config))


@contextmanager
def _monitor(config: Config, run: "Run") -> "Iterator[Monitor]":
    """The monitor that the options ask for, closed at the end."""
    from animegan.monitor import NullMonitor
    from animegan.visdom_client import connect

    if config.vis:
        monitor = connect(
            config.visdom_server, config.visdom_port, config.env, history=run.history, say=say
        )
    else:
        monitor = NullMonitor()
    try:
        yield monitor
    finally:
        monitor.close()


def _nets(config: Config, sources: Mapping[str, str]) -> tuple[Any, Any, Config]:
    """New nets, or those of a warm start, whose sizes the config then takes over."""
    from animegan import checkpoint, models, runtime

    runtime.seed_everything(config.seed)
    loaded: dict[str, Any] = {}
    problems = []
    for kind, path, names in (
        ("netg", config.netg_path, ("image_size", "channels", "nz", "ngf", "net", "up")),
        (
            "netd",
            config.netd_path,
            ("image_size", "channels", "ndf", "net", "d_norm", "d_features"),
        ),
    ):
        if path is None:
            continue
        start = loaded[kind] = checkpoint.load_net(path, kind)  # type: ignore[arg-type]
        for name in names:
            theirs = getattr(start.spec, name)
            if name in sources and getattr(config, name) != theirs:
                problems.append(
                    f"{OPTIONS[name].flag} {getattr(config, name)}: {path} has {theirs}; "
                    "leave the option out"
                )
            config = dataclasses.replace(config, **{name: theirs})
    sizes = {(one.spec.image_size, one.spec.channels) for one in loaded.values()}
    if len(sizes) > 1:
        problems.append("--netg-path, --netd-path: the two are of different picture sizes")
    if problems:
        raise UsageError(*problems)
    spec = models.Spec.of(config)
    models.check(spec, models.penalised(config))
    netg, netd = models.build_netg(spec), models.build_netd(spec)
    return (
        loaded["netg"].net if "netg" in loaded else netg,
        loaded["netd"].net if "netd" in loaded else netd,
        config,
    )


def _resumed(words: Mapping[str, str]) -> "tuple[Run, Sequence[Any]] | None":
    """The run that --resume means and its states, newest first; None without it."""
    resume: bool | str = OPTIONS["resume"].read(words.get("resume", "false"))
    if resume is False:
        return None
    from animegan import runs

    root = words.get("runs_path", OPTIONS["runs_path"].default)
    return runs.to_resume(root, words.get("name"), resume)


def _saved_options(run: "Run") -> list[Layer]:
    saved = run.read_options()["options"]
    calls = ("name", "config", "preset", "resume", "allow_changes", "dry_run", "netg_path",
             "netd_path", "max_minutes", "gpu", "device")  # fmt: skip
    kept = {name: value for name, value in saved.items() if name in OPTIONS and name not in calls}
    return [Layer(f"run {run.name}", kept)]


def _refuse_changes(run: "Run", config: Config) -> None:
    """UsageError that lists each option on which the weights depend and which is not the run's."""
    saved = run.read_options()["options"]
    raise_for = [
        f"{one.flag} {getattr(config, name)}: the run {run.name} has {saved[name]}; leave it out, "
        "or add --allow-changes"
        for name, one in OPTIONS.items()
        if not one.free and "train" in one.on and name in saved
        and name not in ("netg_path", "netd_path") and saved[name] != getattr(config, name)
    ]  # fmt: skip
    if raise_for:
        raise UsageError(*raise_for)


def generate(**words: str) -> None:
    """Draw new pictures from trained weights; with --netd-path the best-scored are kept."""
    config, _ = resolve("generate", words)
    from animegan.generate import generate as run

    run(config, say)


def monitor(**words: str) -> None:
    """Start the visdom server, on which a training shows its losses and pictures."""
    config, _ = resolve("monitor", words)
    from animegan.visdom_server import serve

    serve(config.visdom_port, config.host, say=say)


def demo(**words: str) -> None:
    """Draw a set of simple faces, train on it for a few minutes, and draw new ones."""
    config, sources = resolve("demo", words, Layer("demo", DEMO))
    from pathlib import Path

    from animegan.drawn import draw_set

    folder = Path("data") / "demo"
    if not config.dry_run:
        draw_set(folder, count=DEMO_PICTURES, size=DEMO["image_size"], seed=0,
                 workers=config.num_workers)  # fmt: skip
    config = dataclasses.replace(config, data_path=str(folder), preset="demo")
    run = _train(config, sources)
    if not config.dry_run:
        generate(netg_path=f"{run.path}/netg_last.pth", netd_path=f"{run.path}/netd_last.pth",
                 gen_img=f"{run.path}/result.png")  # fmt: skip


DEMO_PICTURES = 4000
DEMO: dict[str, Any] = {
    "image_size": 64, "ngf": 32, "ndf": 32, "ema": 10_000, "flip": True, "max_epoch": 40,
    "max_minutes": 4.0, "state_every_minutes": 1.0,
}  # fmt: skip


def evaluate(**words: str) -> None:
    """Compare a generator's samples, or a folder of pictures, with real pictures."""
    config, _ = resolve("evaluate", words)
    from animegan import eval_command, generate

    netg_path = None
    if config.netg_path:
        netg_path = str(generate.find_weights(config, say)[0])
    eval_command.run(
        netg_path=netg_path,
        samples=config.samples,
        against=config.against,
        floor_path=config.floor_path,
        train_path=config.train_path,
        eval_num=config.eval_num,
        extractor=config.extractor,
        inception_file=config.inception_file,
        report=config.report,
        as_json=config.json,
        seed=config.seed,
        gen_mean=config.gen_mean,
        gen_std=config.gen_std,
        image_size=config.image_size,
        channels=config.channels,
        background=config.background,
        resize=config.resize,
        num_workers=config.num_workers,
        gpu=config.gpu,
        device=config.device,
        threads=config.threads,
        say=say,
    )


def runs(**words: str) -> None:
    """List the runs; with --repeat=RUN, the command that repeats one."""
    config, _ = resolve("runs", words)
    from animegan.listing import command_of, listing

    if config.repeat:
        print(command_of(config.runs_path, config.repeat, OPTIONS))
    else:
        print(listing(config.runs_path, OPTIONS))


COMMANDS: dict[str, Callable[..., None]] = {
    "train": train,
    "generate": generate,
    "monitor": monitor,
    "evaluate": evaluate,
    "demo": demo,
    "runs": runs,
}
POSITIONAL: dict[str, str] = {}  # the option that a command's one bare word fills

# --- the command line


def summaries() -> dict[str, str]:
    return {name: (command.__doc__ or "").splitlines()[0] for name, command in COMMANDS.items()}


def exposed(name: str) -> Callable[..., None]:
    """The command as Fire sees it: one keyword for each of its options, values kept as text."""
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


def check(line: flags.Line) -> None:
    """UsageError with every problem of the command line, those between options included."""
    problems = list(line.problems)
    if line.command in COMMANDS:
        under: list[Layer] = []
        told: tuple[str, ...] = ()
        try:
            if resumed := _resumed(line.values):
                under = _saved_options(resumed[0])
        except UsageError as error:
            told = error.problems
        except ValueError:
            pass  # --resume has a wrong value, as is told next
        try:
            resolve(line.command, line.values, *under)
        except UsageError as error:
            problems += error.problems
        if not any(problem.startswith("--resume") for problem in problems):
            problems += told
    if problems:
        raise UsageError(*problems)


def main(words: Sequence[str]) -> int:
    """Run one command line; the exit code: 0, 1 (training stopped), 2 (usage), 130 (Ctrl-C)."""
    line = flags.parse(words, list(COMMANDS), OPTIONS, POSITIONAL)
    try:
        if line.problems and line.command not in COMMANDS:
            raise UsageError(*line.problems)
        if line.help:
            about = summaries()
            page = flags.overview(about)
            if line.command in COMMANDS:
                page = flags.help_page(
                    line.command, about[line.command], OPTIONS, POSITIONAL.get(line.command, "")
                )
            print(page)
            return 0
        check(line)
        import fire

        assert line.command is not None
        words = [line.command, *(f"--{name}={value}" for name, value in line.values.items())]
        fire.Fire({line.command: exposed(line.command)}, command=words, name="animegan")
    except UsageError as error:
        for problem in error.problems:
            say(problem)
        return 2
    except TrainingStopped as error:
        say(str(error))
        return 1
    except Ended as end:
        return end.code
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except BrokenPipeError:  # `python main.py runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MemoryError, RuntimeError) as error:
        from animegan.runtime import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        say(f"out of memory: {str(error).splitlines()[0][:100]}; try fewer or smaller pictures")
        return 1
    except OSError as error:  # the disk is full, a folder went away, ...
        say(f"{error.filename or 'a file'}: {error.strerror or error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
