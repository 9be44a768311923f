"""`runs`: list the runs with options, epoch, losses and time, or print a run's command."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from animegan.config.options import Option, of_training
from animegan.core.errors import UsageError
from animegan.core.program import command_line
from animegan.runs.folder import Run, all_runs, last_change, named

NOT_SHOWN = ("name", "config", "runs_path", "resume", "allow_changes", "dry_run")


def listing(root: str, options: Mapping[str, Option]) -> str:
    """Return a table of the runs, the newest last, with the options in which they differ.

    Only values other than the default are shown; those that all runs share follow in a last line.
    """
    runs = all_runs(root)
    if not runs:
        return f"no runs in {root}; `{command_line('train')}` starts one"
    rows: list[tuple[str, ...]] = [
        ("run", "epoch", "step", "time", "last seen", "last metrics", "options")
    ]
    changed = [_changed(run, options) for run in runs]
    known = [one for one in changed if one is not None]
    shared = [text for text in known[0] if all(text in one for one in known)] if known[1:] else []
    for run, one in zip(runs, changed, strict=True):
        own = ["options.json is damaged"] if one is None else one
        rows.append(_row(run, [text for text in own if text not in shared]))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    if shared:
        lines.append(f"all of them: {' '.join(shared)}")
    return "\n".join(lines)


def _changed(run: Run, options: Mapping[str, Option]) -> list[str] | None:
    """Return the run's options that are not the default; None if its options.json is damaged.

    A precision that the machine chose is left out.
    """
    try:
        record = run.read_options()
    except UsageError:
        return None
    sources = record.get("sources", {})
    return [
        f"{name}={value}" for name, value in record["options"].items()
        if name in options and value != options[name].default and name not in NOT_SHOWN
        and not (name == "precision" and sources.get(name, "run").startswith("run"))
    ]  # fmt: skip


def _row(run: Run, changed: list[str]) -> tuple[str, ...]:
    last: dict[str, Any] = {}
    for line in run.history():
        last.update(line)
    shown = [f"{k}={last[k]:.3g}" for k in ("loss_d", "loss_g", "fd", "kid") if k in last]
    when = datetime.fromtimestamp(last_change(run))
    return (
        run.name,
        f"{last['epoch']:.1f}" if "epoch" in last else "-",
        str(last.get("step", "-")),
        _duration(last.get("seconds", 0.0)),
        f"{when:%Y-%m-%d %H:%M}",
        " ".join(shown) or "-",
        " ".join(changed),
    )


def _duration(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{int(seconds) % 60:02d}s"


def command_of(
    root: str,
    name: str,
    options: Mapping[str, Option],
    brought: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda saved: {},
) -> str:
    """Return the command line that repeats a run as a new one; UsageError if there is none.

    `brought` maps a run's options to the values that they would have by default given its loss and
    features, and that need not be written out.
    """
    path = named(root, name)
    if not Run(path).options_file.exists():
        known = ", ".join(run.name for run in all_runs(root)[-5:]) or "none"
        raise UsageError(f"--repeat {name}: no such run in {root}; the newest are: {known}")
    saved = of_training(options, Run(path).read_options()["options"])
    usual = {key: one.default for key, one in options.items()} | dict(brought(saved))
    words = [
        f"{options[key].flag}={'' if value is None else value}"
        for key, value in saved.items()
        if key not in NOT_SHOWN and value != usual[key]
        and key != "preset"
    ]  # fmt: skip
    home = os.path.dirname(os.path.abspath(path))
    if home != os.path.abspath(options["runs_path"].default):
        words.insert(0, f"--runs-path={home}")
    return command_line("train", *words)
