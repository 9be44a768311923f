"""Parsing of the command line before Fire sees it, and the help pages.

Fire guesses types, and reports an unknown flag only after the command has run. So every argument is
checked here first, collecting all problems, and Fire only gets valid `--name=value` arguments.
"""

import difflib
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from animegan.config.options import Option
from animegan.core.program import command_line, program

WIDTH = 90  # columns of a help page
HELP = ("--help", "-h", "help")


@dataclass
class Line:
    """A parsed command line; `values` maps option names to unconverted text."""

    command: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    help: bool = False


def parse(
    words: Sequence[str],
    commands: Sequence[str],
    options: Mapping[str, Option],
) -> Line:
    """Parse `words`, the arguments without the program's name.

    Problems are collected in the Line. One argument may be positional, as in `prepare SRC`.
    """
    line = Line(help=any(word in HELP for word in words[:1]) or not words)
    if line.help:
        line.command = next((word for word in words[1:] if word in commands), None)
        return line
    line.command, rest = words[0], list(words[1:])
    if line.command not in commands:
        near = _near(line.command, commands)
        line.problems.append(
            f"{line.command}: no such command; {near or 'there are ' + ', '.join(commands)}"
        )
        return line
    line.help = "--help" in rest or "-h" in rest
    bare = bare_option(line.command, options)
    while rest and not line.help:
        word = rest.pop(0)
        if not _is_flag(word):
            if bare is not None and bare.name not in line.values:
                line.values[bare.name] = word
            else:
                line.problems.append(
                    f"{word}: unexpected argument; options are written --name=value "
                    f"(see `{command_line(line.command, '--help')}`)"
                )
            continue
        _take_flag(word, rest, line, options)
    return line


def _take_flag(word: str, rest: list[str], line: Line, options: Mapping[str, Option]) -> None:
    assert line.command is not None
    name, equals, value = word.lstrip("-").partition("=")
    name = name.replace("-", "_")
    option, off = _find(name, options)
    has_next = bool(rest) and not _is_flag(rest[0])
    if option is None or not word.startswith("--"):
        if has_next and not equals:  # otherwise its value would be reported as well
            rest.pop(0)
        known = [option.flag for option in options.values() if line.command in option.on]
        near = _near("--" + name.replace("_", "-"), known)
        way = near or f"`{command_line(line.command, '--help')}` lists all options"
        line.problems.append(f"{word.partition('=')[0]}: unknown option; {way}")
        return
    if line.command not in option.on:
        if has_next and not equals:
            rest.pop(0)
        where = " and ".join(option.on)
        line.problems.append(f"{option.flag}: not an option of {line.command}, but of {where}")
        return
    if off:
        if equals or has_next:
            value = value if equals else rest.pop(0)
            line.problems.append(
                f"{word.partition('=')[0]} {value}: takes no value; "
                f"write {option.flag}=true or {option.flag}=false"
            )
            return
        value = "false"
    elif not equals:
        if has_next:
            value = rest.pop(0)
        elif option.is_switch:
            value = "true"
        else:
            line.problems.append(f"{option.flag}: needs a value; it takes {option.wants}")
            return
    if option.name in line.values:
        line.problems.append(
            f"{option.flag}: given twice ({line.values[option.name]} and {value}); keep one"
        )
        return
    line.values[option.name] = value


def bare_option(command: str, options: Mapping[str, Option]) -> Option | None:
    """Return the option that a command takes as a positional argument, if any."""
    return next(
        (option for option in options.values() if option.bare and command in option.on), None
    )


def _is_flag(word: str) -> bool:
    return bool(re.match(r"--.|-[a-zA-Z]", word))


def _find(name: str, options: Mapping[str, Option]) -> tuple[Option | None, bool]:
    """Return the option of that name, and whether the name negates it (`--nogpu`, `--no-gpu`)."""
    if name in options:
        return options[name], False
    bare = name.removeprefix("no").removeprefix("_")
    if name.startswith("no") and bare in options and options[bare].is_switch:
        return options[bare], True
    return None, False


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=2, cutoff=0.6)
    return f"did you mean {' or '.join(sorted(close))}?" if close else ""


def help_page(
    command: str, summary: str, options: Mapping[str, Option], own: Mapping[str, object]
) -> str:
    """Return a command's help page: each option's name, values, default and meaning.

    `own` has the command's own defaults, where they differ from those of `options`.
    """
    bare = bare_option(command, options)
    word = f" {bare.bare}" if bare else ""
    lines = [f"usage: {program()} {command}{word} [--option=value ...]", "", summary]
    heading = None
    for option in options.values():
        if command not in option.on or option is bare:
            continue
        if option.heading != heading:
            heading = option.heading
            lines += ["", f"{heading}:"]
        value = own.get(option.name, option.default)
        takes = option.wants + ("" if value is None else f"; default {value}")
        lines.append(f"  {option.flag}  ({takes})")
        lines += textwrap.wrap(
            option.help, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    lines += ["", "A switch is on with --name or --name=true, off with --noname or --name=false."]
    return "\n".join(lines)


def overview(summaries: Mapping[str, str]) -> str:
    """Return the list of commands with their summaries, one per line."""
    width = max(map(len, summaries))
    rows = [f"  {name:<{width}}  {text}" for name, text in summaries.items()]
    head = f"usage: {program()} COMMAND [--option=value ...]"
    return "\n".join(
        [
            head,
            "",
            *rows,
            "",
            f"{program()} COMMAND --help lists a command's options,",
            f"{program()} --version prints the versions.",
        ]
    )
