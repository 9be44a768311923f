"""Validate a `generate` command before torch is imported, which takes seconds."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animegan.config.values import parse_indices
from animegan.core.errors import UsageError, refuse
from animegan.core.optional import require
from animegan.core.outputs import writable, writable_file
from animegan.core.program import command_line
from animegan.generation.recipes import Recipe, read_recipes
from animegan.runs.find import all_runs, named
from animegan.runs.folder import Run

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """The weight files, which exist, and what to draw if --indices or --recipes names it."""

    netg_path: Path
    netd_path: Path | None
    indices: list[int] | None
    recipes: list[Recipe] | None = None


def request_of(config: "Config") -> Request:
    """Check the options and create the output folders. Raises UsageError listing all problems."""
    problems = writable_file("--gen-img", Path(config.gen_img))
    if config.save_each:
        folder = Path(config.save_each)
        problems += writable("--save-each", folder) or _holds_others(folder)
    indices = None if config.indices is None else parse_indices(config.indices)
    recipes = None
    try:
        recipes = None if config.recipes is None else read_recipes(config.recipes)
    except UsageError as error:
        problems += error.problems
    try:
        netg_path, netd_path = find_weights(config)
    except UsageError as error:
        raise UsageError(*problems, *error.problems) from None
    refuse(problems)
    return Request(netg_path, netd_path, indices, recipes)


def film_of(config: "Config") -> Path:
    """Check a `video` command; return netg's path. Raises UsageError listing all problems."""
    assert config.out is not None
    problems = writable_file("--out", Path(config.out))
    if config.out.lower().endswith(".mp4"):
        require("av", f"--out {config.out}")
    try:
        netg_path = find_weights(config)[0]
    except UsageError as error:
        raise UsageError(*problems, *error.problems) from None
    refuse(problems)
    return netg_path


HOLDS_OTHERS = "--save-each {folder}: contains other pictures already; use a new or empty folder"


def _holds_others(folder: Path) -> list[str]:
    """The problem if pictures without a manifest lie there, which are not of this command.

    Those of an earlier call are compared with the new ones when these are known.
    """
    pictures = any(path.suffix == ".png" for path in folder.iterdir())
    if pictures and not (folder / "manifest.json").exists():
        return [HOLDS_OTHERS.format(folder=folder)]
    return []


def find_weights(config: "Config") -> tuple[Path, Path | None]:
    """Return the paths of netg's and netd's weight files, which exist.

    --netg-path is a file, a run's name or folder, which stands for its best weights, or missing,
    which stands for the newest run. A path directly in the runs folder that does not exist (the
    textbook writes its files there) is looked up by name in the newest run that has it. Raises
    UsageError that names what is there.
    """
    root = Path(config.runs_path)
    if config.netg_path is None:
        netg_path: Path | None = _best_of_newest(config.runs_path)
    else:
        netg_path = _best_of(config.runs_path, config.netg_path)
    wanted = [netg_path or Path(str(config.netg_path))]
    if config.netd_path is not None:
        wanted.append(_netd_of(config.runs_path, config.netd_path, wanted[0]))
    missing = [path for path in wanted if not path.exists()]
    if missing and all(path.parent.resolve() == root.resolve() for path in wanted):
        for run in reversed(all_runs(config.runs_path)):
            there = [run.path / path.name for path in wanted]
            if all(path.exists() for path in there):
                logger.info(
                    f"{root}: has no {missing[0].name}; using that of the newest run, {run.name}"
                )
                wanted, missing = there, []
                break
    refuse(_missing(path, config.runs_path, path is wanted[0]) for path in missing)
    return wanted[0], wanted[1] if len(wanted) > 1 else None


def _best_of_newest(root: str) -> Path:
    for run in reversed(all_runs(root)):
        if files := run.weight_files():
            logger.info(f"--netg-path: not given; using {files[0]} of the newest run")
            return files[0]
    raise UsageError(
        f"--netg-path: no run in {root} has weights; `{command_line('train')}` makes some"
    )


def _best_of(root: str, place: str) -> Path | None:
    """Return the best weights of the run that `place` names; None if it names no folder."""
    folder = named(root, place)
    if not folder.is_dir():
        return None
    files = Run(folder).weight_files()
    if not files:
        raise UsageError(f"--netg-path {place}: {folder} has no netg_*.pth; give a run or a file")
    logger.info(f"--netg-path {place}: using {files[0]}")
    return files[0]


def _netd_of(root: str, place: str, netg_path: Path) -> Path:
    """Return the discriminator's file: of a run, the one that belongs to the generator's."""
    folder = named(root, place)
    if not folder.is_dir():
        return Path(place)
    return folder / netg_path.name.replace("netg", "netd", 1)


def _missing(path: Path, root: str, is_netg: bool) -> str:
    """Return the problem that a weight file is missing, with what there is instead."""
    pattern = "netg_*.pth" if is_netg else "netd_*.pth"
    folders = [path.parent, *(run.path for run in reversed(all_runs(root)))]
    near = next((paths for folder in folders if (paths := sorted(folder.glob(pattern)))), [])
    way = f"`{command_line('train')}` makes some"
    if near:
        way = f"{near[0].parent} has {', '.join(paths.name for paths in near[:9])}"
    return f"{'--netg-path' if is_netg else '--netd-path'} {path}: no such file; {way}"
