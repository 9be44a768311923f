"""A training session: connects data, networks, trainer, monitor, watch and checkpoints."""

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from animegan.config.config import OPTIONS, Config
from animegan.config.derived import spec_of
from animegan.config.resume import record
from animegan.core.errors import Ended, UsageError, refuse
from animegan.core.program import command_line
from animegan.core.signals import Stop
from animegan.data.batches import check_batch
from animegan.data.cache import FaceSet, open_set
from animegan.data.folder import Listing, find_pictures
from animegan.data.labels import Labels, read_labels, sizes_of
from animegan.evaluation import online
from animegan.evaluation.extractors import build_extractor
from animegan.evaluation.online import OnlineEvaluator
from animegan.monitor.base import Monitor, NullMonitor
from animegan.monitor.visdom_client import connect
from animegan.runs import checkpoint, folder, samples
from animegan.runs.folder import Run
from animegan.runtime.device import Runtime
from animegan.runtime.distributed import ProcessGroup, remember_run, remembered_run
from animegan.runtime.launch import launched
from animegan.training import plan
from animegan.training.build import build_trainer
from animegan.training.loop import Loop
from animegan.training.outputs import Traces
from animegan.training.step import compiling
from animegan.training.validation import Watch, interval
from animegan.training.warm_start import nets

logger = logging.getLogger(__name__)


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
    on = Runtime.start_together(config.gpu, config.device, config.threads)
    try:
        with ExitStack() as held:
            return _train(on, config, sources, listing, resumed, held)
    except Ended:
        on.ranks.wait_for_main()
        raise


def _train(
    on: Runtime,
    config: Config,
    sources: Mapping[str, str],
    listing: Listing,
    resumed: tuple[Run, Sequence[Path]] | None,
    held: ExitStack,
) -> Run:
    launch, ranks = launched(), on.ranks
    if len(listing.classes) > 1 and config.labels is None:
        logger.info(f"--data-path {config.data_path}: {listing.counted()}")
    labels = ranks.run_on_all(lambda: read_labels(config.labels, listing))
    netg, netd = ranks.run_on_all(lambda: nets(config, labels))
    _refuse_other_options(config, ranks)
    on, config = _settled(on, config)
    begun = ranks.from_main(lambda: remembered_run(launch))
    run, states = ranks.from_main(lambda: _run(config, resumed, begun, held))
    ranks.run_on_all(lambda: _check_share(config, len(listing.names), ranks.size))
    text = plan.describe(
        config, sources, len(listing.names), on.device, str(run.path), ranks.size, labels
    )
    ranks.from_main(lambda: online.check(config))
    if config.compile:
        told = f"--compile: {compiling.told(config, netg, netd, on)}"
        logger.info(f"{told}; the first batch will take half a minute or more")
        text += f"\n{told}"
    if config.dry_run:
        if ranks.is_main:
            print(text)
        ranks.leave()
        return run

    with _monitor(config, run, ranks) as monitor:
        measure = ranks.run_on_all(lambda: _yardstick(config, on))
        (drawn,) = ranks.max(measure.n if measure else 0)
        watch = Watch(config, measure, interval(config, drawn)) if drawn else None
        faces = ranks.run_on_all(lambda: _set(config, listing, config.max_broken))
        labels = labels and labels.of(faces.files)
        _refuse_other_sets(faces, labels, config, ranks)
        trainer = build_trainer(config, faces, on, labels, (netg, netd))
        options = record(config, run if resumed else None)
        spec = spec_of(config, sizes_of(labels))
        traces = ranks.run_on_all(lambda: Traces(config, trainer, run, spec, options, watch))
        loop = Loop(config, trainer, traces, monitor)
        with Stop() as stop:
            if states:
                state = ranks.from_main(lambda: checkpoint.load_first(states, "--resume"))
                ranks.run_on_all(lambda: traces.load_state(state))
            if resumed or begun or ranks.from_main(run.options_file.exists):  # or killed early
                ranks.from_main(lambda: _forget_later(run, traces))
            if trainer.step < loop.last_step:  # else nothing is trained, and the run stays as it is
                ranks.from_main(lambda: run.write_options(options, sources))
            traces.keep_options()
            if ranks.is_main:
                remember_run(launch, str(run.path))
            monitor.text("options", text)
            logger.info(
                f"{run.path}: {len(faces):,} pictures, {on.device}, from step {trainer.step}"
            )
            finished = loop.fit(stop)
        (asked,) = ranks.max(stop.asked)
    ranks.leave()
    if asked:
        logger.info(f"saved; to continue: {_again(run)}")
        raise Ended(128 + asked)
    if watch is not None and watch.best_step >= 0:
        logger.info(f"best KID at step {watch.best_step:,}: {run.path}/netg_best.pth")
    _farewell(run, finished)
    return run


def _again(run: Run) -> str:
    """Return the command that continues the run."""
    return command_line("train", resume=run.path)


def _farewell(run: Run, finished: bool) -> None:
    """Say what the run has left and which commands come next."""
    if not finished:
        logger.info(f"stopped before the last step; to continue: {_again(run)}")
    netg = next(iter(run.weight_files()), run.path / "netg_last.pth")
    netd = netg.with_name(netg.name.replace("netg", "netd", 1))
    draw = command_line("generate", netg_path=netg, netd_path=netd)
    logger.info(
        f"{'done' if finished else 'so far'}: {run.path}/strip.png shows the progress; to draw new "
        f"faces:\n{draw}"
    )


