"""Declare options, parse their values, and merge them from several layers.

An option is a field made by `option()` in a frozen dataclass, a group with a `heading`. Its type is
the field's annotation: int, float, str or bool, optionally `| None`, or `bool | str` for a switch
that also accepts a path. What an option is to the rest of the program stands on it, as roles.
"""

import dataclasses
import os
import types
import typing
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from animegan.core.errors import refuse

C = TypeVar("C")

Scope = Literal["run", "start", "session", "call"]

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Option:
    """One option: its type, default, allowed values, help text and roles.

    on: commands that accept it.
    low, high, above: bounds of a number; `above` excludes the bound itself.
    check: raises ValueError for a text that is not one of this option's, or None.
    bare: name as a positional argument, such as SRC in `prepare SRC`, or None.
    heading: of its group on help pages.

    Roles:
    nets: those of netg and netd that cannot be built without it; a weight file brings it.
    shape: the shapes of their weights depend on it, so a run keeps it.
    path: a file or folder; a leading `~` is the home folder.
    scope: "run": belongs to the run, so --resume takes it over. "start": what the run began from,
        so --resume keeps the record of it and does not apply it again. "session": each start and
        each resume chooses it anew. "call": how the program was called, not part of the run.
    may_change: when a run is resumed, since its weights do not depend on it.
    quality: whether the quality of the faces depends on it.
    """

    name: str
    kinds: tuple[type, ...]  # of int, float, str, bool, NoneType
    default: Any
    help: str
    on: tuple[str, ...]
    low: float | None
    high: float | None
    above: float | None
    choices: tuple[str | int, ...]
    check: Callable[[str], object] | None
    bare: str | None
    heading: str
    nets: tuple[str, ...]
    shape: bool
    path: bool
    scope: Scope
    may_change: bool
    quality: bool

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
        if type(raw) is type(self.default) and raw == self.default:
            return raw  # at once, since `runs` reads the options of thousands of runs
        value = self._convert(raw)
        if isinstance(value, str):
            value = self._text(value)
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

    def _text(self, text: str) -> str:
        """Check a text, and replace a path's leading `~` by the home folder."""
        if any(unicodedata.category(letter) == "Cc" for letter in text):
            raise ValueError(f"got {text!r}, with a control character; it takes {self.wants}")
        if self.path:
            text = os.path.expanduser(text)
        if self.check is not None:
            self.check(text)
        return text

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
        except (ValueError, OverflowError):
            raise wrong from None
        if int not in self.kinds:
            return number
        if not number.is_integer():  # False for inf and nan as well
            raise wrong
        return int(text) if text.lstrip("+-").isdigit() else int(number)


def _plain(bound: float) -> str:
    """Format a number in full, not in scientific notation: `1,000,000`."""
    return f"{bound:,.15g}"


def _shown(raw: object) -> str:
    """Show a value on one line, cut to a readable length."""
    text = repr(raw)
    return text if len(text) <= 100 else f"{text[:97]}..."


def option(
    default: Any,
    help: str,
    *,
    on: str = "train",
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Sequence[str | int] = (),
    check: Callable[[str], object] | None = None,
    bare: str | None = None,
    nets: str = "",
    shape: bool | None = None,
    path: bool = False,
    scope: Scope = "run",
    may_change: bool | None = None,
    quality: bool | None = None,
) -> Any:
    """Declare a dataclass field as an option; `Option` documents the arguments.

    Unless said otherwise, an option of the nets shapes their weights, one that does not belong to
    the run may change when it is resumed, and what may change does not affect the quality.
    """
    if may_change is None:
        may_change = scope != "run"
    known: dict[str, Any] = {
        "help": help, "on": tuple(on.split()), "low": low, "high": high, "above": above,
        "choices": tuple(choices), "check": check, "bare": bare, "nets": tuple(nets.split()),
        "shape": bool(nets) if shape is None else shape, "path": path, "scope": scope,
        "may_change": may_change,
        "quality": not may_change if quality is None else quality,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=known)


def options_of(cls: type) -> dict[str, Option]:
    """Return the options of a dataclass by name: group by group in the order of its bases, or
    those of the class itself if it has no groups.
    """
    hints = typing.get_type_hints(cls)
    groups = [base for base in cls.__bases__ if dataclasses.is_dataclass(base)] or [cls]
    options = {}
    for group in groups:
        for field in dataclasses.fields(group):
            kinds = typing.get_args(hints[field.name]) or (hints[field.name],)
            heading = getattr(group, "heading", "")
            options[field.name] = Option(
                field.name, kinds, field.default, heading=heading, **field.metadata
            )
    return options


@dataclass(frozen=True)
class Layer:
    """Option values from one source: `Layer("preset book", {"batch_size": 256})`.

    `fixed`: a later layer with another value is refused.
    """

    source: str
    values: Mapping[str, object]
    fixed: bool = False


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


def source_of(name: str, sources: Mapping[str, str]) -> str:
    """Return where a value came from, such as " (preset best)"; "" if from its own flag."""
    source = sources.get(name, "flag")
    return "" if source == "flag" else f" ({source})"


def settle(options: Mapping[str, Option], layers: Sequence[Layer]) -> Settled:
    """Merge the layers over the defaults; later layers win.

    Invalid values are collected in `Settled.problems`.
    """
    values: dict[str, Any] = {name: option.default for name, option in options.items()}
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
