"""Validate a `generate` command before torch is imported, which takes seconds."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animegan.config.values import parse_indices
from animegan.core.errors import refuse
from animegan.core.outputs import writable, writable_file
from animegan.runs.folder import all_runs

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """The weight files, which exist, and the candidates to draw, if named by --indices."""

    netg_path: Path
    netd_path: Path | None
    indices: list[int] | None


def request_of(config: "Config") -> Request:
    """Check the options and create the output folders. Raises UsageError listing all problems."""
    problems = writable_file("--gen-img", Path(config.gen_img))
    if config.save_each:
        folder = Path(config.save_each)
        problems += writable("--save-each", folder) or _holds_pictures("--save-each", folder)
    indices = None if config.indices is None else parse_indices(config.indices)
    netg_path, netd_path = find_weights(config)
    for flag, path in (("--netg-path", netg_path), ("--netd-path", netd_path)):
        if path is not None and not path.exists():
            problems.append(f"{flag} {path}: no such file; `python main.py runs` lists the runs")
    refuse(problems)
    return Request(netg_path, netd_path, indices)


def _holds_pictures(flag: str, folder: Path) -> list[str]:
    """The problem if pictures lie there: some would be replaced, others left among the new ones."""
    if any(path.suffix == ".png" or path.name == "manifest.json" for path in folder.iterdir()):
        return [f"{flag} {folder}: contains pictures already; use a new or empty folder"]
    return []


def find_weights(config: "Config") -> tuple[Path, Path | None]:
    """Return the paths of netg's and netd's weight files.

    A path directly in the runs folder that does not exist (the textbook writes its files there) is
    looked up by name in the newest run that has it.
    """
    assert config.netg_path is not None
    wanted = [Path(config.netg_path)] + ([Path(config.netd_path)] if config.netd_path else [])
    missing = [path for path in wanted if not path.exists()]
    root = Path(config.runs_path)
    if missing and all(path.parent.resolve() == root.resolve() for path in wanted):
        for run in reversed(all_runs(config.runs_path)):
            there = [run.path / path.name for path in wanted]
            if all(path.exists() for path in there):
                logger.info(
                    f"{root}: has no {missing[0].name}; using that of the newest run, {run.name}"
                )
                wanted = there
                break
    return wanted[0], wanted[1] if len(wanted) > 1 else None
