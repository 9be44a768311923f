"""How the tool was called, and the command lines that its messages print: they work as printed."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path, PurePath

WINDOWS = os.name == "nt"


def program() -> str:
    """Return the words that called this process, as a shell takes them.

    `python main.py`, `python -m animegan` or `animegan`; with the path of the interpreter or the
    script where the name alone would start another one or none, as in an environment that is not
    activated.
    """
    script = Path(sys.argv[0])
    if script.name == "main.py":
        return f"{python()} {quote(sys.argv[0])}"
    if script.stem == "animegan":  # animegan.exe on Windows
        return _named(os.path.abspath(script))
    return f"{python()} -m animegan"


def python() -> str:
    """Return the word that starts this interpreter in the user's shell."""
    return _named(sys.executable)


def command_line(*words: str | PurePath, **options: str | PurePath | int) -> str:
    """Return a command line of this tool, quoted for this system's shell.

    `command_line("train", resume=run.path)` is `python main.py train --resume=checkpoints/one`.
    Paths get forward slashes, which Windows takes as well.
    """
    named = [f"--{name.replace('_', '-')}={_text(value)}" for name, value in options.items()]
    return " ".join([program(), *(quote(_text(word)) for word in [*words, *named])])


def quote(word: str, windows: bool | None = None) -> str:
    """Return a word as this system's shell takes it; `windows`: cmd.exe and PowerShell."""
    if not (WINDOWS if windows is None else windows):
        return shlex.quote(word)
    if re.fullmatch(r"[\w@+=:,./\\-]+", word):
        return word
    # cmd.exe knows double quotes only; a program reads \" as a quote, \\" as a backslash at an end
    word = re.sub(r'(\\*)"', r'\1\1\\"', word)
    return '"' + re.sub(r"(\\+)$", r"\1\1", word) + '"'


def _text(value: str | PurePath | int) -> str:
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def _named(path: str) -> str:
    """Return the name of an executable if the shell finds this very file by it, else its path."""
    name = Path(path).stem if WINDOWS else Path(path).name
    there = shutil.which(name)
    if there and os.path.normcase(os.path.abspath(there)) == os.path.normcase(path):
        return name
    try:
        near = os.path.relpath(path)
    except ValueError:  # on another drive
        near = path
    return quote(path if near.startswith(os.pardir) else near)
