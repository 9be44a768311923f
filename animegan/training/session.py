"""A training session in three phases: the processes agree, open what they need, and fit."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from animegan.config.config import OPTIONS, Config
from animegan.config.derived import spec_of
from animegan.config.resume import record
from animegan.core.errors import Ended
from animegan.core.signals import Stop
from animegan.data.face_set import FaceSet, open_set
from animegan.data.folder import Listing, find_pictures
from animegan.data.labels import Labels, read_labels, sizes_of
from animegan.evaluation import online
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.online import OnlineEvaluator
from animegan.monitor.base import Monitor, NullMonitor
from animegan.monitor.visdom_client import connect
from animegan.runs import checkpoint, samples
from animegan.runs.folder import Run
from animegan.runtime.device import Runtime
from animegan.runtime.distributed import remember_run, remembered_run
from animegan.runtime.launch import launched
from animegan.training import agreement, farewell, plan
from animegan.training.build import build_trainer
from animegan.training.loop import Loop
from animegan.training.outputs import Outputs
from animegan.training.state import States
from animegan.training.step import compiling
from animegan.training.validation import Validation, interval
from animegan.training.warm_start import nets

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Agreed:
    """What all processes hold the same of, before a picture is decoded.

    `states` are those to continue from, newest first; none for a new run. `plan` is the text shown
    before the training. With --dry-run, the run's folder is a proposal and does not exist.
    """

    config: Config
    sources: Mapping[str, str]
    runtime: Runtime
    listing: Listing
    labels: Labels | None
    nets: tuple[nn.Module, nn.Module]  # netg, netd
    run: Run
    states: Sequence[Path]
    is_resumed: bool  # by --resume
    is_restarted: bool  # by torchrun, after the run had begun
    plan: str


@dataclass(frozen=True)
class Opened:
    """The parts of a training, which has not begun; `options` are those to save with the run."""

    pictures: int
    options: dict[str, Any]
    loop: Loop


@dataclass(frozen=True)
class Fitted:
    """How a training ended: at its last step or before, and by which signal (0: by none)."""

    finished: bool
    signal: int
    best_step: int  # -1 if nothing was measured


def train(
    config: Config,
    sources: Mapping[str, str],
    listing: Listing,
    resumed: tuple[Run, Sequence[Path]] | None = None,
) -> Run:
    """Train as `config` says and return the run.

    Called by every process under torchrun: the main one alone writes files and messages, and a
    failure in any of them ends all. `resumed` is the run to continue and its states, newest first.

    Raises:
        UsageError: options, files or processes do not fit together; nothing has been trained.
        TrainingStopped: training cannot continue (non-finite loss, out of memory).
        Ended: stopped by a signal, after saving; its code is 128 + the signal's number.
    """
    runtime = Runtime.start_together(config.gpu, config.device, config.threads)
    group = runtime.group
    try:
        with ExitStack() as held:
            agreed = agree(runtime, config, sources, listing, resumed, held)
            if config.dry_run:
                if group.is_main:
                    print(agreed.plan)
                group.leave()
                return agreed.run
            with ExitStack() as displayed:
                fitted = fit(agreed, open_parts(agreed, displayed))
            group.leave()
            if fitted.signal:
                farewell.interrupted(agreed.run)
                raise Ended(128 + fitted.signal)
            farewell.ended(agreed.run, fitted.finished, fitted.best_step)
            return agreed.run
    except Ended:
        group.wait_for_main()
        raise


def agree(
    runtime: Runtime,
    config: Config,
    sources: Mapping[str, str],
    listing: Listing,
    resumed: tuple[Run, Sequence[Path]] | None,
    held: ExitStack,
) -> Agreed:
    """Check everything that can be refused before work starts, and claim the run's folder.

    The folder belongs to the main process until `held` is closed. Raises UsageError.
    """
    group = runtime.group
    if len(listing.classes) > 1 and config.labels is None:
        logger.info(f"--data-path {config.data_path}: {listing.counted()}")
    labels = group.run_on_all(lambda: read_labels(config.labels, listing))
    netg, netd = group.run_on_all(lambda: nets(config, labels))
    agreement.refuse_other_options(config, group)
    runtime, config = agreement.settle_precision(runtime, config)
    begun = group.from_main(lambda: remembered_run(launched()))
    run, states = group.from_main(lambda: agreement.claim_run(config, resumed, begun, held))
    group.run_on_all(lambda: agreement.check_pieces(config, len(listing.names), group.size))
    text = plan.describe(
        config, sources, len(listing.names), runtime.device, str(run.path), group.size, labels
    )
    group.from_main(lambda: online.check(config))
    if config.compile:
        compiled = f"--compile: {compiling.describe(config, netg, netd, runtime)}"
        logger.info(f"{compiled}; the first batch will take half a minute or more")
        text += f"\n{compiled}"
    return Agreed(
        config, sources, runtime, listing, labels, (netg, netd), run, states,
        is_resumed=resumed is not None, is_restarted=begun is not None, plan=text,
    )  # fmt: skip


def open_parts(agreed: Agreed, displayed: ExitStack) -> Opened:
    """Decode the pictures and build the parts of the training, up to the loop.

    The monitor is closed with `displayed`. Raises UsageError for sets that do not fit.
    """
    config, runtime, run, listing = agreed.config, agreed.runtime, agreed.run, agreed.listing
    group = runtime.group
    monitor = _monitor(config, run) if group.is_main else NullMonitor()
    displayed.callback(monitor.close)
    evaluator = group.run_on_all(lambda: _evaluator(config, runtime))
    (measured,) = group.max(evaluator.n if evaluator else 0)
    validation = Validation(config, evaluator, interval(config, measured)) if measured else None
    faces = group.run_on_all(lambda: _open_set(config, listing, config.max_broken))
    labels = agreed.labels and agreed.labels.of(faces.files)
    agreement.refuse_other_sets(faces, labels, config, group)
    trainer = build_trainer(config, faces, runtime, labels, agreed.nets)
    options = record(config, run if agreed.is_resumed else None)
    spec = spec_of(config, sizes_of(labels))
    outputs = group.run_on_all(lambda: Outputs(config, trainer, run, spec, options))
    loop = Loop(config, trainer, outputs, States(outputs, validation), monitor)
    return Opened(len(faces), options, loop)


def fit(agreed: Agreed, opened: Opened) -> Fitted:
    """Go on from the newest state, if there is one, and train to the end or a signal."""
    group, run, loop = agreed.runtime.group, agreed.run, opened.loop
    trainer, states = loop.trainer, loop.states
    with Stop() as stop:
        if agreed.states:
            state = group.from_main(lambda: checkpoint.load_first(agreed.states, "--resume"))
            group.run_on_all(lambda: states.load(state))
        known = agreed.is_resumed or agreed.is_restarted
        if known or group.from_main(run.options_file.exists):  # or killed early
            group.from_main(lambda: _forget_later(loop))
        if trainer.step < loop.last_step:  # else nothing is trained, and the run stays as it is
            group.from_main(lambda: run.write_options(opened.options, agreed.sources))
        states.keep_options()
        if group.is_main:
            remember_run(launched(), str(run.path))
        loop.monitor.text("options", agreed.plan)
        logger.info(
            f"{run.path}: {opened.pictures:,} pictures, {agreed.runtime.device}, "
            f"from step {trainer.step}"
        )
        finished = loop.fit(stop)
    (signal,) = group.max(stop.asked)
    validation = loop.validation
    return Fitted(finished, signal, -1 if validation is None else validation.best_step)


def _open_set(config: Config, listing: Listing, max_broken: float) -> FaceSet:
    """Open the pictures of a folder, decoded according to the options."""
    return open_set(
        listing,
        image_size=config.image_size,
        channels=config.channels,
        background=config.background,
        resize=config.resize,
        num_workers=config.num_workers,
        max_broken=max_broken,
    )


def _forget_later(loop: Loop) -> None:
    """Delete the run's states, metrics and grids from after the step it continues from."""
    run, step = loop.run, loop.trainer.step
    for path in run.states_after(step):
        logger.info(f"going back to step {step}: deleting {path}")
    run.forget_after(step)
    samples.forget_after(loop.outputs.samples, step)


def _evaluator(config: Config, runtime: Runtime) -> OnlineEvaluator | None:
    """Return what measures the generator during training, on the main process; None if unused."""
    if config.eval_path is None or not runtime.group.is_main:
        return None
    extractor = build_extractor(config.extractor, config.inception_file, runtime.device)
    listing = find_pictures(config.eval_path, "--eval-path")
    held_out = _open_set(config, listing, OPTIONS["max_broken"].default)
    online.check_count(config.eval_path, config.eval_num, len(held_out))
    return OnlineEvaluator(held_out, extractor, config.eval_num or online.PICTURES)


def _monitor(config: Config, run: Run) -> Monitor:
    """Return the monitor that the options ask for."""
    if not config.vis:
        return NullMonitor()
    return connect(config.visdom_server, config.visdom_port, config.env, history=run.history)
