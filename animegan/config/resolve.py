"""Resolve a command line to a Config: its TOML file, the preset, and the layers under them."""

import secrets
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animegan.config.config import OPTIONS, Config
from animegan.config.conflicts import conflicts
from animegan.config.options import Layer, Settled, settle, source_of
from animegan.config.presets import PRESETS, preset_of, published
from animegan.core.errors import refuse
from animegan.core.files import open_regular
from animegan.core.program import command_line
from animegan.runs.folder import Run
from animegan.runtime.launch import launched

_LARGEST_TOML = 2**16  # bytes
_LONGEST_LINE = 2**13  # bytes; a key of n parts takes n^2 steps to read


@dataclass(frozen=True)
class Resolved:
    """A command line that has been resolved: what a command gets.

    typed: what the user gave, and under: the layers beneath it, for --budget, which resolves again
    with each preset.
    resumed: the run to continue, and its states, newest first.
    """

    config: Config
    sources: Mapping[str, str]
    typed: "Typed"
    under: tuple[Layer, ...] = ()
    resumed: tuple[Run, Sequence[Path]] | None = None


@dataclass(frozen=True)
class Typed:
    """What the user gave: the values of the TOML file, then those of the flags.

    `problems` are those of the file.
    """

    command: str
    layers: tuple[Layer, ...]
    problems: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, object]:
        """The values as they were given, unchecked; flags win."""
        return {name: raw for layer in self.layers for name, raw in layer.values.items()}

    def wrong(self) -> tuple[str, ...]:
        """Return the problems of the values, each on its own, and of the file."""
        return (*self.problems, *settle(OPTIONS, self.layers).problems)

    def value(self, name: str) -> Any:
        """Return one option's value, or its default. Raises ValueError if it is not valid."""
        return OPTIONS[name].read(self.values.get(name, OPTIONS[name].default))


def typed(command: str, flags: Mapping[str, str]) -> Typed:
    """Read the TOML file that `flags` name, if any, and choose a number for --seed=random."""
    path = None
    values: dict[str, object] = {}
    problems: list[str] = []
    if "config" in flags:
        with suppress(ValueError):  # an invalid text, which `resolve` reports
            path = OPTIONS["config"].read(flags["config"])
    if path is not None:
        values, problems = _read_toml(path, command)
    layers = [Layer(str(path), values), Layer("flag", dict(flags))]
    if launched().size > 1 and any(layer.values.get("seed") == "random" for layer in layers):
        problems.append("--seed random: each process would draw another; give a number")
    return Typed(command, tuple(map(_with_seed, layers)), tuple(problems))


def _with_seed(layer: Layer) -> Layer:
    if layer.values.get("seed") != "random":
        return layer
    return Layer(layer.source, {**layer.values, "seed": secrets.randbelow(2**31)})


def resolve(
    command: str, flags: Mapping[str, str] | Typed, *under: Layer, over: Sequence[Layer] = ()
) -> tuple[Config, dict[str, str]]:
    """Return a command line's Config, and the source of each value that is not the default.

    In order of precedence: `over` (what --budget chose), flags, the TOML file, the preset, `under`
    (the options of a resumed run, or of weight files), and the defaults of the objective. Raises
    UsageError listing every problem found.
    """
    given = flags if isinstance(flags, Typed) else typed(command, flags)
    above = [*given.layers, *over]
    chosen = []
    if command in ("train", "demo"):
        preset = preset_of([*under, *above])
        chosen = [Layer(f"preset {preset}", {"preset": preset, **PRESETS[preset]})]
    layers = [*under, *chosen, *above]
    settled = settle(OPTIONS, [*published(settle(OPTIONS, layers)), *layers])
    problems = [*given.problems, *settled.problems, *_overruled(settled, under)]
    if settled.values["g_convs"] == 1:  # the same as leaving it out
        settled.values["g_convs"] = None
    config = Settled(settled.values, settled.sources, ()).build(Config)
    problems += conflicts(command, config, given.values)
    refuse(dict.fromkeys(problems))
    return config, settled.sources


def _overruled(settled: Settled, under: Sequence[Layer]) -> list[str]:
    """Return a line for each value of a fixed layer that a stronger layer changes."""
    return [
        f"{OPTIONS[name].flag} {settled.values[name]}{source_of(name, settled.sources)}: "
        f"{layer.source} has {value}; leave this option out"
        for layer in under
        if layer.fixed
        for name, value in layer.values.items()
        if settled.values[name] != value
    ]


def _read_toml(path: str, command: str) -> tuple[dict[str, object], list[str]]:
    try:
        with open_regular(path) as file:
            text = file.read(_LARGEST_TOML + 1)
        if len(text) > _LARGEST_TOML or max(map(len, text.splitlines()), default=0) > _LONGEST_LINE:
            return {}, [f"--config {path}: is larger than any TOML file of options; give one"]
        values = tomllib.loads(text.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        return {}, [
            f"--config {path}: cannot be read ({error.__class__.__name__}); give a TOML file"
        ]
    except ValueError as error:  # also an integer of more digits than Python converts
        return {}, [f"--config {path}: not valid TOML ({error})"]
    except RecursionError:
        return {}, [f"--config {path}: nested too deeply; write one option per line"]
    names = {key: key.replace("-", "_") for key in values}
    problems = [
        f"--config {path}: '{key}' is not an option of {command}; "
        f"see `{command_line(command, '--help')}`"
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
