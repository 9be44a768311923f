"""`python -m animegan`, and what `python main.py` and the command `animegan` start."""

import sys
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("torch", "torchvision", "fire", "tqdm", "numpy", "PIL", "matplotlib", "filelock")


def run() -> int:
    """Run the command line of this process; outside an environment with torch, say how to enter."""
    if sys.version_info < (3, 11):  # noqa: UP036  (pip checks it, a clone does not)
        print(f"{sys.executable}: Python 3.11 or newer is needed", file=sys.stderr)
        return 2
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(f"{', '.join(missing)}: not installed for {sys.executable}; {way_in()}",
              file=sys.stderr)  # fmt: skip
        return 2
    from animegan.cli.app import main

    return main(sys.argv[1:])


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
