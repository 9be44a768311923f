"""`download`: the public sets that users mean, as a folder of pictures to train on."""

import importlib
import os
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image
from tqdm import tqdm

from animegan.errors import UsageError, refuse
from animegan.fetch import fetch, sha256
from animegan.prepare.pictures import looks_like_picture
from animegan.prepare.publish import class_folder
from animegan.prepare.sources import DamagedMember, is_archive, walk

Say = Callable[[str], None]
UNKNOWN = "unknown"


@dataclass(frozen=True)
class About:
    """What is told before anything is fetched."""

    title: str
    source: str
    size: str
    licence: str
    checksum: str = UNKNOWN  # only what the publisher or the library gives

    def lines(self) -> list[str]:
        """The same as text."""
        return [
            self.title,
            f"  source:   {self.source}",
            f"  size:     {self.size}",
            f"  licence:  {self.licence}",
            f"  checksum: {self.checksum}",
        ]


_FACES_REPO, _FACES_FILE = "huggan/anime-faces", "data.zip"
_FACES_REVISION = "67ebcf8c69b45feb3883d695f04227078a6c9da9"
_FACES_SHA256 = "b50c3f2e1bbad0d119f8c5748a0d01138cb56152fb8997ce5c8b139129bf3c23"
_LSUN_URL = "http://dl.yf.io/lsun/scenes/bedroom_train_lmdb.zip"

SETS = {
    "anime-faces": About(
        "Anime faces of 64 px, cut from getchu.com",
        f"Hugging Face hub, dataset {_FACES_REPO}, {_FACES_FILE} at {_FACES_REVISION[:8]}",
        "462,126,466 bytes",
        "CC0 1.0, as its card says; who drew the faces was not asked",
        f"SHA-256 {_FACES_SHA256} (the hub's)",
    ),
    "mnist": About(
        "MNIST, 60,000 handwritten digits of 28 px, grey",
        "http://yann.lecun.com/exdb/mnist and its mirror at PyTorch, through torchvision",
        "11,594,722 bytes",
        "none named by the publisher; often given as CC BY-SA 3.0",
        "MD5 of each file (torchvision's)",
    ),
    "cifar10": About(
        "CIFAR-10, 50,000 photos of 32 px in ten classes",
        "https://www.cs.toronto.edu/~kriz/cifar.html, through torchvision",
        "170,498,071 bytes",
        "none named by the publisher",
        "MD5 (torchvision's)",
    ),
    "lsun-bedroom": About(
        "LSUN bedrooms, 3,033,042 photos whose short side is 256 px",
        _LSUN_URL,
        "about 43 GB, twice that while it is unpacked",
        "none named by the publisher; made for research",
    ),
    "archive": About(
        "Pictures of a zip or tar archive, or of an LSUN lmdb, that you have (Kaggle, the book's)",
        "--archive",
        "its own",
        "the publisher's; look it up where you got it",
    ),
}
NAMES = (*SETS, "hf:OWNER/NAME")


@dataclass(frozen=True)
class Options:
    """Everything that `download` can be told; names are those of the flags."""

    name: str
    out: str | None = None  # None: data/NAME
    archive: str | None = None  # a copy that lies on this machine
    limit: int | None = None  # at most so many pictures
    dry_run: bool = False  # only tell about the set

    @property
    def folder(self) -> Path:
        """Where the pictures go."""
        if self.out is not None:
            return Path(self.out)
        return Path("data") / class_folder(self.name.removeprefix("hf:").replace("/", "-"))


def download(options: Options, say: Say) -> int:
    """Tell what the set is, bring it, write its pictures; how many lie there then.

    Pictures that are there already are not written again, and a broken-off transfer is gone on
    with. Raises UsageError for a name that is unknown, a missing library, or no network.
    """
    _check(options)
    out = options.folder
    raw = out / ".download"  # a dot: train does not look there
    if options.name.startswith("hf:"):
        about, files = _ask_hub(options.name[3:])
    else:
        about, files = SETS[options.name], [_FACES_FILE]
    for line in about.lines():
        say(line)
    say(f"  goes to:  {out}")
    if options.dry_run:
        return 0
    writer = _Writer(out, options.limit)
    archive = Path(options.archive) if options.archive is not None else None
    if options.name in ("mnist", "cifar10"):
        _write_torchvision(options.name, archive or raw, archive is None, writer)
    elif options.name == "lsun-bedroom":
        source = archive or fetch([_LSUN_URL], raw / Path(_LSUN_URL).name)
        _write_lmdb(_lmdb_folder(source, raw), writer)
    elif archive is not None and _is_lmdb(archive):
        _write_lmdb(archive, writer)
    elif archive is not None:
        _write_archive(archive, writer, say)
    elif options.name == "anime-faces":
        _from_hub(_FACES_REPO, _FACES_REVISION, files, raw)
        _must_match(raw / _FACES_FILE, _FACES_SHA256)
        _write_archive(raw / _FACES_FILE, writer, say)
    else:
        _from_hub(options.name[3:], None, files, raw)
        _write_archive(raw, writer, say)
    say(f"{writer.count:,} pictures in {out}, {writer.new:,} of them new")
    say(f"next: python main.py doctor {out}")
    return writer.count


