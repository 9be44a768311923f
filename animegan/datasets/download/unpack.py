"""Unpack public data sets into image files: torchvision's, archives, an lmdb."""

import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from animegan.core.errors import UsageError, reason
from animegan.core.files import aside
from animegan.core.optional import require
from animegan.data.formats import HEAD, kind_of
from animegan.datasets.archives import DamagedMember, is_archive
from animegan.datasets.download.fetch import fetch
from animegan.datasets.filling import Filling
from animegan.datasets.sources import walk
from animegan.datasets.targets import Targets, portable


class Writer(Filling):
    """Fills a folder with a set's pictures, under portable names of which no two are the same."""

    def __init__(self, out: Path, limit: int | None) -> None:
        super().__init__(out, limit)
        self.targets = Targets()
        self.left: Counter[str] = Counter()  # files left out, by reason


def write_torchvision(name: str, root: Path, may_fetch: bool, writer: Writer) -> None:
    """Write MNIST or CIFAR-10 as PNG files, one folder per class.

    Raises UsageError if torchvision does not accept the files in `root`.
    """
    from torchvision import datasets

    kind = datasets.MNIST if name == "mnist" else datasets.CIFAR10
    if may_fetch and name == "mnist":
        for file, _ in kind.resources:
            fetch([mirror + file for mirror in kind.mirrors], root / "MNIST" / "raw" / file)
    elif may_fetch:
        fetch([kind.url], root / kind.filename)
    try:
        pictures = kind(str(root), train=True, download=may_fetch)
    except (RuntimeError, OSError) as error:
        if not may_fetch:
            raise UsageError(
                f"--archive {root}: torchvision cannot read {name} from it ({reason(error)}); "
                "give the folder that torchvision keeps the set in"
            ) from error
        raise UsageError(
            f"download: torchvision cannot read the files in {root} ({reason(error)}); "
            "delete them and try again"
        ) from error
    names = [portable(label.split(" - ")[0]) for label in pictures.classes]
    for index in tqdm(range(len(pictures)), unit="picture", desc=name):
        if writer.full:
            return
        picture, label = pictures[index]
        writer.write(f"{names[int(label)]}/{index:05d}.png", picture)


def write_archive(source: Path, writer: Writer) -> None:
    """Extract the pictures of an archive, or of a folder of archives and pictures, unchanged."""
    if not source.is_dir() and not is_archive(source.name):
        raise UsageError(f"--archive {source}: must be a zip or tar archive, a folder or an lmdb")
    for entry in tqdm(walk(source), unit="file", desc=source.name):
        if writer.full:
            break
        if entry.problem is not None:
            writer.left[": ".join(entry.problem)] += 1
            continue
        try:
            content = entry.read() if entry.read is not None else _bytes(entry.path)
        except (DamagedMember, OSError) as error:
            writer.left[f"broken: {reason(error)}"] += 1
            continue
        writer.write(writer.targets.place(entry.key.replace("!/", "/").strip("/")), content)


def is_lmdb(path: Path) -> bool:
    """Whether the path is an lmdb's folder, or the data.mdb in it."""
    return (path / "data.mdb").is_file() or path.name == "data.mdb"


def lmdb_folder(source: Path, raw: Path) -> Path:
    """Return the folder with data.mdb, extracting that file alone if `source` is a zip.

    Raises UsageError if there is no lmdb in `source`, or too little disk space.
    """
    if is_lmdb(source):
        return source if source.is_dir() else source.parent
    if not zipfile.is_zipfile(source):
        raise UsageError(f"--archive {source}: must be LSUN's zip or the lmdb folder inside it")
    target = raw / "lmdb" / "data.mdb"
    with zipfile.ZipFile(source) as opened:
        member = next((i for i in opened.infolist() if i.filename.endswith("data.mdb")), None)
        if member is None:
            raise UsageError(f"--archive {source}: contains no lmdb (data.mdb)")
        if not target.exists() or target.stat().st_size != member.file_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            if member.file_size > shutil.disk_usage(target.parent).free:
                raise UsageError(f"download: unpacking needs {member.file_size:,} free bytes")
            with opened.open(member) as packed, aside(target) as half, open(half, "wb") as file:
                shutil.copyfileobj(packed, file, 2**20)
    return target.parent


def write_lmdb(folder: Path, writer: Writer) -> None:
    """Write each value of an lmdb, an encoded picture, to a file named after its key."""
    lmdb = require("lmdb", "download")
    try:
        database = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_readers=1)
    except lmdb.Error as error:
        raise UsageError(f"--archive {folder}: not a readable lmdb ({reason(error)})") from error
    with database, database.begin(buffers=False) as transaction:
        total = transaction.stat()["entries"]
        for key, value in tqdm(transaction.cursor(), total=total, unit="picture", desc="lmdb"):
            if writer.full:
                return
            kind = kind_of(value[:HEAD])
            if kind is None:
                writer.left["other file: not a picture"] += 1
                continue
            name = re.sub(rb"[^0-9A-Za-z_-]", b"_", key).decode("ascii")
            suffix = {"JPEG": ".jpg", "JPEG2000": ".jp2"}.get(kind, f".{kind.lower()}")
            writer.write(writer.targets.place(f"bedroom/{name[:2]}/{name}{suffix}"), value)


def _bytes(path: Path | None) -> bytes:
    assert path is not None
    return path.read_bytes()
