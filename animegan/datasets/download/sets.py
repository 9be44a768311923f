"""`download`: public sets, as a folder of pictures to train on."""

import logging
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from animegan.core.errors import UsageError, reason, refuse
from animegan.core.files import sha256
from animegan.core.optional import require
from animegan.core.outputs import not_apart
from animegan.core.program import command_line
from animegan.data.formats import has_picture_suffix
from animegan.datasets.archives import is_archive
from animegan.datasets.download.fetch import fetch
from animegan.datasets.download.unpack import (
    Writer,
    is_lmdb,
    lmdb_folder,
    write_archive,
    write_lmdb,
    write_torchvision,
)
from animegan.datasets.targets import portable

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"


@dataclass(frozen=True)
class About:
    """The facts about a set, printed before anything is downloaded."""

    title: str
    source: str
    size: str
    licence: str
    checksum: str = UNKNOWN  # as given by the publisher or the library

    def lines(self) -> list[str]:
        """Return the lines to print."""
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
        "CC0 1.0 according to its card; the artists were not asked",
        f"SHA-256 {_FACES_SHA256} (the hub's)",
    ),
    "mnist": About(
        "MNIST, 60,000 handwritten digits of 28 px, grey",
        "http://yann.lecun.com/exdb/mnist and its mirror at PyTorch, through torchvision",
        "11,594,722 bytes",
        "none given by the publisher; often cited as CC BY-SA 3.0",
        "MD5 of each file (torchvision's)",
    ),
    "cifar10": About(
        "CIFAR-10, 50,000 photos of 32 px in ten classes",
        "https://www.cs.toronto.edu/~kriz/cifar.html, through torchvision",
        "170,498,071 bytes",
        "none given by the publisher",
        "MD5 (torchvision's)",
    ),
    "lsun-bedroom": About(
        "LSUN bedrooms, 3,033,042 photos with a short side of 256 px",
        _LSUN_URL,
        "about 43 GB, twice that while unpacking",
        "none given by the publisher; made for research",
    ),
    "archive": About(
        "Pictures from your own zip or tar archive or LSUN lmdb (Kaggle, the book's)",
        "--archive",
        "that of the archive",
        "the publisher's; check where you got it",
    ),
}
NAMES = (*SETS, "hf:OWNER/NAME")


@dataclass(frozen=True)
class Options:
    """The options of `download`, named like the flags."""

    name: str
    out: str | None = None  # None: data/NAME
    archive: str | None = None  # a local copy to read instead of downloading
    limit: int | None = None  # maximum number of pictures
    dry_run: bool = False  # only print the facts about the set

    @property
    def folder(self) -> Path:
        """The folder that the pictures are written to."""
        if self.out is not None:
            return Path(self.out)
        return Path("data") / portable(self.name.removeprefix("hf:").replace("/", "-"))


def download(options: Options) -> int:
    """Print the facts about a set, download it and write its pictures; return their number.

    Existing pictures are not written again, and an interrupted download is resumed. Raises
    UsageError for an unknown name, a missing library, a failed download or a set without pictures.
    """
    _check(options)
    out = options.folder
    raw = out / ".download"  # hidden, so that train ignores it
    if options.name.startswith("hf:"):
        about, files = _ask_hub(options.name[3:])
    else:
        about, files = SETS[options.name], [_FACES_FILE]
    for line in about.lines():
        logger.info(line)
    logger.info(f"  output:   {out}")
    if options.dry_run:
        return 0
    writer = Writer(out, options.limit)
    archive = Path(options.archive) if options.archive is not None else None
    if options.name in ("mnist", "cifar10"):
        write_torchvision(options.name, archive or raw, archive is None, writer)
    elif options.name == "lsun-bedroom":
        source = archive or fetch([_LSUN_URL], raw / Path(_LSUN_URL).name)
        write_lmdb(lmdb_folder(source, raw), writer)
    elif archive is not None and is_lmdb(archive):
        write_lmdb(archive, writer)
    elif archive is not None:
        write_archive(archive, writer)
    elif options.name == "anime-faces":
        _from_hub(_FACES_REPO, _FACES_REVISION, files, raw)
        _must_match(raw / _FACES_FILE, _FACES_SHA256)
        write_archive(raw / _FACES_FILE, writer)
    else:
        _from_hub(options.name[3:], None, files, raw)
        write_archive(raw, writer)
    if not writer.count:
        raise UsageError(_nothing(options, writer))
    for why, times in writer.left.most_common():
        logger.info(f"skipped, {why}: {times:,}")
    if words := writer.targets.words():
        logger.info(words)
    if writer.beside:
        logger.info(
            f"{len(writer.beside):,} names were taken by files with other content, which stay as "
            f"they are, such as {writer.beside[0]}; the pictures are beside them"
        )
    logger.info(f"{writer.count:,} pictures in {out}, {writer.new:,} of them new")
    logger.info(f"next: {command_line('doctor', out)}")
    return writer.count


