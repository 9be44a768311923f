"""Conflicts between options, and paths that do not exist: checked before any work starts."""

import os
from collections.abc import Collection

from animegan.config.config import OPTIONS, Config
from animegan.config.values import parse_schedule
from animegan.core.errors import UsageError
from animegan.core.files import is_inside
from animegan.core.program import command_line
from animegan.losses.objectives import OBJECTIVES
from animegan.runs import find, folder
from animegan.runtime.launch import launched

PICTURES = (".png", ".jpg", ".jpeg", ".webp")  # what `generate` can write
FILMS = (".mp4", ".webp", ".gif")  # what `video` can write


def conflicts(command: str, config: Config, typed: Collection[str]) -> list[str]:
    """Return the problems between a command's options, `typed` of which the user gave."""
    problems = []
    if config.gpu is not None and config.device is not None:
        problems.append(f"--gpu and --device {config.device}: both choose the device; keep one")
    problems += _missing(command, config)
    if command == "train":
        problems += _train(config, typed)
    if command == "generate":
        problems += _generate(config, typed)
    if command == "export":
        problems += _export(config, typed)
    if command == "video":
        problems += _video(config)
    if command == "evaluate" and config.netg_path is not None and config.samples is not None:
        problems.append(f"--netg-path and --samples {config.samples}: both give samples; keep one")
    return problems


_NEEDED = {"prepare": ("out",), "export": ("to", "out"), "video": ("out",)}


def _missing(command: str, config: Config) -> list[str]:
    """Return a line for each option that the command cannot do without."""
    problems = []
    needed = [option for option in OPTIONS.values() if option.bare and command in option.on]
    needed += [OPTIONS[name] for name in _NEEDED.get(command, ())]
    for option in needed:
        if getattr(config, option.name) is None:
            where = f"see `{command_line(command, '--help')}`"
            problems.append(f"{option.bare or option.flag}: missing; {where}")
    if command == "evaluate" and config.against is None:
        problems.append(
            "--against: missing; give a folder of real pictures, preferably held-out ones"
        )
    if command == "evaluate" and config.netg_path is None and config.samples is None:
        problems.append(
            "--netg-path: missing; give a run, or the generator's weight file, such as "
            "checkpoints/RUN/netg_last.pth, or --samples with a folder of pictures"
        )
    return problems


def _generate(config: Config, typed: Collection[str]) -> list[str]:
    problems = []
    if config.recipes is not None:
        problems += [
            f"{OPTIONS[name].flag}: each of --recipes says it for itself; leave it out"
            for name in ("indices", "netd_path", "diverse", "label", "seed", "gen_mean", "gen_std")
            if name in typed
        ]
    if config.gen_num > config.gen_search_num and config.indices is None and config.netd_path:
        problems.append(
            f"--gen-num {config.gen_num}: more than --gen-search-num "
            f"{config.gen_search_num}; raise --gen-search-num or lower --gen-num"
        )
    if config.diverse and (config.netd_path is None or config.indices):
        problems.append(
            "--diverse: chooses among scored candidates; add --netd-path, leave out --indices"
        )
    if not config.gen_img.lower().endswith(PICTURES):
        problems.append(
            f"--gen-img {config.gen_img}: takes a file name ending in .png, .jpg or .webp"
        )
    return problems


_SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "web": ".html"}
_ONLY = {"int8": ("onnx", "web"), "pixels": ("onnx",), "as_folder": ("web",), "ort": ("web",),
         "licence": ("hub",), "data_card": ("hub",)}  # fmt: skip


def _export(config: Config, typed: Collection[str]) -> list[str]:
    if config.to is None or config.out is None:
        return []  # which `_missing` reports
    problems = [
        f"{OPTIONS[name].flag}: does nothing in --to={config.to}; it is for {' and '.join(formats)}"
        for name, formats in _ONLY.items()
        if name in typed and config.to not in formats
    ]
    if config.half and config.int8:
        problems.append("--half and --int8: both say how small the weights become; keep one")
    suffix = None if config.as_folder else _SUFFIXES.get(config.to)
    if suffix and not config.out.lower().endswith(suffix):
        problems.append(f"--out {config.out}: takes a file name ending in {suffix}")
    if config.to == "hub" and config.licence is None:
        problems.append(
            "--licence: missing; whoever publishes weights says what others may do with them"
        )
    return problems


def _video(config: Config) -> list[str]:
    problems = []
    if config.out is not None and not config.out.lower().endswith(FILMS):
        problems.append(f"--out {config.out}: takes a file name ending in {', '.join(FILMS)}")
    if round(config.seconds * config.fps) < 2:
        problems.append(f"--seconds {config.seconds:g}: less than two pictures; raise it or --fps")
    return problems


