"""Resolve a command line to a Config: presets, layers of options, and what --resume brings."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from animegan.config.config import OPTIONS, Config
from animegan.config.conflicts import conflicts
from animegan.config.options import Layer, Settled, of_training, settle
from animegan.core.errors import refuse
from animegan.core.files import same_place
from animegan.losses.objectives import OBJECTIVES
from animegan.runs import folder
from animegan.runs.folder import Run

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "book": {
        "image_size": 96, "batch_size": 256, "max_epoch": 200, "lr1": 2e-4, "lr2": 2e-4,
        "beta1": 0.5, "nz": 100, "ngf": 64, "ndf": 64, "plot_every": 20, "d_every": 1,
        "g_every": 5, "save_every": 10, "net": "dcgan",
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
    typed_names = {*file_values, *told}
    problems += conflicts(command, config, typed_names)
    if config.budget is not None:
        problems += [
            f"--budget: already sets how long to train; leave out {OPTIONS[name].flag}"
            for name in ("max_steps", "max_minutes", "max_epoch")
            if name in typed_names
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


def _read_toml(path: str | None, command: str) -> tuple[dict[str, object], list[str]]:
    if path is None:
        return {}, []
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
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
    twice = {key for key in values if "-" in key and names[key] in values}
    problems += [
        f"--config {path}: '{key}' and '{names[key]}' are the same option; keep one"
        for key in sorted(twice)
    ]
    known = {names[key]: value for key, value in values.items() if names[key] in OPTIONS}
    return known, problems


def to_resume(words: Mapping[str, str]) -> tuple[Run, Sequence[Path]] | None:
    """Return the run that --resume refers to and its states, newest first; None without it."""
    told = {**_read_toml(words.get("config"), "train")[0], **words}
    resume, root, name = (
        OPTIONS[one].read(told.get(one, OPTIONS[one].default))
        for one in ("resume", "runs_path", "name")
    )
    return None if resume is False else folder.to_resume(root, name, resume)


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


SHAPES = ("net", "image_size", "channels", "nz", "ngf", "ndf", "up", "g_convs", "d_norm",
          "d_features")  # the weights of another shape cannot be resumed  # fmt: skip
PLACES = ("data_path", "eval_path", "labels")
# options that a run of an older version may have saved, at the value that all runs now have;
# `share_fakes` is not among them: that is no longer chosen (derived.shares_fakes)
REMOVED: Mapping[str, object] = {
    "d_pixels": 0, "instance_noise": 0.0, "eval_share": 0.1, "rollbacks": 3,
}  # fmt: skip


def refuse_changes(run: Run, config: Config, sources: Mapping[str, str]) -> None:
    """Raise UsageError listing every option that affects the weights and differs from the run's.

    With --allow-changes, only those that the shapes of the weights depend on.
    """
    known = run.read_options()["options"]
    refuse(
        f"--resume: run {run.name} has {name}={known[name]}, which is no longer "
        "an option; continue it with the version of animegan that it began with"
        for name, value in REMOVED.items()
        if known.get(name, value) != value
    )
    saved = of_training(OPTIONS, known)

    def differs(name: str) -> bool:
        old: object = saved[name]
        new: object = getattr(config, name)
        if name in PLACES and isinstance(old, str) and isinstance(new, str):
            return not same_place(old, new)
        return old != new

    way = "start a new run" if config.allow_changes else "add --allow-changes"
    refuse(
        f"{OPTIONS[name].flag} {getattr(config, name)}{told_by(name, sources)}: run {run.name} has "
        f"{saved[name]}; leave it out, or {'start a new run' if name in SHAPES else way}"
        for name, one in OPTIONS.items()
        if "train" in one.on and not one.free and name not in ("netg_path", "netd_path")
        and (name in SHAPES or not config.allow_changes) and differs(name)
    )  # fmt: skip
