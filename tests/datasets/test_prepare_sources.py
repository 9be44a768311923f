"""Folders and archives as entries: order, links, names that lead out, bombs, damage."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from animegan.datasets import archives
from animegan.datasets.archives import DamagedMember, Entry, is_unsafe
from animegan.datasets.sources import count, walk
from tests.support.piles import art


def png(seed: int = 0) -> bytes:
    file = io.BytesIO()
    art(seed, 32).save(file, "PNG")
    return file.getvalue()


def make_zip(path: Path, members: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", options.get("compression", zipfile.ZIP_STORED)) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def keys(entries: list[Entry]) -> list[str]:
    return [entry.key for entry in entries]


def problems(entries: list[Entry]) -> dict[str, str]:
    return {entry.key: ": ".join(entry.problem) for entry in entries if entry.problem}


def test_walks_nested_folders_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/deep/er/1.PNG", "c.jpg", ".hidden/x.png", "a/.dot.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png())
    entries = list(walk(tmp_path))
    assert keys(entries) == ["a/deep/er/1.PNG", "b/2.png", "c.jpg"]
    assert [entry.folder for entry in entries] == ["a", "b", ""]
    assert not problems(entries)
    assert count(tmp_path) == 3


def test_files_without_a_known_suffix_are_judged_by_their_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "sample_0a1b").write_bytes(png())
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    assert problems(list(walk(tmp_path))) == {
        "notes.txt": "other file: not a picture",
        "x.rar": "other file: an unsupported archive; unpack it",
    }


def test_links_pipes_and_locked_folders(tmp_path: Path) -> None:
    source = tmp_path / "src"
    (source / "in").mkdir(parents=True)
    (source / "in" / "1.png").write_bytes(png())
    (source / "gone.png").symlink_to(tmp_path / "nowhere")
    (source / "in" / "loop").symlink_to(source)
    (source / "twin").symlink_to(source / "in")
    os.mkfifo(source / "pipe.png")
    entries = list(walk(source))
    assert keys(entries) == ["gone.png", "in/1.png", "pipe.png", "twin/1.png"]
    assert problems(entries) == {
        "gone.png": "broken: dangling link",
        "pipe.png": "other file: not a regular file",
    }


def test_never_goes_into_the_output(tmp_path: Path) -> None:
    source, out = tmp_path / "src", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    (out / "1.png").write_bytes(png())
    (source / "linked").symlink_to(out)
    assert list(walk(source, without=out)) == []


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_reads_tars_without_unpacking(tmp_path: Path, mode: str) -> None:
    suffix = {"w": ".tar", "w:gz": ".tgz", "w:bz2": ".tar.bz2", "w:xz": ".tar.xz"}[mode]
    make_tar(tmp_path / f"miku{suffix}", {"a/1.png": png(1), "2.png": png(2), "t.txt": b"x"}, mode)
    entries = []
    contents = []
    for entry in walk(tmp_path):
        entries.append(entry)
        if entry.read is not None and entry.problem is None:
            contents.append(entry.read())
    assert keys(entries) == [f"miku{suffix}!/{name}" for name in ("a/1.png", "2.png", "t.txt")]
    assert contents == [png(1), png(2)]
    assert {entry.folder for entry in entries} == {"miku"}
    assert count(tmp_path) is None  # not known without reading it through


def test_reads_zips_without_unpacking(tmp_path: Path) -> None:
    (tmp_path / "chars").mkdir()
    make_zip(tmp_path / "chars" / "x.cbz", {"p/1.png": png(1), "__MACOSX/._1.png": b"junk"})
    entries = list(walk(tmp_path))
    assert keys(entries) == ["chars/x.cbz!/p/1.png"]
    assert entries[0].folder == "chars"
    assert count(tmp_path) == 2


def test_an_archive_can_be_the_source(tmp_path: Path) -> None:
    entries = list(walk(make_zip(tmp_path / "x.zip", {"miku/1.png": png(), "2.png": png()})))
    assert keys(entries) == ["miku/1.png", "2.png"]
    assert [entry.folder for entry in entries] == ["miku", ""]


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/etc/x.png", "C:\\x.png", "a\\..\\..\\x.png", "\\\\s\\x"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    assert is_unsafe(name)
    for archive in (make_tar(tmp_path / "x.tgz", {name: png()}),):
        (entry,) = walk(archive)
        assert entry.problem is not None
        assert entry.problem[0] == "refused"
    if "\\" not in name:
        (entry,) = walk(make_zip(tmp_path / "x.zip", {name: png()}))
        assert entry.problem is not None
        assert entry.problem[0] == "refused"


@pytest.mark.parametrize("name", ["a/b.png", "a..b.png", "...", "ünï/日本.png"])
def test_ordinary_names_are_not(name: str) -> None:
    assert not is_unsafe(name)


def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        for name, kind in (("l.png", tarfile.SYMTYPE), ("h.png", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
        device = tarfile.TarInfo("d.png")
        device.type = tarfile.CHRTYPE
        file.addfile(device)
    assert set(problems(list(walk(tmp_path / "x.tar"))).values()) == {"refused: a link or device"}


def test_a_member_over_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1000)
    archive = make_zip(tmp_path / "x.zip", {"big.png": b"\0" * 1001, "ok.png": b"\0" * 1000})
    told = problems(list(walk(archive)))
    assert list(told) == ["big.png"]
    assert told["big.png"].startswith("refused: unpacks to more than")


def test_a_member_that_lies_about_its_size_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1000)
    monkeypatch.setattr(archives, "_member_problem", lambda name, size: None)
    (entry,) = walk(make_tar(tmp_path / "x.tgz", {"big.png": b"\0" * 5000}))
    assert entry.read is not None
    with pytest.raises(DamagedMember):  # the stream is closed by now, or the limit met
        entry.read()
    for entry in walk(make_zip(tmp_path / "x.zip", {"big.png": b"\0" * 5000})):
        assert entry.read is not None
        with pytest.raises(DamagedMember, match="unpacks to more"):
            entry.read()


def test_a_bomb_is_stopped_by_what_it_unpacks_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_FREE_BYTES", 100_000)
    monkeypatch.setattr(archives, "MAX_GROWTH", 2)
    members = {f"{i:02}.png": b"\0" * 50_000 for i in range(50)}
    archive = make_zip(tmp_path / "x.zip", members, compression=zipfile.ZIP_DEFLATED)
    entries = list(walk(archive))
    assert 2 <= len(entries) < 10
    assert "the rest is skipped" in problems(entries)[entries[-1].key]


def test_too_many_members_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    entries = list(walk(make_zip(tmp_path / "x.zip", {f"{i}.png": png() for i in range(9)})))
    assert len(entries) == 4
    assert "more than 3 members" in problems(entries)["3.png"]


def test_an_archive_in_an_archive_is_named(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "in.zip", {"1.png": png()}).read_bytes()
    (entry,) = walk(make_zip(tmp_path / "x.zip", {"in.zip": inner}))
    assert entry.problem is not None
    assert "an archive inside an archive" in entry.problem[1]


def test_a_name_that_occurs_twice_counts_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("1.png", png(1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("1.png", png(2))
    first, second = walk(tmp_path / "x.zip")
    assert first.problem == ("refused", "duplicate name in the archive")
    assert second.problem is None


def test_damaged_archives_do_not_stop_the_walk(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 nothing of the kind")
    whole = make_tar(tmp_path / "b.tgz", {f"{i}.png": os.urandom(20_000) for i in range(9)})
    whole.write_bytes(whole.read_bytes()[:60_000])
    (tmp_path / "c.png").write_bytes(png())
    entries = list(walk(tmp_path))
    assert entries[0].problem is not None
    assert entries[0].problem[1].startswith("archive:")
    assert entries[-1].key == "c.png"
    assert any(entry.key == "b.tgz" and entry.problem for entry in entries)


def test_a_damaged_member_is_told_when_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"1.png": png()})
    data = bytearray(path.read_bytes())
    data[60] ^= 255
    path.write_bytes(data)
    for entry in walk(path):
        assert entry.read is not None
        with pytest.raises(DamagedMember, match="CRC"):
            entry.read()


def test_without_archives_they_are_other_files(tmp_path: Path) -> None:
    make_zip(tmp_path / "x.zip", {"1.png": png()})
    (entry,) = walk(tmp_path, archives=False)
    assert entry.problem is not None
    assert entry.problem[0] == "other file"


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_packed_tar_is_called_damaged_if_its_checksum_is_wrong(tmp_path: Path, mode: str) -> None:
    suffix = {"w:gz": ".tgz", "w:bz2": ".tar.bz2", "w:xz": ".tar.xz"}[mode]
    path = make_tar(tmp_path / f"a{suffix}", {"1.png": png(1)}, mode)
    assert not problems(list(walk(path)))
    content = bytearray(path.read_bytes())
    content[-6 if mode == "w:gz" else -20] ^= 1
    path.write_bytes(content)
    assert problems(list(walk(path)))[path.name].startswith("broken: archive:")