def _check(options: Options) -> None:
    problems = []
    known = options.name in SETS or re.fullmatch(r"hf:[\w.-]+/[\w.-]+", options.name)
    if not known:
        problems.append(f"NAME {options.name}: unknown set; use one of {', '.join(NAMES)}")
    if options.name == "archive" and options.archive is None:
        problems.append("--archive: missing; give the path of your zip or tar archive")
    if options.archive is not None and not Path(options.archive).exists():
        problems.append(f"--archive {options.archive}: no such file or folder")
    if options.folder.exists() and not options.folder.is_dir():
        problems.append(f"--out {options.folder}: is a file; give a folder")
    if options.archive is not None and options.name not in ("mnist", "cifar10", "lsun-bedroom"):
        archive = Path(options.archive)
        if archive.exists() and not archive.is_dir() and not archive.is_file():
            problems.append(f"--archive {archive}: is neither a file nor a folder; give an archive")
        if archive.is_dir() and not is_lmdb(archive):
            problems += not_apart("--out", options.folder, "--archive", archive)
    refuse(problems)
    if options.name == "lsun-bedroom" or (options.archive and is_lmdb(Path(options.archive))):
        require("lmdb", "download")
    elif options.name.startswith("hf:") or (options.name == "anime-faces" and not options.archive):
        require("huggingface_hub", "download")


def _nothing(options: Options, writer: Writer) -> str:
    """Return the problem of a set in which no picture was found."""
    reasons = "; ".join(f"{why} ({times:,})" for why, times in writer.left.most_common(3))
    fact = "no pictures found in it" + (f" ({reasons})" if reasons else "")
    if options.archive is None:
        return f"NAME {options.name}: {fact}; use another set"
    return f"--archive {options.archive}: {fact}; give an intact copy of the set"


def _ask_hub(repo: str) -> tuple[About, list[str]]:
    """Return the facts about a dataset on the hub, and those of its files that contain pictures."""
    hub = require("huggingface_hub", "download")
    try:
        info = hub.HfApi().dataset_info(repo, files_metadata=True)
    except Exception as error:  # the library has a dozen kinds, httpx its own
        raise UsageError(f"NAME hf:{repo}: cannot be found on the hub ({reason(error)})") from error
    files = [
        file for file in info.siblings or ()
        if is_archive(file.rfilename) or has_picture_suffix(file.rfilename)
    ]  # fmt: skip
    if not files:
        others = Counter(PurePosixPath(f.rfilename).suffix for f in info.siblings or ())
        raise UsageError(
            f"NAME hf:{repo}: contains neither archives nor pictures, only "
            f"{', '.join(f'{n} {kind}' for kind, n in others.most_common(3))}; use another set"
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
    hub = require("huggingface_hub", "download")
    try:
        for name in files:
            hub.hf_hub_download(
                repo, name, repo_type="dataset", revision=revision, local_dir=str(raw)
            )
    except Exception as error:  # the library has a dozen kinds, httpx its own
        raise UsageError(
            f"download: {repo} failed ({reason(error)}); run the command again to resume, "
            "or download it elsewhere and pass it with --archive"
        ) from error


def _must_match(path: Path, expected: str) -> None:
    digest = sha256(path)
    if digest != expected:
        raise UsageError(
            f"download: {path} has SHA-256 {digest}, but the publisher gives {expected}; delete it "
            "and run the command again"
        )
