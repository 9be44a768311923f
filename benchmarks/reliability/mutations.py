"""Damaged and edited files of every kind that the tool reads, fed to what reads them.

Each try changes one file and reads it in this process. It survives if the answer is that of the
intact file, or the file is refused in a line (UsageError), or skipped. A kind whose format has a
checksum (`checked`) may not give any other answer; of the others (text that people edit, pictures
without checksums), another answer counts as right, a traceback never does.
"""

import hashlib
import json
import logging
import random
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from animegan.config.resolve import resolve
from animegan.config.resume import options_of_run
from animegan.core.errors import UsageError
from animegan.core.outputs import Dispensable
from animegan.data.decode import BrokenPicture, decode
from animegan.data.face_set import open_set
from animegan.data.labels import read_tags
from animegan.datasets.archives import DamagedMember
from animegan.datasets.doctor import command
from animegan.datasets.doctor.command import doctor
from animegan.datasets.prepare.pipeline import Options, prepare
from animegan.datasets.sources import walk
from animegan.evaluation import feature_cache
from animegan.monitor.curves import draw_curves
from animegan.runs import checkpoint, samples
from animegan.runs.folder import Run
from benchmarks.reliability.samples import Samples
from benchmarks.reliability.tally import Tally, each_said, run_main, watched

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of file: an intact one, what reads it, and how it may be changed."""

    name: str
    file: Path
    read: Callable[[], Any]
    checked: bool = False
    text: bool = False
    edits: Callable[[random.Random, Path], None] | None = None  # of its content, as an attacker's
    changed: Path | None = None  # of several files, another one than `file`


def campaign(files: Samples, tries: int, seed: int) -> list[Tally]:
    """Change each kind's file about equally often, `tries` times in all."""
    kinds = list(_kinds(files))
    each = -(-tries // len(kinds))
    return each_said(_tally(kind, each, random.Random(f"{seed}/{kind.name}")) for kind in kinds)


def _tally(kind: Kind, tries: int, rng: random.Random) -> Tally:
    tally, intact = Tally(kind.name), kind.file.read_bytes()
    outcome, right = watched(kind.read)
    assert outcome == "answer", f"{kind.name}: intact, but {outcome}: {right}"
    for number in range(tries):
        if kind.edits is not None:
            kind.file.write_bytes(intact)
            kind.edits(rng, kind.file)
            how = f"edit {number}"
        else:
            content, how = changed(intact, rng, kind.text)
            kind.file.write_bytes(content)
        outcome, answer = watched(kind.read)
        if outcome == "answer":
            same = _agrees(answer, right)
            outcome = "right" if same or not kind.checked else "wrong"
        tally.add(outcome, f"try {number}, {how}: {answer if outcome != 'wrong' else ''}")
        if outcome in ("wrong", "tracebacks", "hangs"):
            kept = kind.file.parent.parent / "faults"
            kept.mkdir(exist_ok=True)
            shutil.copy(kind.file, kept / f"{kind.name.replace(' ', '-')}-{number}")
        kind.file.write_bytes(intact)
    return tally


def _agrees(answer: Any, right: Any) -> bool:
    """Whether an answer is the right one, or of a set of parts, none is another."""
    if isinstance(right, frozenset) and isinstance(answer, frozenset):
        return answer <= right
    return bool(answer == right)


# --- how a file is changed


def changed(intact: bytes, rng: random.Random, text: bool) -> tuple[bytes, str]:
    """Return damaged content, never equal to the intact one, and the name of the damage."""
    ways = [*_BYTES, *(_TEXTS * 2 if text else ())]
    while True:
        way = rng.choice(ways)
        content = way(bytearray(intact), rng)
        if content != intact:
            return bytes(content), way.__name__.strip("_")


def _flip(content: bytearray, rng: random.Random) -> bytearray:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _flips(content: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(2, 40)):
        _flip(content, rng)
    return content


def _truncate(content: bytearray, rng: random.Random) -> bytearray:
    return content[: rng.randrange(len(content))]


def _zeros(content: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(content))
    size = min(len(content) - start, rng.choice((4, 64, 512, 4096)))
    content[start : start + size] = bytes(size)
    return content


def _cut(content: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(content))
    del content[start : start + rng.choice((1, 2, 16, 512))]
    return content


def _insert(content: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(content))
    content[start:start] = rng.randbytes(rng.choice((1, 2, 16, 512)))
    return content


def _repeat(content: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(content))
    content[start:start] = content[start : start + rng.choice((8, 64, 1024))]
    return content


def _number(content: bytearray, rng: random.Random) -> bytearray:
    """Write a telling 32-bit number somewhere: sizes, counts and offsets are such."""
    if len(content) >= 4:
        value = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 65535, 10**7))
        order = rng.choice("<>")
        struct.pack_into(f"{order}I", content, rng.randrange(len(content) - 3), value)
    return content


_BYTES = (_flip, _flips, _truncate, _zeros, _cut, _insert, _repeat, _number)

