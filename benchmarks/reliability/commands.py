"""Commands that write, each with what it leaves behind when nothing disturbs it.

A command runs in a child process forked from this one, which has imported torch already, so that a
kill at a random moment meets the work and not the imports. (The workers of prepare are real new
processes.) Nothing here may train in this process: autograd's threads do not survive a fork.
"""

import hashlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from animegan.core.streams import lasting
from animegan.data.face_set import open_set
from animegan.runs import checkpoint
from animegan.runs.folder import Run
from benchmarks.reliability.samples import SMALL, draw_faces

LONGEST = 120.0  # seconds that a command may take
LEFT_ALIVE = 5.0  # seconds after a kill until its workers must be gone


@dataclass(frozen=True)
class Command:
    """A command that fills a folder; `words` are for the first call and for going on."""

    name: str
    words: Callable[[Path], list[str]]
    result: Callable[[Path], Mapping[str, str]]  # file -> hash, of what the finished one left
    begin: Callable[[Path], None] = lambda folder: None  # puts into the folder what comes before


@dataclass(frozen=True)
class End:
    """How a process ended: the exit code (negative: signal; None: it hung), text, seconds."""

    code: int | None
    text: str
    seconds: float
    left_alive: bool = False


def start(words: list[str], kill_after: float | None = None, most_bytes: int | None = None) -> End:
    """Run a command line in a child process, to its end or until it is killed.

    With `most_bytes`, no file that it writes can grow larger, as on a full disk.
    """
    began = time.monotonic()
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _child(words, write_end, most_bytes)
    os.close(write_end)
    text, killed_at = b"", None
    with open(read_end, "rb", buffering=0) as pipe:
        while True:
            now = time.monotonic() - began
            if killed_at is None and kill_after is not None and now >= kill_after:
                os.kill(pid, signal.SIGKILL)
                killed_at = now
            limit = LONGEST if killed_at is None else killed_at + LEFT_ALIVE
            if now > limit:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                hung = killed_at is None
                return End(None if hung else -9, text.decode(errors="replace"), now, not hung)
            wait = limit - now
            if killed_at is None and kill_after is not None:
                wait = max(0.0, min(wait, kill_after - now))
            if select.select([pipe], [], [], wait)[0]:
                part = pipe.read(65536)
                if not part:
                    break
                text += part
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return End(code, text.decode(errors="replace"), time.monotonic() - began)


def _child(words: list[str], log: int, most_bytes: int | None) -> None:
    code = 70
    try:
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        with lasting():
            from animegan.cli.app import main

            code = decode_only(words[1:]) if words[0] == "decode" else main(words)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def decode_only(words: list[str]) -> int:
    """Build the cache of a folder, as every training does first."""
    open_set(words[0], image_size=32, num_workers=1, cache_dir=Path(words[1]))
    return 0


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def hashes(folder: Path, pattern: str = "**/*") -> dict[str, str]:
    """Return the hash of each file, except temporary and hidden ones."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob(pattern)
        if path.is_file() and not _is_hidden(path, folder)
    }  # fmt: skip


def half_written(folder: Path, finished: Mapping[str, str]) -> list[str]:
    """Return the files that lie under their final names but are not whole.

    Pictures must be those of the finished command, weights, states and JSON must be readable.
    """
    bad = []
    for name, digest in hashes(folder).items():
        path = folder / name
        try:
            if path.suffix in (".pt", ".pth"):
                checkpoint.load(path, "file")
            elif path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".png" and finished.get(name, digest) != digest:
                bad.append(name)
        except Exception:
            bad.append(name)
    return bad


def _of_training(folder: Path) -> dict[str, str]:
    """Hash the weights and the steps of the records; seconds differ from call to call."""
    run = Run(folder / "x")
    found = {}
    for kind in ("netg", "netd"):
        content = checkpoint.load(run.path / f"{kind}_last.pth", "file")
        total = hashlib.sha256(str(content["step"]).encode())
        for name, tensor in content["weights"].items():
            total.update(name.encode() + tensor.numpy().tobytes())
        found[kind] = total.hexdigest()
    found["records"] = str([(line["step"], line.get("loss_d")) for line in run.history()])
    return found


def _folders(folder: Path) -> dict[str, str]:
    return hashes(folder / "out", "train/**/*") | hashes(folder / "out", "heldout/**/*") | hashes(
        folder / "out", "manifest.jsonl")  # fmt: skip


def commands(root: Path) -> list[Command]:
    """Return the commands, whose inputs are made below `root`."""
    faces, many = root / "faces", root / "many"
    draw_faces(faces, 24)
    draw_faces(many, 120, 64)
    os.environ["ANIMEGAN_CACHE"] = str(root / "cache")
    often = ("--plot-every=5", "--save-every=2", "--state-every-minutes=0.002")
    steps = ("--max-steps=60", *often)
    fresh = ["train", f"--data-path={faces}", "--name=x", *SMALL, *often]
    half = root / "half"
    end = start([*fresh, f"--runs-path={half}", "--max-steps=20"])
    assert end.code == 0, end.text
    net = half / "x" / "netg_last.pth"

    def train(folder: Path) -> list[str]:
        if Run(folder / "x").state_files():
            return ["train", f"--resume={folder / 'x'}", *SMALL[5:], *steps]
        return [*fresh, "--max-steps=60", f"--runs-path={folder}"]

    def copy_half(folder: Path) -> None:
        shutil.copytree(half, folder, dirs_exist_ok=True)

    cut = ("--no-detect", "--min-size=1", "--min-spread=0", "--min-colour=0", "--min-sharpness=0",
           "--min-detail=-200", "--near=0", "--image-size=32")  # fmt: skip

    def prepare(workers: int) -> Callable[[Path], list[str]]:
        return lambda folder: [
            "prepare", str(many), f"--out={folder / 'out'}", *cut, f"--num-workers={workers}",
        ]  # fmt: skip

    def fix(folder: Path) -> list[str]:
        return ["doctor", str(many), f"--fix={folder / 'fix'}", "--num-workers=0", "--near=0",
                "--min-detail=-200", "--min-sharpness=0", "--min-colour=0",
                "--min-spread=0"]  # fmt: skip

    def draw(folder: Path) -> list[str]:
        return ["generate", f"--netg-path={net}", "--gen-num=300",
                f"--save-each={folder / 'each'}", f"--gen-img={folder / 'sheet.png'}",
                "--nogpu", "--vis=False", "--threads=1"]  # fmt: skip

    def decoded(folder: Path) -> dict[str, str]:
        images = open_set(many, image_size=32, num_workers=1, cache_dir=folder).images
        return {"images": hashlib.sha256(images.tobytes()).hexdigest()}

    return [
        Command("train", train, _of_training),
        Command("resume", train, _of_training, copy_half),
        Command("cache", lambda folder: ["decode", str(many), str(folder)], decoded),
        Command("prepare", prepare(0), _folders),
        Command("prepare with a worker", prepare(1), _folders),
        Command("doctor --fix", fix, lambda folder: hashes(folder / "fix")),
        Command("generate --save-each", draw, hashes),
    ]