def check(config: Config, listing: Listing) -> Labels | None:
    """Check that a single process could train on the listed pictures, and return their labels.

    Returns None without --labels. Nothing is decoded, downloaded or written. Raises UsageError for
    whatever would prevent training.
    """
    labels = read_labels(config.labels, listing)
    nets(config, labels)
    _check_share(config, len(listing.names), processes=1)
    online.check(config)
    return labels


def _settled(on: Runtime, config: Config) -> tuple[Runtime, Config]:
    """Replace --precision=auto by what the device gets, so that a resumed run keeps it."""
    precision = on.precision(config.precision)
    if precision != on.precision("auto") == "fp32":
        logger.info(
            f"--precision {precision}: {on.device} only emulates it, probably slower than fp32"
        )
    return on.at(precision), dataclasses.replace(config, precision=precision)


def _run(
    config: Config, resumed: tuple[Run, Sequence[Path]] | None, begun: str | None, held: ExitStack
) -> tuple[Run, Sequence[Path]]:
    """Return the run and the states to continue from, newest first (none for a new run).

    The run's folder belongs to this process until `held` is closed, except for --dry-run.
    `begun` is the run's folder if torchrun has restarted these processes during training.
    """
    if begun or resumed:
        run, states = (Run(Path(begun)), ()) if begun else resumed  # type: ignore[misc]
        if not config.dry_run:
            held.enter_context(run.lock())
        chosen = isinstance(config.resume, str) and folder.STATE.fullmatch(Path(config.resume).name)
        return run, states if chosen and not begun else run.state_files()  # as they are by now
    choice = config.runs_path, config.name, config.preset
    if config.dry_run:
        return folder.new_run(*choice), ()
    return held.enter_context(folder.claim(*choice)), ()


def _check_share(config: Config, pictures: int, processes: int) -> None:
    """Raise UsageError unless the batches divide evenly among processes and pieces."""
    check_batch(pictures, config.batch_size, processes)
    share = config.batch_size // processes
    if share % config.accumulate:
        raise UsageError(
            f"--accumulate {config.accumulate}: must divide the {share} pictures per process"
        )


def _set(config: Config, data: Listing, max_broken: float) -> FaceSet:
    """Open the pictures of a folder, decoded according to the options."""
    return open_set(
        data,
        image_size=config.image_size,
        channels=config.channels,
        background=config.background,
        resize=config.resize,
        num_workers=config.num_workers,
        max_broken=max_broken,
    )


def _refuse_other_options(config: Config, ranks: ProcessGroup) -> None:
    """Raise UsageError if processes differ in options that affect the weights, paths aside."""
    names = [
        name
        for name, option in OPTIONS.items()
        if "train" in option.on and not option.may_change and not option.path
    ]
    found = ranks.gather({name: getattr(config, name) for name in names})
    ranks.run_on_all(
        lambda: refuse(
            f"{OPTIONS[name].flag}: {theirs[name]} on process {rank}, {value} on process 0; start "
            "all processes with the same value"
            for rank, theirs in enumerate(found)
            for name, value in found[0].items()
            if theirs[name] != value
        )
    )


def _refuse_other_sets(
    faces: FaceSet, labels: Labels | None, config: Config, ranks: ProcessGroup
) -> None:
    """Raise UsageError unless every process has the same pictures and labels in the same order."""
    found = ranks.gather((len(faces), faces.digest, labels and labels.digest))

    ranks.run_on_all(
        lambda: refuse(
            f"--data-path {config.data_path}: process {rank} finds {one[0]:,} pictures, process 0 "
            f"{found[0][0]:,}, or their contents or labels differ; every machine needs the same set"
            for rank, one in enumerate(found)
            if one != found[0]
        )
    )


def _forget_later(run: Run, traces: Traces) -> None:
    """Delete the run's states, metrics and grids from after the step it continues from."""
    step = traces.trainer.step
    for dropped in run.states_after(step):
        logger.info(f"going back to step {step}: deleting {dropped}")
    run.forget_after(step)
    samples.forget_after(traces.samples, step)


def _yardstick(config: Config, on: Runtime) -> OnlineEvaluator | None:
    """Return what measures the generator during training, on the main process; None if unused."""
    if config.eval_path is None or not on.ranks.is_main:
        return None
    extractor = build_extractor(config.extractor, config.inception_file, on.device)
    listing = find_pictures(config.eval_path, "--eval-path")
    held_out = _set(config, listing, OPTIONS["max_broken"].default)
    online.check_count(config.eval_path, config.eval_num, len(held_out))
    return OnlineEvaluator(held_out, extractor, config.eval_num or online.PICTURES)


@contextmanager
def _monitor(config: Config, run: Run, ranks: ProcessGroup) -> Iterator[Monitor]:
    """Provide the monitor that the options ask for, and close it at the end."""

    if config.vis and ranks.is_main:
        monitor = connect(config.visdom_server, config.visdom_port, config.env, history=run.history)
    else:
        monitor = NullMonitor()
    try:
        yield monitor
    finally:
        monitor.close()
