"""The options of a saved run: read and checked, taken over by --resume, and compared with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from animegan.config.config import OPTIONS, Config
from animegan.config.options import Layer, source_of
from animegan.config.presets import PRESETS
from animegan.config.resolve import Typed
from animegan.config.values import Ends
from animegan.core.errors import UsageError, refuse
from animegan.core.files import same_place
from animegan.losses.objectives import OBJECTIVES
from animegan.runs import find
from animegan.runs.folder import Run

# options of older versions that went, at the value that all runs now have
REMOVED: Mapping[str, object] = {
    "d_pixels": 0, "instance_noise": 0.0, "eval_share": 0.1, "rollbacks": 3,
}  # fmt: skip
SCHEDULE = {"lr_end": "lr", "beta2_end": "beta2", "penalty_end": "penalty", "burn_in": "until"}


def read_options(saved: object, origin: str) -> dict[str, Any]:
    """Return the known options among `saved`, which a file holds, checked like a command line.

    Options and presets of other versions are left out, but for those of the schedule, which had an
    option each. Raises UsageError, each line of which begins with `origin`, such as
    `--resume checkpoints/mine`.
    """
    if not isinstance(saved, Mapping):
        raise UsageError(
            f"{origin}: its options are a {type(saved).__name__}, not a table; was it edited?"
        )
    translated = _translated(saved)
    values, problems = {}, []
    for name, option in OPTIONS.items():
        if name in translated:
            try:
                values[name] = option.read(translated[name])
            except ValueError as error:
                problems.append(f"{origin}: its option {name}: {error}; was it edited?")
    refuse(problems)
    return values


def _translated(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with `schedule` instead of the four that it replaced."""
    values = {str(name): value for name, value in saved.items() if name not in SCHEDULE}
    if values.get("preset") not in [*PRESETS]:  # its values are recorded one by one
        values["preset"] = None
    old = {key: saved[name] for name, key in SCHEDULE.items() if name in saved}
    if old and "schedule" not in saved:
        if not all(isinstance(value, int | float | None) for value in old.values()):
            return values | {"schedule": str(old)}  # which its check refuses
        values["schedule"] = str(Ends(**old))
    return values


def to_resume(given: Typed) -> tuple[Run, Sequence[Path]] | None:
    """Return the run that --resume refers to and its states, newest first; None without it.

    Raises UsageError if there is no such run, and ValueError if an option's value is not valid.
    """
    resume, root, name = (given.value(name) for name in ("resume", "runs_path", "name"))
    return None if resume is False else find.to_resume(str(root), name, resume)


def options_of_run(run: Run, flag: str = "--resume") -> dict[str, Any]:
    """Return a run's `train` options; those missing from older runs take their default.

    Raises UsageError if its options.json is missing, damaged or holds invalid values.
    """
    saved = read_options(run.read_options(flag)["options"], f"{flag} {run.path}")
    return {
        name: saved.get(name, option.default)
        for name, option in OPTIONS.items()
        if "train" in option.on
    }


def saved_options(run: Run) -> list[Layer]:
    """Return the saved options that a resumed run starts from: those that belong to the run."""
    saved = options_of_run(run)
    _refuse_removed(run)
    kept = {name: value for name, value in saved.items() if OPTIONS[name].scope == "run"}
    return [Layer(f"run {run.name}", kept)]


def _refuse_removed(run: Run) -> None:
    """Raise UsageError if the run has an option, not at its default, that no longer exists."""
    recorded = run.read_options()["options"]
    refuse(
        f"--resume: run {run.name} has {name}={recorded[name]}, which is no longer an option; "
        "continue it with the version of animegan that it began with"
        for name, value in REMOVED.items()
        if recorded.get(name, value) != value
    )
    # `share_fakes` is now a rule (derived.shares_fakes), which the defaults of all objectives obey
    rule = OBJECTIVES.get(str(recorded.get("loss")))
    if rule and recorded.get("d_every") == recorded.get("g_every"):
        chosen = recorded.get("share_fakes", rule.shares_fakes)
        if chosen != rule.shares_fakes:
            raise UsageError(
                f"--resume: run {run.name} has share_fakes={chosen}, which is no longer an option; "
                "continue it with the version of animegan that it began with"
            )


def record(config: Config, begun: Run | None = None) -> dict[str, Any]:
    """Return the options to save with a run; of a resumed run `begun`, what it started from."""
    values = {name: getattr(config, name) for name in OPTIONS}
    if begun is not None:
        saved = options_of_run(begun)
        values |= {name: saved[name] for name, option in OPTIONS.items() if option.scope == "start"}
    return values


def refuse_changes(run: Run, config: Config, sources: Mapping[str, str]) -> None:
    """Raise UsageError listing every option that affects the weights and differs from the run's.

    With --allow-changes, only those that the shapes of the weights depend on.
    """
    saved = options_of_run(run)

    def differs(name: str) -> bool:
        old, new = saved[name], getattr(config, name)
        if OPTIONS[name].path and isinstance(old, str) and isinstance(new, str):
            return not same_place(old, new)
        return bool(old != new)

    way = "start a new run" if config.allow_changes else "add --allow-changes"
    refuse(
        f"{option.flag} {getattr(config, name)}{source_of(name, sources)}: run {run.name} has "
        f"{saved[name]}; leave it out, or {'start a new run' if option.shape else way}"
        for name, option in OPTIONS.items()
        if "train" in option.on and not option.may_change
        and (option.shape or not config.allow_changes) and differs(name)
    )  # fmt: skip
