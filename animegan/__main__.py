"""The entry point of `main.py`, `python -m animegan` and the installed command.

What must hold before the first slow import is set up here: an environment with torch, Ctrl-C, and
streams that last.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("torch", "torchvision", "fire", "tqdm", "numpy", "PIL", "matplotlib", "filelock")


def run() -> int:
    """Run the command line of this process and return its exit code; see `animegan.cli.app.main`.

    Outside an environment with torch, say how to enter one. 1 also if what was printed could not
    be written, as to a full disk.
    """
    try:
        from animegan.core.streams import lasting

        with lasting() as out:
            try:
                code = unprepared()
                if not code:
                    from animegan.cli.app import main

                    code = main(sys.argv[1:])
            except KeyboardInterrupt:  # during the imports of `app` itself
                print("stopped", file=sys.stderr)
                code = 130
            out.flush()
            if out.lost is not None:
                print(f"stdout: cannot be written ({out.lost.strerror})", file=sys.stderr)
                code = code or 1
            return code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def unprepared() -> int:
    """Return 2, having said what to do, if this Python cannot run the tool; else 0."""
    if sys.version_info < (3, 11):  # noqa: UP036  (pip checks it, a clone does not)
        print(f"{sys.executable}: Python 3.11 or newer is needed", file=sys.stderr)
        return 2
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(f"{', '.join(missing)}: not installed for {sys.executable}; {way_in()}",
              file=sys.stderr)  # fmt: skip
        return 2
    return 0


def way_in() -> str:
    """Return what to do first: activate the clone's environment, or make one."""
    from animegan.core.program import WINDOWS, python, quote

    clone = Path(__file__).parents[1]
    activate = clone / ".venv" / ("Scripts/activate.bat" if WINDOWS else "bin/activate")
    if activate.exists():
        return f"activate the environment: {'' if WINDOWS else '. '}{quote(str(activate))}"
    if (clone / "scripts" / "run.sh").exists() and not WINDOWS:
        return f"this makes an environment: sh {quote(str(clone / 'scripts' / 'run.sh'))} demo"
    source = quote(str(clone)) if (clone / "pyproject.toml").exists() else "animegan"
    return f"install them: {python()} -m pip install {source}"


if __name__ == "__main__":
    sys.exit(run())
