"""download from small archives and an lmdb that the tests make; the hub stood in for."""

import gzip
import hashlib
import io
import pickle
import shlex
import struct
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animegan.core.errors import UsageError
from animegan.data.folder import find_pictures
from animegan.data.formats import format_of_suffix
from animegan.datasets.download import sets as module
from animegan.datasets.download.sets import NAMES, SETS, UNKNOWN, Options, download
from tests.support.piles import art, save_all
from tests.support.said import heard


def encoded(seed: int, format_name: str = "PNG") -> bytes:
    file = io.BytesIO()
    art(seed, 32).save(file, format_name)
    return file.getvalue()


def files(out: Path) -> list[str]:
    return sorted(
        path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_file() and ".download" not in path.parts
    )


def run(name: str, out: Path, **more: Any) -> list[str]:
    said: list[str] = heard()
    download(Options(name, str(out), **more))
    return said


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as file:
        for n in range(5):
            file.writestr(f"images/{n}.png", encoded(n))
        file.writestr("readme.txt", "hello")
        file.writestr("../../evil.png", encoded(9))
    return tmp_path / "faces.zip"


# ---------------------------------------------------------------------------------------------
# what is said first


@pytest.mark.parametrize("name", SETS)
def test_everything_is_told_before_anything_is_fetched(
    name: str, tmp_path: Path, archive: Path
) -> None:
    local = str(archive) if name == "archive" else None
    said = run(name, tmp_path / "out", dry_run=True, archive=local)
    text = "\n".join(said)
    for field in ("source:", "size:", "licence:", "checksum:", "output:"):
        assert field in text
    assert not (tmp_path / "out").exists()


def test_a_checksum_is_named_only_where_somebody_gives_one() -> None:
    assert SETS["lsun-bedroom"].checksum == UNKNOWN
    assert SETS["archive"].checksum == UNKNOWN


def test_unknown_names_and_wrong_options_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        run("danbooru", tmp_path, archive=str(tmp_path / "none.zip"))
    problems = caught.value.problems
    assert [p.split()[0] for p in problems] == ["NAME", "--archive"]
    assert all(name in problems[0] for name in NAMES)
    with pytest.raises(UsageError, match="--archive: missing"):
        run("archive", tmp_path)
    with pytest.raises(UsageError, match=r"NAME hf:\.\./x"):
        run("hf:../x", tmp_path)


def test_out_is_named_after_the_set_if_left_out() -> None:
    assert Options("mnist").folder == Path("data/mnist")
    assert Options("hf:who/what").folder == Path("data/who-what")


# ---------------------------------------------------------------------------------------------
# archives


def test_an_archive_of_ones_own(tmp_path: Path, archive: Path) -> None:
    out = tmp_path / "a" / "b" / "out"
    said = run("archive", out, archive=str(archive))
    assert files(out) == [f"images/{n}.png" for n in range(5)]
    assert (out / "images/3.png").read_bytes() == encoded(3)
    assert any("refused: unsafe name" in line for line in said)
    assert not list(tmp_path.rglob("evil.png"))
    assert len(find_pictures(out).names) == 5


def test_is_gone_on_with(tmp_path: Path, archive: Path) -> None:
    out = tmp_path / "out"
    run("archive", out, archive=str(archive), limit=2)
    assert len(files(out)) == 2
    before = {name: (out / name).stat().st_mtime_ns for name in files(out)}
    said = run("archive", out, archive=str(archive))
    assert len(files(out)) == 5
    assert all((out / name).stat().st_mtime_ns == time for name, time in before.items())
    assert any("5 pictures" in line and "3 of them new" in line for line in said)


def test_the_books_tar(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "data.tgz", "w:gz") as file:
        info = tarfile.TarInfo("faces/1.jpg")
        data = encoded(1, "JPEG")
        info.size = len(data)
        file.addfile(info, io.BytesIO(data))
    run("archive", tmp_path / "out", archive=str(tmp_path / "data.tgz"))
    assert files(tmp_path / "out") == ["faces/1.jpg"]


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.rar").touch()
    with pytest.raises(UsageError, match="must be a zip or tar"):
        run("archive", tmp_path / "out", archive=str(tmp_path / "x.rar"))


def test_an_archive_without_pictures_is_refused(tmp_path: Path, archive: Path) -> None:
    cut, other, empty = (tmp_path / name for name in ("cut.zip", "other.zip", "empty.zip"))
    cut.write_bytes(archive.read_bytes()[:-40])
    other.write_text("no archive")
    with zipfile.ZipFile(empty, "w") as file:
        file.writestr("readme.txt", "hello")
    for path, why in ((cut, "not a zip"), (other, "not a zip"), (empty, "not a picture")):
        with pytest.raises(UsageError) as caught:
            run("archive", tmp_path / "out", archive=str(path))
        (problem,) = caught.value.problems
        assert problem.startswith(f"--archive {path}: no pictures found in it (")
        assert why in problem
    assert not (tmp_path / "out").exists()