def _check(options: Options) -> None:
    problems = []
    known = options.name in SETS or re.fullmatch(r"hf:[\w.-]+/[\w.-]+", options.name)
    if not known:
        problems.append(f"NAME {options.name}: not known; take one of {', '.join(NAMES)}")
    if options.name == "archive" and options.archive is None:
        problems.append("--archive: missing; name the zip or tar archive that you have")
    if options.archive is not None and not Path(options.archive).exists():
        problems.append(f"--archive {options.archive}: there is no such file or folder")
    if options.limit is not None and options.limit < 1:
        problems.append(f"--limit {options.limit}: takes a whole number of at least 1")
    if options.folder.exists() and not options.folder.is_dir():
        problems.append(f"--out {options.folder}: is a file; name a folder")
    refuse(problems)


class _Writer:
    """Writes pictures below a folder, each aside first; counts them; knows when it is enough."""

    def __init__(self, out: Path, limit: int | None) -> None:
        self.out, self.limit = out, limit
        self.count = self.new = 0

    @property
    def full(self) -> bool:
        return self.limit is not None and self.count >= self.limit

    def has(self, name: str) -> bool:
        """Whether the picture lies there from an earlier call; it counts then."""
        found = (self.out / name).exists()
        self.count += found
        return found

    def write(self, name: str, content: bytes | Image.Image) -> None:
        """Write a file's bytes, or a picture as PNG. Once for each name that `has` denies."""
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        if isinstance(content, bytes):
            aside.write_bytes(content)
        else:
            content.save(aside, format="PNG")
        os.replace(aside, path)
        self.count += 1
        self.new += 1


# ---------------------------------------------------------------------------------------------
# where sets come from


def _ask_hub(repo: str) -> tuple[About, list[str]]:
    """What the hub tells of a dataset, and those of its files that hold pictures."""
    hub = _library("huggingface_hub", 'pip install -e ".[download]"')
    try:
        info = hub.HfApi().dataset_info(repo, files_metadata=True)
    except Exception as error:  # the library has a dozen kinds, httpx its own
        raise UsageError(f"NAME hf:{repo}: the hub does not tell of it ({_line(error)})") from error
    suffixes = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
    files = [
        file for file in info.siblings or ()
        if is_archive(file.rfilename) or file.rfilename.lower().endswith(suffixes)
    ]  # fmt: skip
    if not files:
        others = Counter(PurePosixPath(f.rfilename).suffix for f in info.siblings or ())
        raise UsageError(
            f"NAME hf:{repo}: neither archives nor pictures in it, only "
            f"{', '.join(f'{n} {kind}' for kind, n in others.most_common(3))}; take another"
        )
    size = sum(file.size or 0 for file in files)
    card = info.card_data
    licence = (card.get("license") if card is not None else None) or UNKNOWN
    about = About(
        f"{repo}, {len(files):,} files with pictures", f"Hugging Face hub, dataset {repo}",
        f"{size:,} bytes", str(licence), "SHA-256 of large files (checked by the hub's library)",
    )  # fmt: skip
    return about, [file.rfilename for file in files]


def _from_hub(repo: str, revision: str | None, files: list[str], raw: Path) -> None:
    hub = _library("huggingface_hub", 'pip install -e ".[download]"')
    try:
        for name in files:
            hub.hf_hub_download(
                repo, name, repo_type="dataset", revision=revision, local_dir=str(raw)
            )
    except Exception as error:  # the library has a dozen kinds, httpx its own
        raise UsageError(
            f"download: {repo} did not come ({_line(error)}); call again to go on, or fetch it "
            "elsewhere and name it with --archive"
        ) from error


def _must_match(path: Path, expected: str) -> None:
    found = sha256(path)
    if found != expected:
        raise UsageError(
            f"download: {path} has SHA-256 {found}, the publisher gives {expected}; delete it and "
            "call again"
        )