NASTY = (
    "null", "[]", "{}", "-1", "0", "1e999", "NaN", "-Infinity", "true", '""', "10" * 40, "9" * 5000,
    '"\\u0000"', '"\x1b[2J"', '"\u202e"', "[" * 5000, '{"a":' * 3000, '"../../x"', '"/etc/passwd"',
    "'", '"', ",", "\0", "\ufeff", "\r", "é", "\udcff", "#", "=", "[[", "2026-01-01", "inf", "nan",
)  # fmt: skip


def _token(content: bytearray, rng: random.Random) -> bytearray:
    """Replace one word of a text."""
    words = _words(content)
    start, end = rng.choice(words) if words else (0, 0)
    nasty = rng.choice(NASTY).encode("utf-8", "surrogateescape")
    return content[:start] + nasty + content[end:]


def _exchange(content: bytearray, rng: random.Random) -> bytearray:
    """Replace one word of a text by another one of it."""
    words = _words(content)
    if not words:
        return content
    (start, end), (first, last) = rng.choice(words), rng.choice(words)
    return content[:start] + content[first:last] + content[end:]


_TEXTS = (_token, _exchange)


def _words(content: bytearray) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(rb'"[^"]*"|[\w.+-]+', content)]


# --- content edited and saved again, as somebody else's program could

VALUES: tuple[Any, ...] = (
    None, [], {}, (), -1, 0, 1, 10**7, 2**31, 2**70, 1e308, float("nan"), True, "", "\0", "\x1b[2J",
    "x" * 10_000, "../../x", [[[[]]]], {"a": {}}, b"bytes", torch.zeros(()), torch.zeros(3, 0),
    torch.full((2,), float("nan")), torch.zeros(1).expand(10**6), torch.zeros(1, dtype=torch.int8),
)  # fmt: skip


