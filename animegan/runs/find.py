"""Find runs: all in a folder, one by its name or path, the one to resume. Does not import torch."""

from contextlib import suppress
from pathlib import Path

from animegan.core.errors import UsageError
from animegan.core.program import command_line
from animegan.runs.folder import STATE, Run


def all_runs(root: str) -> list[Run]:
    """Return all runs in `root`, the most recently written last."""
    runs = [Run(path.parent) for path in Path(root).glob("*/options.json")]
    return sorted(runs, key=last_change)


def last_change(run: Run) -> float:
    """Return when the run was last written to, in seconds since the epoch (1970)."""
    times = [0.0]
    for path in (run.options_file, run.metrics, *run.state_files()[:1]):
        with suppress(OSError):  # missing, or gone meanwhile
            times.append(path.stat().st_mtime)
    return max(times)


def named(root: str, place: str) -> Path:
    """Resolve a path, or the name of a run in `root`.

    The run wins over a folder of that name that is not a run itself.
    """
    path, below = Path(place), Path(root) / place
    other = path.is_dir() and not Run(path).options_file.exists()  # not a run
    return path if path.exists() and not (other and below.exists()) else below


def to_resume(root: str, name: str | None, resume: bool | str) -> tuple[Run, list[Path]]:
    """Return the run that `--resume` refers to and the states to try, newest first.

    Raises UsageError if there is no such run or it has no state.
    """
    if isinstance(resume, str):
        path = named(root, resume)
        if path.is_file():
            if not STATE.fullmatch(path.name):
                raise UsageError(
                    f"--resume {path}: not a state; give a run's states/state_*.pt, or its folder"
                )
            return Run(path.absolute().parent.parent), [path]
        run = Run(path.parent if path.name == "states" else path)
    elif name is not None:
        run = Run(Path(root) / name)
    else:
        runs = [run for run in all_runs(root) if run.state_files()]
        if not runs:
            raise UsageError(f"--resume: no run in {root} has a state; train without --resume")
        run = runs[-1]
    if not run.state_files():
        run.refuse_if_held()
        raise UsageError(
            f"--resume: no state in {run.states}; `{command_line('runs')}` lists the runs, "
            "or start a new one without --resume, under another name"
        )
    return run, run.state_files()
