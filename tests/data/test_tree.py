"""A folder is walked to its end, whatever links and depths are in it."""

import os
import socket
from pathlib import Path

import pytest

from animegan.core.errors import UsageError
from animegan.data.folder import find_pictures, scan
from animegan.data.tree import is_left_out, walk_tree


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX",
     ".Trash-1000", "FOUND.000", "$recycle.bin"],
)  # fmt: skip
def test_the_systems_own_folders_are_no_classes(tmp_path: Path, name: str) -> None:
    assert is_left_out(name)
    touch(tmp_path, "1.png", f"{name}/2.png", f"red/{name}/3.png")
    assert scan(tmp_path).pictures == ["1.png"]


def test_other_odd_names_are_classes() -> None:
    assert not any(is_left_out(name) for name in ("@artist", "lost", "trash", "$", "found"))


def test_many_links_between_folders_end(tmp_path: Path) -> None:
    for k in range(12):  # 12! ways through them
        touch(tmp_path, f"all/{k}/{k}.png")
    for k in range(12):
        for other in range(12):
            (tmp_path / f"all/{k}/to{other}").symlink_to(tmp_path / f"all/{other}")
    assert len(scan(tmp_path).pictures) == 12


def test_1500_folders_in_each_other(tmp_path: Path) -> None:
    folders = [str(tmp_path)]
    for _ in range(1500):
        folders.append(folders[-1] + "/d")
        os.mkdir(folders[-1])
    picture = Path(folders[-1] + "/1.png")
    picture.touch()
    try:
        assert len(find_pictures(tmp_path).names) == 1
    finally:
        picture.unlink()
        for folder in reversed(folders[1:]):
            os.rmdir(folder)


def test_what_is_no_file_is_counted_and_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "1.png", "notes.txt", "more.txt")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        contents = scan(tmp_path)
    assert contents.pictures == ["1.png"]
    assert contents.left_out == {"pipes, sockets or devices": 3, ".txt": 2}
    assert find_pictures(tmp_path).left_out == contents.left_words()


def test_a_set_made_by_prepare_is_not_read_whole(tmp_path: Path) -> None:
    touch(tmp_path, "mine/train/1.png", "mine/heldout/2.png", "mine/manifest.jsonl")
    for folder in (tmp_path, tmp_path / "mine"):
        for flag, part in (("--data-path", "train"), ("--eval-path", "heldout")):
            with pytest.raises(UsageError) as caught:
                find_pictures(folder, flag)
            assert caught.value.flags == (flag,)
            assert f"{flag}={tmp_path / 'mine' / part}" in str(caught.value)
    assert len(find_pictures(tmp_path / "mine/train").names) == 1


def test_runs_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "faces/1.png", "runs/x/options.json", "runs/x/metrics.jsonl")
    touch(tmp_path, "runs/x/samples/1.png", "runs/xy/2.png")
    assert find_pictures(tmp_path).names == ("faces/1.png", "runs/xy/2.png")
    assert find_pictures(tmp_path / "runs/x/samples").names == ("1.png",)
    with pytest.raises(UsageError):
        find_pictures(tmp_path / "runs/x")


def test_a_listing_knows_whose_pictures_it_holds(tmp_path: Path) -> None:
    touch(tmp_path, "data/mine/1.png", "data/other/2.png", "away/3.png", "data2/4.png")
    (tmp_path / "data/link").symlink_to(tmp_path / "away")
    listing = find_pictures(tmp_path / "data")
    assert all(listing.holds(tmp_path / name) for name in ("data/mine", "away", "data", "."))
    assert not listing.holds(tmp_path / "data2")


def test_the_advice_does_not_lead_into_a_smaller_folder(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{k}.png" for k in range(20)), "odd/1.png")
    with pytest.raises(UsageError) as caught:
        find_pictures(tmp_path)
    assert f"--data-path {tmp_path / 'odd'}" not in str(caught.value)


def test_order_is_that_of_the_names(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.png", "a.png", "c.png")
    assert [found.name for found in walk_tree(str(tmp_path))] == ["a.png", "b/1.png", "c.png"]