def _edit(rng: random.Random, file: Path) -> None:
    """Replace, delete or add a value somewhere in a file of torch."""
    content = torch.load(file, weights_only=True)
    place, key = rng.choice(list(_places(content)))
    way = rng.random()
    if way < 0.15:
        del place[key]
    elif way < 0.25 and isinstance(place, dict):
        place[rng.choice(("x", "", "\0", "netg", 5, None))] = rng.choice(VALUES)
    else:
        place[key] = rng.choice(VALUES)
    torch.save(content, file)


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every dict or list in the content with each of its keys."""
    keys = content if isinstance(content, dict) else range(len(content))
    for key in keys:
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])


# --- the kinds


def _kinds(files: Samples) -> Iterator[Kind]:
    run = Run(files.runs / "a")
    state = run.state_files()[0]
    netg, old = run.path / "netg_last.pth", files.old_weights

    def weights(path: Path) -> Callable[[], Any]:
        def read() -> str:
            loaded = checkpoint.load_net(path, "netg")
            about = json.dumps(dict(loaded.about), sort_keys=True, default=str)
            return _digest(loaded.net.state_dict()) + about

        return read

    yield Kind("weight file", netg, weights(netg), checked=True)
    yield Kind("weight file, edited", netg, weights(netg), edits=_edit)
    yield Kind("weight file of old torch", old, weights(old))
    yield Kind("weight file drawn with", netg, lambda: _drawn(netg, files), checked=True)
    yield Kind("weight file drawn with, edited", netg, lambda: _drawn(netg, files), edits=_edit)

    def load_state() -> str:
        return _digest(checkpoint.load_state(state, "--resume"))

    yield Kind("state", state, load_state, checked=True)
    yield Kind("state resumed, edited", state, lambda: _resumed(files), edits=_edit)
    yield Kind("state resumed", state, lambda: _resumed(files), checked=True)
    yield Kind("options.json", run.options_file, lambda: options_of_run(run), text=True)
    yield Kind("options.json, resumed", run.options_file, lambda: _resumed(files), text=True)

    def listed() -> str:
        return run_main("runs", f"--runs-path={files.runs}", "--format=json") + run_main(
            "runs", f"--runs-path={files.runs}")  # fmt: skip

    yield Kind("options.json, listed", run.options_file, listed, text=True)
    yield Kind("metrics.jsonl, listed", run.metrics, listed, text=True)
    curves = files.root / "curves.png"
    yield Kind("metrics.jsonl, drawn", run.metrics, lambda: draw_curves(run.metrics, curves),
               text=True)  # fmt: skip
    yield Kind("sample grid", samples.sheets(run.path / "samples")[0].path,
               lambda: _filmed(run.path / "samples", files.root))  # fmt: skip
    manifest = files.each / "manifest.json"
    yield Kind("manifest of drawn pictures", manifest, lambda: _drawn_each(files), text=True)
    journal = files.out / ".prepare" / "journal.jsonl"
    yield Kind("prepare's journal", journal, lambda: _prepared(files), checked=True, text=True)
    for name in ("source", "../manifest.jsonl"):
        yield Kind(f"prepare's {Path(name).name}", files.out / ".prepare" / name,
                   lambda: _prepared(files), text=True)  # fmt: skip
    for name in ("images.bin", "meta.json"):
        file = next(files.cache.glob(f"*/*/{name}"))
        yield Kind(f"cache: {name}", file, lambda: _opened(files), checked=True,
                   text=name.endswith("json"))  # fmt: skip
    array = np.arange(24, dtype=np.float32).reshape(6, 4)
    feature_cache.keep("campaign", "0", array)
    file = next((files.cache / "features").glob("*.npy"))
    yield Kind("cache of features", file, lambda: _features(array), checked=True)
    for picture in sorted(files.pictures.iterdir()):
        yield Kind(f"picture {picture.suffix}", picture,
                   partial(_decoded, picture))  # fmt: skip
    for archive in sorted(files.archives.iterdir()):
        yield Kind(f"archive {''.join(archive.suffixes)}", archive,
                   partial(_members, archive),
                   checked=archive.suffix != ".tar")  # fmt: skip
    listing = [Path(f"{k}.png") for k in range(8)]
    yield Kind("CSV of labels", files.csv,
               lambda: str(read_tags(files.csv, listing, "--labels")), text=True)  # fmt: skip
    yield Kind("TOML of options", files.toml, lambda: resolve("train", {"config": str(files.toml)}),
               text=True)  # fmt: skip
    note = files.fix / ".doctor.json"
    yield Kind("doctor's note", note, lambda: _fixed(files, note.read_bytes()), text=True)


def _digest(content: Any) -> str:
    """Hash nested dicts, lists and tensors."""
    total = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            total.update(f"{part.dtype}{tuple(part.shape)}".encode())
            flat = part.detach().reshape(-1).clone()
            total.update(flat.view(torch.uint8).numpy().tobytes())
        elif isinstance(part, dict):
            for key, value in part.items():
                total.update(repr(key).encode())
                add(value)
        elif isinstance(part, list | tuple):
            for value in part:
                add(value)
        else:
            total.update(repr(part).encode())

    add(content)
    return total.hexdigest()


def _drawn(netg: Path, files: Samples) -> bytes:
    out = files.root / "drawn.png"
    run_main("generate", f"--netg-path={netg}", "--gen-num=4", f"--gen-img={out}", "--nogpu",
             "--vis=False", "--threads=1")  # fmt: skip
    return out.read_bytes()


def _resumed(files: Samples) -> str:
    """Go on with a copy of the run, which has an older state as well, and hash the weights."""
    copy = files.root / "resumed"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    shutil.copytree(files.runs / "a", copy / "a")
    run_main("train", f"--resume={copy / 'a'}", f"--runs-path={copy}", "--nogpu", "--vis=False",
             "--threads=1", f"--max-steps={files.steps + 2}")  # fmt: skip
    return _digest(checkpoint.load_net(copy / "a" / "netg_last.pth", "netg").net.state_dict())


def _filmed(folder: Path, out: Path) -> None:
    """Make the strip and the time-lapse, as the end of training does: what fails is skipped."""
    spare = Dispensable()
    spare("strip", lambda: samples.write_strip(folder, out / "strip.png"))
    spare("timelapse", lambda: samples.write_timelapse(folder, out / "timelapse.webp"))


def _drawn_each(files: Samples) -> None:
    run_main("generate", f"--netg-path={files.runs / 'a' / 'netg_last.pth'}", "--gen-num=4",
             f"--gen-img={files.root / 'drawn.png'}", "--nogpu", "--vis=False", "--threads=1",
             f"--save-each={files.each}")  # fmt: skip


def _prepared(files: Samples) -> frozenset[tuple[str, bytes]]:
    """Prepare again; returns the faces, which a refused or repeated call may not change."""
    prepare(Options(str(files.faces), str(files.out), **files.preparing))
    return frozenset(
        (path.relative_to(files.out).as_posix(), path.read_bytes())
        for part in ("train", "heldout") for path in (files.out / part).rglob("*.png")
    )  # fmt: skip


def _opened(files: Samples) -> bytes:
    faces = open_set(files.faces, image_size=16, num_workers=1, cache_dir=files.cache)
    pixels: bytes = faces.images.tobytes()
    return pixels


def _features(array: Any) -> bool:
    """Whether the cache gives nothing but the array."""
    read = feature_cache.read("campaign", "0", np.float32, (None, 4))
    return read is None or bool((read == array).all())


def _decoded(picture: Path) -> Any:
    try:
        return decode(picture).tobytes()
    except BrokenPicture:
        return None


def _members(archive: Path) -> frozenset[str]:
    """The hashes of the members that can be read; UsageError if the archive is called damaged."""
    whole = set()
    for entry in walk(archive):
        if entry.key == archive.name and entry.problem is not None:
            raise UsageError(": ".join(entry.problem))
        if entry.problem is None and entry.read is not None:
            try:
                whole.add(hashlib.sha256(entry.read()).hexdigest())
            except DamagedMember:
                continue
    return frozenset(whole)


def _fixed(files: Samples, note: bytes) -> None:
    """Go on with a copy that doctor has begun."""
    try:
        doctor(command.Options(str(files.faces), fix=str(files.fix), **files.fixing))
    finally:
        (files.fix / ".doctor.json").write_bytes(note)
        for picture in files.fix.glob("*.png"):
            picture.unlink()
