"""Declare options, parse their values, and merge them from several layers.

An option is a dataclass field made by `option()`. Its type is the field's annotation:
int, float, str or bool, optionally `| None`, or `bool | str` for a switch that also
accepts a path.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from animegan.core.errors import refuse

C = TypeVar("C")

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds per unit of --budget
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Option:
    """One option: its type, default, allowed values and help text."""

    name: str
    kinds: tuple[type, ...]  # of int, float, str, bool, NoneType
    default: Any
    help: str
    on: tuple[str, ...]  # commands that accept it
    low: float | None  # inclusive
    high: float | None  # inclusive
    above: float | None  # exclusive lower bound
    choices: tuple[str | int, ...]
    free: bool  # may change when a run is resumed, since no weight depends on it
    bare: str | None  # name as a positional argument, such as SRC in `prepare SRC`
    heading: str = ""  # of its section on help pages

    @property
    def flag(self) -> str:
        """The name on the command line, such as `--batch-size`."""
        return "--" + self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        """Whether the flag may be given without a value."""
        return bool in self.kinds

    @property
    def wants(self) -> str:
        """Describe the accepted values, such as `a whole number from 1 to 8`."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        if self.is_switch and str in self.kinds:
            return "true, false or a path"
        if self.is_switch:
            return "true or false"
        if str in self.kinds:
            return "text"
        noun = "a whole number" if int in self.kinds else "a number"
        if self.low is not None and self.high is not None:
            return f"{noun} from {_plain(self.low)} to {_plain(self.high)}"
        limits = []
        if self.above is not None:
            limits.append(f"greater than {_plain(self.above)}")
        if self.low is not None:
            limits.append(f"at least {_plain(self.low)}")
        if self.high is not None:
            limits.append(f"at most {_plain(self.high)}")
        joint = "" if self.above is not None else "of "
        return f"{noun} {joint}{' and '.join(limits)}" if limits else noun

    def read(self, raw: object) -> Any:
        """Parse and check a value: text from the command line, or a TOML or JSON value.

        Raises ValueError, whose message says which values are accepted.
        """
        value = self._convert(raw)
        wrong = ValueError(f"got {_shown(raw)}; it takes {self.wants}")
        if self.choices and value is not None and value not in self.choices:
            raise wrong
        if isinstance(value, int | float) and not isinstance(value, bool):
            below = self.low is not None and value < self.low
            over = self.high is not None and value > self.high
            bound = self.above is not None and value <= self.above
            if below or over or bound or value != value or value in (float("inf"), -float("inf")):
                raise wrong
        return value

    def _convert(self, raw: object) -> Any:
        wrong = ValueError(f"got {_shown(raw)}; it takes {self.wants}")
        if not isinstance(raw, str | int | float | None):  # a TOML array, table or date
            raise wrong
        text = str(raw).strip()
        nothing = ("",) if "none" in self.choices else ("none", "")
        if raw is None or (text.lower() in nothing and types.NoneType in self.kinds):
            if types.NoneType not in self.kinds:
                raise wrong
            return None
        if bool in self.kinds and text.lower() in TRUE:
            return True
        if bool in self.kinds and text.lower() in FALSE:
            return False
        if str in self.kinds and not isinstance(raw, bool):
            if not text:
                raise wrong
            return text
        if isinstance(raw, bool) or bool in self.kinds:
            raise wrong
        try:
            number = float(text)
        except ValueError:
            raise wrong from None
        if int not in self.kinds:
            return number
        if not number.is_integer():  # False for inf and nan as well
            raise wrong
        return int(text) if text.lstrip("+-").isdigit() else int(number)


def seconds_of(text: str) -> float:
    """Convert "90s", "30m", "1.5h" or "2d" to seconds.

    Raises ValueError for anything else, and for zero or more than 365 days.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip().lower())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= 365 * UNITS["d"]:
        raise ValueError(f"got '{text[:40]}'; it takes a time such as 30m, 3h or 1d, at most 365d")
    return seconds


def _plain(bound: float) -> str:
    """Format a number in full, not in scientific notation: `1,000,000`."""
    return f"{bound:,.15g}"


def _shown(raw: object) -> str:
    return f"'{raw}'" if isinstance(raw, str) else repr(raw)


def option(
    default: Any,
    help: str,
    *,
    on: str = "train",
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Sequence[str | int] = (),
    free: bool = False,
    bare: str | None = None,
    heading: str = "",
) -> Any:
    """Declare a dataclass field as an option; `Option` documents the arguments."""
    known: dict[str, Any] = {"help": help, "on": tuple(on.split()), "choices": tuple(choices)}
    known |= {"low": low, "high": high, "above": above, "free": free, "bare": bare}
    known["heading"] = heading
    return dataclasses.field(default=default, metadata=known)


def options_of(cls: type) -> dict[str, Option]:
    """Return the options declared by a dataclass, by name, in declaration order."""
    hints = typing.get_type_hints(cls)
    found = {}
    heading = ""
    for field in dataclasses.fields(cls):
        kinds = typing.get_args(hints[field.name]) or (hints[field.name],)
        heading = field.metadata["heading"] or heading  # the first option of a section has it
        known = {**field.metadata, "heading": heading}
        found[field.name] = Option(field.name, kinds, field.default, **known)
    return found


def of_training(options: Mapping[str, Option], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `train` options from a run's saved ones.

    Options missing from older runs take their default.
    """
    return {
        name: saved.get(name, one.default) for name, one in options.items() if "train" in one.on
    }


@dataclass(frozen=True)
class Layer:
    """Option values from one source: `Layer("preset book", {"batch_size": 256})`."""

    source: str
    values: Mapping[str, object]


@dataclass(frozen=True)
class Settled:
    """Merged values, each checked on its own, and the source of each that was set."""

    values: dict[str, Any]
    sources: dict[str, str]
    problems: tuple[str, ...]

    def build(self, cls: type[C]) -> C:
        """Build the dataclass. Raises UsageError listing every problem."""
        refuse(self.problems)
        return cls(**self.values)


def settle(options: Mapping[str, Option], layers: Sequence[Layer]) -> Settled:
    """Merge the layers over the defaults; later layers win.

    Invalid values are collected in `Settled.problems`.
    """
    values: dict[str, Any] = {name: one.default for name, one in options.items()}
    sources: dict[str, str] = {}
    problems = []
    for layer in layers:
        for name, raw in layer.values.items():
            try:
                values[name] = options[name].read(raw)
                sources[name] = layer.source
            except ValueError as error:
                place = "" if layer.source == "flag" else f" ({layer.source})"
                problems.append(f"{options[name].flag}{place}: {error}")
    return Settled(values, sources, tuple(problems))