def test_an_archive_cut_short_gives_what_is_left_of_it(tmp_path: Path) -> None:
    save_all(tmp_path / "in", {f"{n}.png": art(n, 100) for n in range(4)})
    with tarfile.open(tmp_path / "whole.tar", "w") as file:
        file.add(tmp_path / "in", "x")
    whole = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    said = run("archive", tmp_path / "out", archive=str(tmp_path / "cut.tar"))
    assert 0 < len(files(tmp_path / "out")) < 4
    assert any(line.startswith("skipped, broken: ") for line in said)


def test_a_folder_is_not_copied_into_itself(tmp_path: Path) -> None:
    source = save_all(tmp_path / "set", {"in/a.png": art(1)})
    for out in (source, source / "sub", tmp_path):
        with pytest.raises(UsageError, match=f"^--out {out}: .* --archive.*; use another"):
            run("archive", out, archive=str(source))
    assert sorted(path.name for path in source.rglob("*")) == ["a.png", "in"]


def test_the_command_to_run_next_can_be_pasted(tmp_path: Path, archive: Path) -> None:
    out = tmp_path / "my set"
    said = run("archive", out, archive=str(archive))
    assert shlex.split(said[-1])[-2:] == ["doctor", str(out)]


# ---------------------------------------------------------------------------------------------
# the hub


class Hub:
    """Stands in for huggingface_hub: a repository with these files."""

    def __init__(self, content: dict[str, bytes], licence: str | None = "cc0-1.0") -> None:
        self.content, self.licence = content, licence
        self.asked: list[tuple[str, str | None]] = []
        self.offline = False

    def HfApi(self) -> "Hub":  # noqa: N802
        return self

    def dataset_info(self, repo: str, files_metadata: bool) -> SimpleNamespace:
        if self.offline:
            raise ConnectionError("no route to host\nmore")
        siblings = [
            SimpleNamespace(rfilename=name, size=len(data)) for name, data in self.content.items()
        ]
        return SimpleNamespace(siblings=siblings, card_data={"license": self.licence})

    def hf_hub_download(
        self, repo: str, name: str, repo_type: str, revision: str | None, local_dir: str
    ) -> str:
        if self.offline:
            raise ConnectionError("no route to host")
        assert repo_type == "dataset"
        self.asked.append((name, revision))
        path = Path(local_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content[name])
        return str(path)


def stand_in(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Hub:
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_anime_faces_are_checked_against_the_hubs_checksum(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = stand_in(monkeypatch, Hub({"data.zip": archive.read_bytes()}))
    with pytest.raises(UsageError, match="the publisher gives"):
        run("anime-faces", tmp_path / "out")
    assert files(tmp_path / "out") == []
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "_FACES_SHA256", digest)
    run("anime-faces", tmp_path / "out")
    assert len(files(tmp_path / "out")) == 5
    assert hub.asked[0][0] == "data.zip"
    assert hub.asked[0][1] is not None  # one revision, not whatever is newest


def test_any_dataset_of_the_hub_that_has_pictures(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"a.zip": archive.read_bytes(), "extra/x.png": encoded(77), "README.md": b"#"}
    stand_in(monkeypatch, Hub(content, licence=None))
    said = run("hf:who/what", tmp_path / "out")
    size = len(content["a.zip"]) + len(content["extra/x.png"])
    assert f"  size:     {size:,} bytes" in said
    assert f"  licence:  {UNKNOWN}" in said
    assert len(files(tmp_path / "out")) == 6


def test_a_dataset_of_any_pictures_that_training_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = stand_in(monkeypatch, Hub({f"x{suffix}": b"" for suffix in format_of_suffix()}))
    hub.content["Y.TIF"] = hub.content["README.md"] = b""
    said = run("hf:who/what", tmp_path / "out")
    assert f"who/what, {len(format_of_suffix()) + 1} files with pictures" in said
    assert len(files(tmp_path / "out")) == len(format_of_suffix()) + 1


def test_a_dataset_without_pictures_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, Hub({"data/train.parquet": b"", "README.md": b""}))
    with pytest.raises(UsageError, match=r"1 \.parquet"):
        run("hf:who/what", tmp_path / "out")


def test_without_network_the_way_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, Hub({})).offline = True
    with pytest.raises(UsageError, match=r"no route to host.*--archive"):
        run("anime-faces", tmp_path / "out")
    with pytest.raises(UsageError, match="cannot be found on the hub"):
        run("hf:who/what", tmp_path / "out")


def test_without_the_library_the_pip_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"^download: needs huggingface_hub.*extra 'download'"):
        run("anime-faces", tmp_path / "out")


# ---------------------------------------------------------------------------------------------
# torchvision's sets, through torchvision's own readers


def idx(array: "np.ndarray[Any, np.dtype[np.uint8]]") -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes())


