"""Resolve a command line to a Config: presets, layers of options, and conflicts between them."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from animegan import policy, runs
from animegan.errors import UsageError, refuse
from animegan.launch import launched
from animegan.losses import OBJECTIVES
from animegan.options import Layer, Settled, of_training, settle
from animegan.runs import Run
from config import OPTIONS, Config

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "book": {
        "image_size": 96, "batch_size": 256, "max_epoch": 200, "lr1": 2e-4, "lr2": 2e-4,
        "beta1": 0.5, "nz": 100, "ngf": 64, "ndf": 64, "plot_every": 20, "d_every": 1,
        "g_every": 5, "share_fakes": False, "save_every": 10, "net": "dcgan",
        "loss": "bce", "flip": False, "augment": "none", "ema": 0,
    },
    "best": {"d_features": "lite0"},  # docs/recipes.md
}  # fmt: skip


FEATURES: Mapping[str, Mapping[str, Any]] = {  # defaults under --d-features, see docs/recipes.md
    "lite0": {
        "net": "fastgan", "loss": "hinge", "batch_size": 32, "lr1": 2e-3, "lr2": 2e-3,
        "beta1": 0.0, "beta2": 0.99, "d_norm": None, "ngf": 64, "g_convs": 2, "ndf": 64,
    },
}  # fmt: skip


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds per unit of --budget


def resolve(command: str, flags: Mapping[str, str], *under: Layer) -> tuple[Config, dict[str, str]]:
    """Return a command line's Config, and the source of each value that is not the default.

    In order of precedence: flags, the TOML file, the preset, `under` (a resumed run's options, or
    what --budget chose), and the defaults of the objective. Raises UsageError listing every problem
    found.
    """
    layers = list(under)
    told = dict(flags)
    file_values, problems = _read_toml(flags.get("config"), command)
    typed = [Layer(str(flags.get("config")), file_values), Layer("flag", told)]
    preset = settle(OPTIONS, [*under, *typed]).values["preset"]
    if preset is not None:
        layers.append(Layer(f"preset {preset}", PRESETS[preset]))
    layers += typed
    settled = settle(OPTIONS, [*_published(settle(OPTIONS, layers)), *layers])
    problems += settled.problems
    if settled.values["g_convs"] == 1:  # the same as leaving it out
        settled.values["g_convs"] = None
    config = Settled(settled.values, settled.sources, ()).build(Config)
    problems += _conflicts(command, config)
    if config.budget is not None:
        problems += [
            f"--budget: already sets how long to train; leave out {OPTIONS[name].flag}"
            for name in ("max_steps", "max_minutes", "max_epoch")
            if name in {*file_values, *told}
        ]
    refuse(dict.fromkeys(problems))
    return config, settled.sources


def _published(settled: Settled) -> list[Layer]:
    """Return the defaults of the chosen discriminator and objective, the weakest layers of all."""
    layers = []
    chosen = settled.values
    features = chosen["d_features"]
    loss = chosen["loss"]
    if features is not None:
        wanted = dict(FEATURES[features])
        if chosen["net"] != wanted["net"]:  # another net was asked for: drop fastgan's own option
            del wanted["g_convs"]
        layers.append(Layer(f"d-features {features}", wanted))
        if "loss" not in settled.sources:
            loss = FEATURES[features]["loss"]
    published = OBJECTIVES[loss].defaults_at(chosen["image_size"])
    if chosen["net"] == "r3gan":  # has no normalisation, so the objective cannot choose one
        published.pop("d_norm", None)
    return [Layer(f"loss {loss}", published), *layers]


def brought(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options' values when the user gives only `chosen`: its loss and --d-features
    bring their own defaults.
    """
    known = {name: value for name, value in chosen.items() if name in OPTIONS}
    return settle(OPTIONS, _published(settle(OPTIONS, [Layer("run", known)]))).values


