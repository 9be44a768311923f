"""Write the selected faces as training folders, and the manifest of all faces and sources."""

import json
import logging
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animegan.core.files import aside
from animegan.datasets.prepare.manifest import SourceRecord
from animegan.datasets.prepare.select import Selection
from animegan.datasets.targets import Targets

logger = logging.getLogger(__name__)

PARTS = ("train", "heldout")
_OWN = re.compile(r"[0-9a-f]{16}_\d+\.png")


def places(
    records: Iterable[SourceRecord],
    selection: Selection,
    held: NDArray[np.bool_],
    by_folder: bool,
) -> dict[int, str]:
    """Return the path of each kept face, relative to the output folder, with "/".

    Args:
        records: the sources, in order.
        selection: which faces are kept.
        held: for each kept face, whether it is held out.
        by_folder: put faces into a subfolder named after their source's folder.
    """
    number, paths, folders = 0, {}, Targets()
    part = dict(zip(selection.kept.tolist(), held.tolist(), strict=True))
    for record in records:
        for face in record.faces:
            if number in part:
                folder = f"{folders.folder(record.folder or 'unsorted')}/" if by_folder else ""
                paths[number] = f"{PARTS[part[number]]}/{folder}{Path(face.file).name}"
            number += 1
    if words := folders.words():
        logger.info(f"classes: {words}")
    return paths


def publish(out: Path, crops: Path, wanted: Iterable[str]) -> None:
    """Make `train/` and `heldout/` contain exactly the wanted crops.

    Crops are hard-linked, or copied if that fails. Other files are left alone: only names of the
    form written here are ever removed.
    """
    targets = set(wanted)
    for part in PARTS:
        for file in sorted((out / part).rglob("*.png")) if (out / part).is_dir() else ():
            name = file.relative_to(out).as_posix()
            if _OWN.fullmatch(file.name) and name not in targets:
                file.unlink()
                _remove_if_empty(file.parent, out / part)
    for name in sorted(targets):
        target = out / name
        crop = crops / target.name[:2] / target.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(crop):
            continue
        with aside(target) as half:
            try:
                os.link(crop, half)
            except OSError:
                shutil.copyfile(crop, half)


def write_manifest(
    path: Path, records: Iterable[SourceRecord], selection: Selection, placed: dict[int, str]
) -> None:
    """Write one JSON line for each face, and for each source without faces.

    Keys of a face: source, box, score, eyes, square, the measures, kept, why (None if kept), file
    (relative to the output folder, if kept), like (the file of the face that a duplicate copies).
    """
    number = 0
    with aside(path) as half, half.open("w", encoding="ascii") as file:
        for record in records:
            line: dict[str, object]
            if record.problem is not None:
                reason, detail = record.problem
                line = {"source": record.key, "kept": False, "why": reason, "detail": detail}
                file.write(json.dumps(line) + "\n")
            for face in record.faces:
                like = int(selection.instead[number])
                line = {"source": record.key, "kept": number in placed}
                line |= {"why": selection.why(number), "file": placed.get(number)}
                line |= {"like": placed.get(like), "box": face.box, "score": face.score}
                line |= {"eyes": face.eyes, "square": asdict(face.square)}
                file.write(json.dumps(line | asdict(face.measures)) + "\n")
                number += 1


def _remove_if_empty(folder: Path, top: Path) -> None:
    if folder != top and not any(folder.iterdir()):
        folder.rmdir()
