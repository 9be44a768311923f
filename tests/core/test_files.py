import errno
import os
from pathlib import Path

import pytest

from animegan.core import files


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("old")
    with files.aside(path) as half:
        half.write_text("new")
        assert path.read_text() == "old"
        assert half.parent == tmp_path  # the same disk: a move there is one step
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["one.txt"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "one.txt"
    path.write_text("old")

    def fail():
        with files.aside(path) as half:
            half.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["one.txt"]


def test_a_failed_write_names_the_file(tmp_path):
    path = tmp_path / "one.txt"

    def fill():
        with files.aside(path) as half:
            half.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as of a write: without a name

    with pytest.raises(OSError, match="No space") as caught:
        fill()
    assert caught.value.filename == str(path)


def test_a_failure_before_anything_is_written_is_told_as_it_is(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="gone"),
        files.aside(tmp_path / "gone" / "x") as half,
    ):
        half.write_text("")
    assert os.listdir(tmp_path) == []


def test_processes_do_not_write_into_each_others_files(tmp_path, monkeypatch):
    path = tmp_path / "one.txt"
    with files.aside(path) as mine:
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with files.aside(path) as theirs:
            assert mine != theirs
            theirs.write_text("theirs")
        mine.write_text("mine")
    assert path.read_text() == "mine"


def test_the_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "one.bin", []

    def fsync(descriptor):
        synced.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")).suffix, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with files.aside(path, sync=True) as half:
        half.write_bytes(b"x")
    assert synced[0] == (".tmp", False)
    assert synced[1][1]  # the folder, once the name is in it
    assert len(synced) == 2


def test_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep down" / "one.txt"
    files.write_text(path, "grüße 脸\n")
    assert path.read_text(encoding="utf-8") == "grüße 脸\n"

    def cut(self, text, **how):
        self.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", cut)
    with pytest.raises(OSError, match="No space"):
        files.write_text(path, "new")
    assert path.read_bytes().decode() == "grüße 脸\n"
    assert os.listdir(path.parent) == ["one.txt"]


def test_what_killed_writers_left_is_swept(tmp_path):
    with files.aside(tmp_path / "kept.png") as half:
        half.write_bytes(b"x")
    half.write_bytes(b"half")  # as if killed there
    (tmp_path / ".lock").touch()
    files.sweep(tmp_path)
    files.sweep(tmp_path / "no such folder")
    assert sorted(os.listdir(tmp_path)) == [".lock", "kept.png"]


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_a_folder_that_is_gone_is_told_by_the_name_of_the_file(tmp_path):
    path = tmp_path / "gone" / "file"
    with pytest.raises(FileNotFoundError) as caught, files.aside(path) as half:
        half.write_bytes(b"text")
    assert caught.value.filename == str(path)
