"""The command line of a benchmark: a function whose parameters are its words and flags.

    def main(what: str, *, rounds: int = 7, batch: tuple[int, ...] = (64,), plot: Path): ...

is called by `python -m benchmarks... WHAT --rounds 9 --batch 64 256 --plot growth.png`. A parameter
before the `*` is a word of the command line, one after it a flag. Without a default it is required;
a bool is a switch, a tuple takes several values, and a Literal lists its choices.
"""

import argparse
import inspect
import sys
import types
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from animegan.core.errors import UsageError, refuse


def run(*functions: Callable[..., None], words: Sequence[str] | None = None) -> None:
    """Call the function, or the one of several that the first word names.

    A UsageError ends the process with its text and code 2, like an unknown flag.
    """
    about = sys.modules[functions[0].__module__].__doc__
    form = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=about, formatter_class=form)
    if len(functions) == 1:
        _add(parser, functions[0])
    else:
        named = parser.add_subparsers(required=True)
        for function in functions:
            text = inspect.getdoc(function)
            _add(
                named.add_parser(
                    function.__name__, description=text, help=text, formatter_class=form
                ),
                function,
            )
    given = vars(parser.parse_args(words))
    try:
        given.pop("function")(**given)
    except UsageError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def known(flag: str, values: Sequence[str], names: Collection[str]) -> None:
    """Raise UsageError if a value of the flag is not one of the names."""
    refuse(
        f"{flag} {value}: unknown; take one of {', '.join(names)}"
        for value in values
        if value not in names
    )


def _add(parser: argparse.ArgumentParser, function: Callable[..., None]) -> None:
    """Add a function's parameters to its parser."""
    parser.set_defaults(function=function)
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        options = _options(parameter.annotation)
        if parameter.kind is not parameter.KEYWORD_ONLY:
            parser.add_argument(name, **options)
            continue
        default = parameter.default
        if default is parameter.empty:
            options["required"] = True
        else:
            options |= {"default": default, "help": f"default: {_text(default)}"}
        parser.add_argument(f"--{name.replace('_', '-')}", **options)


def _options(kind: Any) -> dict[str, Any]:
    """Return argparse's options for a parameter of this type."""
    if kind is bool:
        return {"action": "store_true"}
    if get_origin(kind) in (Union, types.UnionType):  # X | None
        return _options(get_args(kind)[0])
    if get_origin(kind) is tuple:
        return {"nargs": "+", "type": get_args(kind)[0], "action": _Tuple}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    return {"type": kind}


def _text(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(map(str, default)) or "none"
    return "none" if default is None else "off" if default is False else str(default)


class _Tuple(argparse.Action):
    """Keep a flag's values as a tuple; a repeated flag adds to them."""

    def __call__(self, parser: Any, found: Any, values: Any, option: str | None = None) -> None:
        before = getattr(found, self.dest)
        setattr(found, self.dest, (() if before is self.default else before) + tuple(values))