def _write_torchvision(name: str, root: Path, may_fetch: bool, writer: _Writer) -> None:
    """MNIST or CIFAR-10 as PNG files in one folder a class."""
    datasets = _library("torchvision.datasets", "pip install torchvision")
    kind = datasets.MNIST if name == "mnist" else datasets.CIFAR10
    if may_fetch and name == "mnist":
        for file, _ in kind.resources:
            fetch([mirror + file for mirror in kind.mirrors], root / "MNIST" / "raw" / file)
    elif may_fetch:
        fetch([kind.url], root / kind.filename)
    try:
        pictures = kind(str(root), train=True, download=may_fetch)
    except (RuntimeError, OSError) as error:
        raise UsageError(
            f"download: torchvision does not take what lies in {root} ({_line(error)}); delete it "
            "and call again"
        ) from error
    names = [class_folder(label.split(" - ")[0]) for label in pictures.classes]
    for index in tqdm(range(len(pictures)), unit="picture", desc=name):
        if writer.full:
            return
        picture, label = pictures[index]
        path = f"{names[int(label)]}/{index:05d}.png"
        if not writer.has(path):
            writer.write(path, picture)


def _write_archive(source: Path, writer: _Writer, say: Say) -> None:
    """The pictures of an archive, or of a folder of archives and pictures, as they are."""
    if not source.is_dir() and not is_archive(source.name):
        raise UsageError(f"--archive {source}: takes a zip or tar archive, a folder or an lmdb")
    left: Counter[str] = Counter()
    for entry in tqdm(walk(source), unit="file", desc=source.name):
        if writer.full:
            break
        if entry.problem is not None:
            left[": ".join(entry.problem)] += 1
            continue
        path = "/".join(class_folder(part) for part in re.split(r"!?/", entry.key) if part)
        if writer.has(path):
            continue
        try:
            content = entry.read() if entry.read is not None else _bytes(entry.path)
        except DamagedMember as error:
            left[f"broken: {error}"] += 1
            continue
        writer.write(path, content)
    for reason, times in left.most_common():
        say(f"left out, {reason}: {times:,}")


def _is_lmdb(path: Path) -> bool:
    return (path / "data.mdb").is_file() or path.name == "data.mdb"


def _lmdb_folder(source: Path, raw: Path) -> Path:
    """The folder with `data.mdb`, taken out of a zip if need be (nothing else of it is)."""
    if _is_lmdb(source):
        return source if source.is_dir() else source.parent
    if not zipfile.is_zipfile(source):
        raise UsageError(f"--archive {source}: takes LSUN's zip or the lmdb folder inside it")
    target = raw / "lmdb" / "data.mdb"
    with zipfile.ZipFile(source) as opened:
        found = next((i for i in opened.infolist() if i.filename.endswith("data.mdb")), None)
        if found is None:
            raise UsageError(f"--archive {source}: no lmdb (data.mdb) in it")
        if not target.exists() or target.stat().st_size != found.file_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            if found.file_size > shutil.disk_usage(target.parent).free:
                raise UsageError(f"download: unpacking needs {found.file_size:,} bytes free")
            with opened.open(found) as packed, open(target, "wb") as file:
                shutil.copyfileobj(packed, file, 2**20)
    return target.parent


def _write_lmdb(folder: Path, writer: _Writer) -> None:
    """Each value of an lmdb is one encoded picture; its key names the file."""
    lmdb = _library("lmdb", 'pip install -e ".[download]"')
    try:
        database = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_readers=1)
    except lmdb.Error as error:
        raise UsageError(f"--archive {folder}: no readable lmdb ({_line(error)})") from error
    with database, database.begin(buffers=False) as transaction:
        total = transaction.stat()["entries"]
        for key, value in tqdm(transaction.cursor(), total=total, unit="picture", desc="lmdb"):
            if writer.full:
                return
            if not looks_like_picture(value[:32]):
                continue
            name = re.sub(rb"[^0-9A-Za-z_-]", b"_", key).decode("ascii")
            path = f"bedroom/{name[:2]}/{name}{_suffix(value)}"
            if not writer.has(path):
                writer.write(path, value)


def _suffix(value: bytes) -> str:
    if value.startswith(b"RIFF"):
        return ".webp"
    return ".png" if value.startswith(b"\x89PNG") else ".jpg"


def _bytes(path: Path | None) -> bytes:
    assert path is not None
    return path.read_bytes()


def _library(name: str, how: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"download: it needs {name} ({error}); {how}") from error


def _line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