def test_mnist_from_files_like_the_publishers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 28, 28), np.uint8), np.arange(6, dtype=np.uint8) % 3
    raw = tmp_path / "out" / ".download" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    resources = []
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            name = f"{part}-{kind}-ubyte.gz"
            (raw / name).write_bytes(idx(array))
            resources.append((name, hashlib.md5((raw / name).read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    run("mnist", tmp_path / "out")
    listing = find_pictures(tmp_path / "out")
    assert listing.classes == ("0", "1", "2")
    assert len(listing.names) == 6
    with Image.open(tmp_path / "out" / "2" / "00005.png") as picture:
        assert np.array_equal(np.asarray(picture), images[5])
    (tmp_path / "a.zip").write_bytes(b"mine")
    with pytest.raises(
        UsageError, match=r"^--archive .*a\.zip: torchvision cannot read mnist"
    ) as caught:
        run("mnist", tmp_path / "out", archive=str(tmp_path / "a.zip"))
    assert "delete" not in str(caught.value)
    (raw / resources[0][0]).write_bytes(b"damaged")
    for unpacked in raw.glob("*ubyte"):
        unpacked.unlink()
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(UsageError, match="torchvision cannot read"):
        run("mnist", tmp_path / "out")


def test_cifar10_from_an_archive_like_the_publishers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3072), np.uint8)
    batch = pickle.dumps({"data": pixels, "labels": [1, 0]})
    meta = pickle.dumps({"label_names": ["airplane", "automobile"]})
    names = [name for name, _ in datasets.CIFAR10.train_list + datasets.CIFAR10.test_list]
    raw = tmp_path / "out" / ".download"
    raw.mkdir(parents=True)
    with tarfile.open(raw / datasets.CIFAR10.filename, "w:gz") as file:
        for name, data in [*((name, batch) for name in names), ("batches.meta", meta)]:
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))

    def md5(data: bytes) -> str:
        return hashlib.md5(data).hexdigest()

    kind = datasets.CIFAR10
    monkeypatch.setattr(kind, "tgz_md5", md5((raw / kind.filename).read_bytes()))
    monkeypatch.setattr(kind, "train_list", [[name, md5(batch)] for name, _ in kind.train_list])
    monkeypatch.setattr(kind, "test_list", [[name, md5(batch)] for name, _ in kind.test_list])
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": md5(meta)})
    run("cifar10", tmp_path / "out", limit=7)
    listing = find_pictures(tmp_path / "out")
    assert listing.classes == ("airplane", "automobile")
    assert len(listing.names) == 7
    with Image.open(tmp_path / "out" / "automobile" / "00000.png") as picture:
        assert np.array_equal(np.asarray(picture), pixels[0].reshape(3, 32, 32).transpose(1, 2, 0))


# ---------------------------------------------------------------------------------------------
# LSUN


@pytest.fixture
def lsun(tmp_path: Path) -> Path:
    lmdb = pytest.importorskip("lmdb")
    folder = tmp_path / "bedroom_train_lmdb"
    with lmdb.open(str(folder), map_size=2**22) as database, database.begin(write=True) as writing:
        for n in range(4):
            key = hashlib.sha1(str(n).encode()).hexdigest().encode()
            writing.put(key, encoded(n, "WEBP" if n else "JPEG"))
        writing.put(b"../../evil", encoded(8))
        writing.put(b"note", b"no picture")
    return folder


def test_lsun_from_its_lmdb(tmp_path: Path, lsun: Path) -> None:
    run("lsun-bedroom", tmp_path / "out", archive=str(lsun))
    names = files(tmp_path / "out")
    assert len(names) == 5
    assert {name.split("/")[0] for name in names} == {"bedroom"}
    assert sorted(Path(name).suffix for name in names) == [".jpg", ".png", *[".webp"] * 3]
    assert not list(tmp_path.rglob("evil*"))
    assert len(find_pictures(tmp_path / "out").names) == 5


def test_lsun_from_its_zip_and_gone_on_with(tmp_path: Path, lsun: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lsun.zip", "w") as file:
        file.write(lsun / "data.mdb", "bedroom_train_lmdb/data.mdb")
        file.writestr("../evil.mdb", b"x")
    run("lsun-bedroom", tmp_path / "out", archive=str(tmp_path / "lsun.zip"), limit=2)
    assert len(files(tmp_path / "out")) == 2
    said = run("lsun-bedroom", tmp_path / "out", archive=str(tmp_path / "lsun.zip"))
    assert any("3 of them new" in line for line in said)


@pytest.mark.parametrize("content", [b"nothing", b"\0" * 8192])
def test_an_lmdb_that_is_none_is_told(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("lmdb")
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(UsageError, match="not a readable lmdb"):
        run("lsun-bedroom", tmp_path / "out", archive=str(tmp_path))
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UsageError, match="must be LSUN's zip"):
        run("lsun-bedroom", tmp_path / "out", archive=str(tmp_path / "x.zip"))
