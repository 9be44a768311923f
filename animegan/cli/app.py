"""The command line: checked as a whole before anything runs, then handed to a command by Fire."""

import inspect
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress

from animegan import __version__
from animegan.cli import console, parse
from animegan.cli.commands import COMMANDS, DEMO
from animegan.config.config import OPTIONS
from animegan.config.options import Layer
from animegan.config.presets import DEFAULT_PRESET, PRESETS, usual
from animegan.config.resolve import Resolved, Typed, resolve, typed
from animegan.config.resume import refuse_changes, saved_options, to_resume
from animegan.core.errors import Ended, TrainingStopped, UsageError, reason, refuse
from animegan.core.printable import printable
from animegan.core.program import command_line
from animegan.core.signals import Terminated, terminable
from animegan.runtime.launch import launched

logger = logging.getLogger(__name__)


def version() -> str:
    """Return the versions to quote in a bug report."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        torch = version_of("torch")
    except PackageNotFoundError:
        torch = "not installed"
    python = ".".join(map(str, sys.version_info[:3]))
    return f"animegan {__version__}, torch {torch}, Python {python}, {sys.platform}"


def exposed(name: str, resolved: Resolved) -> Callable[..., None]:
    """Return the command for Fire: one keyword per option, all of which `resolved` has read."""
    from fire.decorators import SetParseFn

    def command(**words: str) -> None:
        COMMANDS[name].run(resolved)

    command.__doc__ = COMMANDS[name].summary
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default)
            for option in OPTIONS.values()
            if name in option.on
        ]
    )
    return SetParseFn(str)(command)  # type: ignore[no-any-return]


def resolve_line(line: parse.Line) -> Resolved:
    """Resolve a command line, with the run or the weight files that it starts from.

    Raises UsageError listing every problem, including option conflicts. Torch is imported only to
    read weight files.
    """
    problems = list(line.problems)
    assert line.command is not None  # without one, the help is shown
    if line.command != "train" and launched().size > 1:
        problems.append(
            f"torchrun: {launched().size} processes would each repeat all of {line.command}, since "
            f"only train is distributed; run {command_line(line.command)} without it"
        )
    if line.command not in COMMANDS:
        refuse(problems)
    given = typed(line.command, line.values)
    under = [Layer("demo", DEMO)] if line.command == "demo" else []
    resumed = None
    unfound: tuple[str, ...] = ()
    if line.command == "train":
        try:
            with suppress(ValueError):  # an invalid value, which `resolve` reports
                resumed = to_resume(given)
            if resumed:
                under += saved_options(resumed[0])
        except UsageError as error:
            unfound = error.problems
        if not problems and not given.wrong():
            under += _of_weights(given)
    try:
        config, sources = resolve(line.command, given, *under)
    except UsageError as error:
        problems += error.problems
    if not any(problem.startswith("--resume") for problem in problems):
        problems += unfound
    refuse(problems)
    if resumed:
        refuse_changes(resumed[0], config, sources)
    return Resolved(config, sources, given, tuple(under), resumed)


def _of_weights(given: Typed) -> list[Layer]:
    """Return what the weight files bring that training starts from; none for missing ones."""
    paths = [given.value(name) for name in ("netg_path", "netd_path")]
    if not any(paths) or not all(path is None or os.path.exists(path) for path in paths):
        return []
    from animegan.training.warm_start import layers

    return layers(*paths)


def main(words: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    0: success; 1: training stopped, a command found problems, or the system failed (memory, disk);
    2: usage error; 130: Ctrl-C; 143: SIGTERM; 128 + n: training stopped by signal n.
    """
    if list(words) == ["--version"]:
        print(version())
        return 0
    line = parse.parse(words, list(COMMANDS), OPTIONS)
    try:
        here = launched()
        console.install()
    except UsageError as error:
        for problem in error.problems:
            print(printable(problem), file=sys.stderr)
        return 2
    try:
        if here.restarts and "resume" in line.values:
            from animegan.runtime.distributed import remembered_run

            line.values["resume"] = remembered_run(here) or line.values["resume"]
        if line.problems and line.command not in COMMANDS:
            raise UsageError(*line.problems)
        if line.help:
            page = parse.overview({name: command.summary for name, command in COMMANDS.items()})
            if line.command in COMMANDS:
                about = COMMANDS[line.command]
                defaults = usual({"preset": DEFAULT_PRESET, **PRESETS[DEFAULT_PRESET]})
                own = defaults if line.command == "train" else about.defaults
                page = parse.help_page(line.command, about.summary, OPTIONS, own)
            print(page)
            return 0
        resolved = resolve_line(line)
        assert line.command is not None
        import fire

        words = [line.command, *(f"--{name}={value}" for name, value in line.values.items())]
        with nullcontext() if line.command == "train" else terminable():
            command = exposed(line.command, resolved)
            fire.Fire({line.command: command}, command=words, name="animegan")
    except UsageError as error:
        for problem in () if here.local_rank else error.problems:  # once per machine
            logger.error(problem)
        if here.size > 1 and line.command == "train":
            from animegan.runtime.distributed import give_up

            give_up(here, error.problems)
        if here.local_rank:  # torchrun ends all once one exits: let the one that prints exit
            time.sleep(30)
        return 2
    except TrainingStopped as error:
        logger.error(str(error))
        return 1
    except Ended as end:
        return end.code
    except Terminated:
        logger.info("stopped")
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        logger.info("stopped")
        return 130
    except (MemoryError, RuntimeError) as error:
        from animegan.runtime.memory import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        logger.error(f"out of memory: {reason(error, 100)}; try fewer or smaller pictures")
        return 1
    except OSError as error:  # the disk is full, a folder disappeared, ...
        logger.error(f"{error.filename or 'a file'}: {reason(error)}")
        return 1
    return 0