def seconds_of(text: str) -> float:
    """Convert "90s", "30m", "1.5h" or "2d" to seconds.

    Raises ValueError for anything else, and for zero or more than 365 days.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip().lower())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= 365 * UNITS["d"]:
        raise ValueError(f"got '{text[:40]}'; it takes a time such as 30m, 3h or 1d, at most 365d")
    return seconds


def _read_toml(path: str | None, command: str) -> tuple[dict[str, object], list[str]]:
    if path is None:
        return {}, []
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return {}, [
            f"--config {path}: cannot be read ({error.__class__.__name__}); give a TOML file"
        ]
    except tomllib.TOMLDecodeError as error:
        return {}, [f"--config {path}: not valid TOML ({error})"]
    names = {key: key.replace("-", "_") for key in values}
    problems = [
        f"--config {path}: '{key}' is not an option of {command}; "
        f"see `python main.py {command} --help`"
        for key, name in names.items()
        if name not in OPTIONS or command not in OPTIONS[name].on or name == "config"
    ]
    known = {names[key]: value for key, value in values.items() if names[key] in OPTIONS}
    return known, problems


def _conflicts(command: str, config: Config) -> list[str]:
    """Return the problems between options, and the paths that do not exist."""
    found = []
    if config.gpu is not None and config.device is not None:
        found.append(f"--gpu and --device {config.device}: both choose the device; keep one")
    if command == "train":
        if config.resume and (config.netg_path or config.netd_path):
            found.append(
                "--resume: continues with the run's own weights; drop --netg-path/--netd-path, "
                "or drop --resume to start a new run from these weights"
            )
        if config.budget is not None:
            found += _budget_conflicts(config)
        try:
            policy.parse(config.augment)
        except UsageError as error:
            found += error.problems
        found += untrainable(config)
        found += _idle(config)
        if config.accumulate > config.batch_size or config.batch_size % config.accumulate:
            found.append(
                f"--accumulate {config.accumulate}: must divide --batch-size {config.batch_size}"
            )
        for name in ("data_path", "eval_path", "netg_path", "netd_path"):
            path = getattr(config, name)
            if path is not None and not Path(path).exists():
                found.append(f"{OPTIONS[name].flag} {path}: no such file or folder")
        resume = config.resume
        if isinstance(resume, str) and not runs.named(config.runs_path, resume).exists():
            found.append(
                f"--resume {config.resume}: no such state or run folder; "
                "`python main.py runs` lists the runs"
            )
    needed = [one for one in OPTIONS.values() if one.bare and command in one.on]
    if command == "prepare":
        needed.append(OPTIONS["out"])
    for one in needed:
        if getattr(config, one.name) is None:
            where = f"see `python main.py {command} --help`"
            found.append(f"{one.bare or one.flag}: missing; {where}")
    if command == "generate":
        if config.netg_path is None:
            found.append(
                "--netg-path: missing; give the generator's weight file, "
                "such as checkpoints/RUN/netg_last.pth"
            )
        if config.gen_num > config.gen_search_num and config.indices is None and config.netd_path:
            found.append(
                f"--gen-num {config.gen_num}: more than --gen-search-num "
                f"{config.gen_search_num}; raise --gen-search-num or lower --gen-num"
            )
        if config.diverse and (config.netd_path is None or config.indices):
            found.append(
                "--diverse: chooses among scored candidates; add --netd-path, leave out --indices"
            )
        if not config.gen_img.lower().endswith((".png", ".jpg", ".jpeg", ".webp")):
            found.append(
                f"--gen-img {config.gen_img}: takes a file name ending in .png, .jpg or .webp"
            )
    return found


def untrainable(config: Config) -> list[str]:
    """Return the problems of an objective whose discriminator could not learn, or whose options
    would do nothing.
    """
    found = []
    penalty = OBJECTIVES[config.loss].penalty
    if config.clip and (config.d_norm == "spectral" or config.d_features):
        found.append(
            f"--clip {config.clip:g}: has no effect on weights that spectral normalisation "
            f"rescales ({config.d_features or '--d-norm spectral'}); use --clip=0 or another "
            "discriminator"
        )
    elif 0 < config.clip < 0.1 and (
        config.net == "r3gan" or (config.net, config.d_norm) == ("fastgan", "none")
    ):
        found.append(
            f"--clip {config.clip:g}: leaves no signal in a discriminator without normalisation "
            f"({config.net}); use --clip=0 or another discriminator"
        )
    if config.d_features and ((penalty and config.gp) or (config.loss == "r3gan" and config.r1)):
        found.append(
            f"--loss {config.loss} with --d-features {config.d_features}: its penalty is meant for "
            "gradients with respect to pixels, and is a thousand times the loss on features; "
            "use --loss hinge or another discriminator"
        )
    if config.gp and penalty is None:
        found.append(
            f"--gp {config.gp:g}: --loss {config.loss} has no such penalty; use --loss wgan-gp, "
            "--loss dragan or --r1"
        )
    return found


def _idle(config: Config) -> list[str]:
    """Return the options that were set although they have no effect without another one."""
    why = {
        "eval_path": "nothing is measured; add --eval-path=DIR of held-out pictures",
        "labels": "there are no labels; add --labels=folders or a CSV",
    }
    without = {
        "patience": "eval_path", "on_collapse": "eval_path", "condition": "labels", "aux": "labels",
    }  # fmt: skip
    return [
        f"{OPTIONS[name].flag} {getattr(config, name)}: {why[wanted]}, or leave it out"
        for name, wanted in without.items()
        if getattr(config, name) != OPTIONS[name].default and getattr(config, wanted) is None
    ]


def _budget_conflicts(config: Config) -> list[str]:
    found = []
    try:
        seconds_of(config.budget or "")
    except ValueError as error:
        found.append(f"--budget: {error}")
    if config.resume:
        found.append(
            "--budget: plans a new run, while --resume keeps the plan it had; limit the time with "
            "--max-minutes instead"
        )
    if launched().size > 1:
        found.append(
            "--budget: can only measure a single process; under torchrun, use --preset and "
            "--max-minutes"
        )
    return found


def to_resume(words: Mapping[str, str]) -> tuple[Run, Sequence[Path]] | None:
    """Return the run that --resume refers to and its states, newest first; None without it."""
    told = {**_read_toml(words.get("config"), "train")[0], **words}
    resume, root, name = (
        OPTIONS[one].read(told.get(one, OPTIONS[one].default))
        for one in ("resume", "runs_path", "name")
    )
    return None if resume is False else runs.to_resume(root, name, resume)


def saved_options(run: Run) -> list[Layer]:
    """Return the saved options that a resumed run starts from, without those of a single call."""
    calls = ("name", "config", "preset", "resume", "allow_changes", "dry_run", "netg_path",
             "netd_path", "max_minutes", "gpu", "device")  # fmt: skip
    saved = of_training(OPTIONS, run.read_options()["options"])
    kept = {name: value for name, value in saved.items() if name not in calls}
    return [Layer(f"run {run.name}", kept)]


def told_by(name: str, sources: Mapping[str, str]) -> str:
    """Return where a value came from, such as " (preset best)"; "" if from its own flag."""
    source = sources.get(name, "flag")
    return "" if source == "flag" else f" ({source})"


def refuse_changes(run: Run, config: Config, sources: Mapping[str, str]) -> None:
    """Raise UsageError listing every option that affects the weights and differs from the run's."""
    saved = of_training(OPTIONS, run.read_options()["options"])
    refuse(
        f"{one.flag} {getattr(config, name)}{told_by(name, sources)}: run {run.name} has "
        f"{saved[name]}; leave it out, "
        "or add --allow-changes"
        for name, one in OPTIONS.items()
        if not one.free and "train" in one.on
        and name not in ("netg_path", "netd_path") and saved[name] != getattr(config, name)
    )  # fmt: skip
