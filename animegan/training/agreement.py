"""What has to hold before a training begins, in every process of it."""

import dataclasses
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from animegan.config.config import OPTIONS, Config
from animegan.core.errors import UsageError, refuse
from animegan.data.batches import check_batch
from animegan.data.face_set import FaceSet
from animegan.data.folder import Listing
from animegan.data.labels import Labels, read_labels
from animegan.evaluation import online
from animegan.runs import folder
from animegan.runs.folder import Run
from animegan.runtime.device import Runtime
from animegan.runtime.distributed import ProcessGroup
from animegan.training.warm_start import nets

logger = logging.getLogger(__name__)


def check(config: Config, listing: Listing) -> Labels | None:
    """Check that a single process could train on the listed pictures, and return their labels.

    Returns None without --labels. Nothing is decoded, downloaded or written. Raises UsageError for
    whatever would prevent training.
    """
    labels = read_labels(config.labels, listing)
    nets(config, labels)
    check_pieces(config, len(listing.names), processes=1)
    online.check(config)
    return labels


def check_pieces(config: Config, pictures: int, processes: int) -> None:
    """Raise UsageError unless the batches divide evenly among processes and pieces."""
    check_batch(pictures, config.batch_size, processes)
    rows = config.batch_size // processes
    if rows % config.accumulate:
        raise UsageError(
            f"--accumulate {config.accumulate}: must divide the {rows} pictures per process"
        )


def settle_precision(runtime: Runtime, config: Config) -> tuple[Runtime, Config]:
    """Replace --precision=auto by what the device gets, so that a resumed run keeps it."""
    precision = runtime.precision(config.precision)
    if precision != runtime.precision("auto") == "fp32":
        logger.info(
            f"--precision {precision}: {runtime.device} only emulates it, probably slower than fp32"
        )
    return runtime.at(precision), dataclasses.replace(config, precision=precision)


def claim_run(
    config: Config,
    resumed: tuple[Run, Sequence[Path]] | None,
    begun: str | None,
    held: ExitStack,
) -> tuple[Run, Sequence[Path]]:
    """Return the run and the states to continue from, newest first (none for a new run).

    The run's folder belongs to this process until `held` is closed, except for --dry-run.
    `begun` is the run's folder if torchrun has restarted these processes during training.
    """
    states: Sequence[Path] | None = None
    if begun is not None:
        run = Run(Path(begun))
    elif resumed is not None:
        run = resumed[0]
        if isinstance(config.resume, str) and folder.STATE.fullmatch(Path(config.resume).name):
            states = resumed[1]  # the one asked for
    else:
        choice = config.runs_path, config.name, config.preset
        if config.dry_run:
            return folder.new_run(*choice), ()
        return held.enter_context(folder.claim(*choice)), ()
    if not config.dry_run:
        held.enter_context(run.lock())
    return run, run.state_files() if states is None else states  # as they are by now


def refuse_other_options(config: Config, group: ProcessGroup) -> None:
    """Raise UsageError if processes differ in options that affect the weights, paths aside."""
    names = [
        name
        for name, option in OPTIONS.items()
        if "train" in option.on and not option.may_change and not option.path
    ]
    options = group.gather({name: getattr(config, name) for name in names})
    group.run_on_all(
        lambda: refuse(
            f"{OPTIONS[name].flag}: {theirs[name]} on process {rank}, {value} on process 0; start "
            "all processes with the same value"
            for rank, theirs in enumerate(options)
            for name, value in options[0].items()
            if theirs[name] != value
        )
    )


def refuse_other_sets(
    faces: FaceSet, labels: Labels | None, config: Config, group: ProcessGroup
) -> None:
    """Raise UsageError unless every process has the same pictures and labels in the same order."""
    sets = group.gather((len(faces), faces.digest, labels and labels.digest))
    group.run_on_all(
        lambda: refuse(
            f"--data-path {config.data_path}: process {rank} finds {theirs[0]:,} pictures, process "
            f"0 {sets[0][0]:,}, or their contents or labels differ; every machine needs the same "
            "set"
            for rank, theirs in enumerate(sets)
            if theirs != sets[0]
        )
    )