def _train(config: Config, typed: Collection[str]) -> list[str]:
    problems = []
    if config.resume and (config.netg_path or config.netd_path):
        problems.append(
            "--resume: continues with the run's own weights; drop --netg-path/--netd-path, "
            "or drop --resume to start a new run from these weights"
        )
    if isinstance(config.resume, str):
        if not find.named(config.runs_path, config.resume).exists():
            problems.append(
                f"--resume {config.resume}: no such state or run folder; "
                f"`{command_line('runs')}` lists the runs"
            )
        if config.name is not None:
            problems.append(
                f"--name {config.name}: --resume {config.resume} already says which run; keep one"
            )
    if config.budget is not None:
        problems += _budget(config, typed)
    if not config.resume and not launched().restarts:  # which go on with the run they began
        try:
            folder.new_run(config.runs_path, config.name, config.preset)
        except UsageError as error:
            problems += error.problems
    problems += untrainable(config)
    problems += _without_effect(config, typed)
    if config.accumulate > config.batch_size or config.batch_size % config.accumulate:
        problems.append(
            f"--accumulate {config.accumulate}: must divide --batch-size {config.batch_size}"
        )
    for name in ("data_path", "eval_path", "netg_path", "netd_path"):
        path = getattr(config, name)
        if path is not None and not os.path.exists(path):
            problems.append(f"{OPTIONS[name].flag} {path}: no such file or folder")
    return problems + _written_into_data(config)


def _written_into_data(config: Config) -> list[str]:
    """Return a line for each folder whose sample grids would become training pictures."""
    problems = []
    for name in ("save_path", "runs_path"):
        path = getattr(config, name)
        if path is not None and is_inside(path, config.data_path):
            problems.append(
                f"{OPTIONS[name].flag} {path}: is inside --data-path {config.data_path}, so the "
                "next run would train on its sample grids; use another folder"
            )
    return problems


def untrainable(config: Config) -> list[str]:
    """Return the problems of an objective whose discriminator could not learn, or whose options
    would do nothing.
    """
    problems = []
    penalty = OBJECTIVES[config.loss].penalty
    if config.clip and (config.d_norm == "spectral" or config.d_features):
        problems.append(
            f"--clip {config.clip:g}: has no effect on weights that spectral normalisation "
            f"rescales ({config.d_features or '--d-norm spectral'}); use --clip=0 or another "
            "discriminator"
        )
    elif 0 < config.clip < 0.1 and (
        config.net == "r3gan" or (config.net, config.d_norm) == ("fastgan", "none")
    ):
        problems.append(
            f"--clip {config.clip:g}: leaves no signal in a discriminator without normalisation "
            f"({config.net}); use --clip=0 or another discriminator"
        )
    if config.d_features and ((penalty and config.gp) or (config.loss == "r3gan" and config.r1)):
        problems.append(
            f"--loss {config.loss} with --d-features {config.d_features}: its penalty is meant for "
            "gradients with respect to pixels, and is a thousand times the loss on features; "
            "use --loss hinge or another discriminator"
        )
    if config.gp and penalty is None:
        problems.append(
            f"--gp {config.gp:g}: --loss {config.loss} has no such penalty; use --loss wgan-gp, "
            "--loss dragan or --r1"
        )
    return problems


def _without_effect(config: Config, typed: Collection[str]) -> list[str]:
    """Return a line for each option that was typed although it needs another to do anything."""
    measured = config.eval_path is not None
    labelled = config.labels is not None
    penalised = bool(config.gp or config.r1 or config.r2)
    penalty_moves = parse_schedule(config.schedule).penalty != 1
    measures = "nothing is measured; add --eval-path=DIR of held-out pictures"
    labels = "there are no labels; add --labels=folders or a CSV"
    needs = {
        "patience": (measured, measures),
        "on_collapse": (measured, measures),
        "condition": (labelled, labels),
        "aux": (labelled, labels),
        "penalty_every": (penalised, "there is no penalty; add --r1, --r2 or --gp"),
        "schedule": (penalised or not penalty_moves, "there is no penalty; add --r1, --r2 or --gp"),
        "inception_file": (config.extractor == "inception", "needs --extractor=inception; add it"),
    }
    return [
        f"{OPTIONS[name].flag} {getattr(config, name)}: {way}, or leave it out"
        for name, (used, way) in needs.items()
        if name in typed and getattr(config, name) != OPTIONS[name].default and not used
    ]


def _budget(config: Config, typed: Collection[str]) -> list[str]:
    problems = [
        f"--budget: already sets how long to train; leave out {OPTIONS[name].flag}"
        for name in ("max_steps", "max_minutes", "max_epoch")
        if name in typed
    ]
    if config.resume:
        problems.append(
            "--budget: plans a new run, while --resume keeps the plan it had; limit the time with "
            "--max-minutes instead"
        )
    if launched().size > 1:
        problems.append(
            "--budget: can only measure a single process; under torchrun, use --preset and "
            "--max-minutes"
        )
    return problems
