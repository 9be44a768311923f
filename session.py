"""One training, wired: data, networks, trainer, monitor, watch and checkpoints put together."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from animegan import album, checkpoint, models, plan, runs, runtime
from animegan.data.batches import Batches, check_batch
from animegan.data.cache import open_set
from animegan.data.folder import find_pictures
from animegan.errors import Ended, UsageError
from animegan.features import build_extractor
from animegan.loop import Loop
from animegan.losses import OBJECTIVES
from animegan.models import has_batch_norm
from animegan.monitor import Monitor, NullMonitor
from animegan.runs import Run
from animegan.runtime import Runtime
from animegan.signals import Stop
from animegan.trainer import Trainer
from animegan.visdom_client import connect
from animegan.watch import PICTURES, Watch, interval
from animegan.yardstick import TrainingYardstick
from config import OPTIONS, Config

Say = Callable[[str], None]
LEAST_HELD_OUT = 10


def train(
    config: Config,
    sources: Mapping[str, str],
    say: Say,
    resumed: tuple[Run, Sequence[Path]] | None = None,
) -> Run:
    """Wire data, networks, trainer, monitor and checkpoints together, and train."""

    on = runtime.start(config.gpu, config.device, config.threads)
    netg, netd, config, sources = _nets(config, sources)
    on, config = _settled(on, config)
    run = resumed[0] if resumed else runs.new_run(config.runs_path, config.name, config.preset)
    names = [one.name for one in OPTIONS.values() if "train" in one.on]
    pictures = len(find_pictures(config.data_path).files)
    check_batch(pictures, config.batch_size)
    text = plan.describe(config, names, sources, pictures, on.device, str(run.path))
    if config.dry_run:
        print(text)
        return run

    with _monitor(config, run, say) as monitor:
        watch = _watch(config, on.device, say)
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
        batches = Batches(
            faces,
            config.batch_size,
            config.seed,
            flip=config.flip,
            device=on.device,
            resident=on.has_room(faces.images.nbytes),
        )
        trainer = Trainer(config, netg, netd, OBJECTIVES[config.loss], batches, on)
        options = dataclasses.asdict(config)
        if resumed:  # what the run once started from stays part of it
            saved = run.read_options()["options"]
            options |= {name: saved.get(name) for name in ("netg_path", "netd_path")}
        loop = Loop(config, trainer, run, monitor, models.Spec.of(config), options, say, watch)
        with run.lock(), Stop(say) as stop:
            if resumed:
                loop.load_state(checkpoint.load_first(resumed[1], "--resume", say))
                for dropped in run.states_after(trainer.step):
                    say(f"going back to step {trainer.step}: {dropped} is dropped")
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


def _settled(on: Runtime, config: Config) -> tuple[Runtime, Config]:
    """What was left to the machine, decided, so that a resumed run does not decide anew."""
    precision = on.precision(config.precision)
    on = dataclasses.replace(on, bf16=precision == "bf16")
    return on, dataclasses.replace(config, precision=precision)


def _watch(config: Config, device: torch.device, say: Say) -> Watch | None:
    """What measures the generator against held-out pictures while it trains, if asked for."""
    if config.eval_path is None:
        return None

    extractor = build_extractor(config.extractor, config.inception_file, device)
    try:
        held_out = open_set(
            config.eval_path,
            image_size=config.image_size,
            channels=config.channels,
            background=config.background,
            resize=config.resize,
            num_workers=config.num_workers,
            say=say,
        )
    except UsageError as error:
        raise error.under("--eval-path") from None
    if len(held_out) < LEAST_HELD_OUT:
        raise UsageError(
            f"--eval-path {config.eval_path}: {len(held_out)} pictures are too few to measure "
            f"against; {LEAST_HELD_OUT} or more, best {PICTURES:,}"
        )
    yardstick = TrainingYardstick(held_out, extractor, config.eval_num or PICTURES)
    return Watch(config, yardstick, interval(config))


@contextmanager
def _monitor(config: Config, run: Run, say: Say) -> Iterator[Monitor]:
    """The monitor that the options ask for, closed at the end."""

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


def _nets(config: Config, sources: Mapping[str, str]) -> tuple[Any, Any, Config, Mapping[str, str]]:
    """New nets, or those of a warm start, whose sizes the config and its sources take over."""

    runtime.seed_everything(config.seed)
    loaded: dict[str, Any] = {}
    told: dict[str, str] = {}
    problems = []
    for kind, path, names in (
        ("netg", config.netg_path, ("image_size", "channels", "nz", "ngf", "net", "up")),
        (
            "netd",
            config.netd_path,
            ("image_size", "channels", "ndf", "net", "d_norm", "d_features", "d_pixels", "d_input"),
        ),
    ):
        if path is None:
            continue
        start = loaded[kind] = checkpoint.load_net(path, kind)  # type: ignore[arg-type]
        for name in names:
            theirs = getattr(start.spec, name)
            brought = sources.get(name, "loss ").startswith(("loss ", "d-features "))
            if not brought and getattr(config, name) != theirs:
                problems.append(
                    f"{OPTIONS[name].flag} {getattr(config, name)}: {path} has {theirs}; "
                    "leave the option out"
                )
            config = dataclasses.replace(config, **{name: theirs})
            if brought:
                told[name] = path
    kinds = {(one.spec.image_size, one.spec.channels, one.spec.net) for one in loaded.values()}
    if len(kinds) > 1:
        problems.append("--netg-path, --netd-path: the two differ in picture size, channels or net")
    if models.penalised(config) and "netd" in loaded and has_batch_norm(loaded["netd"].net):
        problems.append(
            f"--netd-path {config.netd_path}: has BatchNorm, which mixes the pictures whose "
            "gradients the penalty needs alone; leave it out, or take an objective without penalty"
        )
    if problems:
        raise UsageError(*problems)
    spec = models.Spec.of(config)
    models.check(spec, models.penalised(config))
    netg, netd = models.build_netg(spec), models.build_netd(spec)
    return (
        loaded["netg"].net if "netg" in loaded else netg,
        loaded["netd"].net if "netd" in loaded else netd,
        config,
        {**sources, **told},
    )
