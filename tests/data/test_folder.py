import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from animegan.core.errors import UsageError
from animegan.data.folder import Listing, find_pictures


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names_of(root: Path) -> list[str]:
    return list(find_pictures(root).names)


def test_flat_folder_is_one_class(tmp_path: Path) -> None:
    touch(tmp_path / "faces", "b.png", "a.jpg", "10.jpg", "9.jpg")
    listing = find_pictures(tmp_path / "faces")
    assert list(listing.names) == ["10.jpg", "9.jpg", "a.jpg", "b.png"]
    assert listing.labels == (0, 0, 0, 0)
    assert listing.classes == ("faces",)
    assert listing.root == tmp_path / "faces"


def test_subfolders_are_classes_to_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "red/2.png", "red/deep/er/1.png", "blue/x.png", "blue/a.png", "green/g.png")
    listing = find_pictures(tmp_path)
    assert listing.classes == ("blue", "green", "red")
    assert names_of(tmp_path) == [
        "blue/a.png",
        "blue/x.png",
        "green/g.png",
        "red/2.png",
        "red/deep/er/1.png",
    ]
    assert listing.labels == (0, 0, 1, 2, 2)


def test_agrees_with_torchvision(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    touch(tmp_path, "b/1.png", "b/10.png", "b/2.JPG", "a/z.bmp", "a/notes.txt", "10/q.webp")
    theirs = ImageFolder(str(tmp_path))
    ours = find_pictures(tmp_path)
    assert list(ours.classes) == theirs.classes
    pairs = [
        (str(ours.root / name), label) for name, label in zip(ours.names, ours.labels, strict=True)
    ]
    assert pairs == theirs.samples


def test_what_is_no_picture_is_not_there(tmp_path: Path) -> None:
    touch(
        tmp_path, "a.jpg", "B.JPEG", ".hidden.jpg", "._a.jpg", ".gitkeep", "Thumbs.db", "readme.txt"
    )
    touch(tmp_path, ".cache/c.jpg", "__MACOSX/._a.jpg", "notes/todo.txt", "c.jpg.part", "jpg")
    assert names_of(tmp_path) == ["B.JPEG", "a.jpg"]


def test_all_the_named_formats(tmp_path: Path) -> None:
    wanted = ["a.bmp", "a.gif", "a.jpeg", "a.jpg", "a.png", "a.tif", "a.webp"]
    touch(tmp_path, *wanted)
    assert names_of(tmp_path) == wanted


def test_folder_named_like_a_picture_is_a_class(tmp_path: Path) -> None:
    touch(tmp_path, "faces.png/1.png")
    assert find_pictures(tmp_path).classes == ("faces.png",)


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "1.png")
    monkeypatch.chdir(tmp_path)
    assert (find_pictures(".").root, find_pictures(".").names) == (tmp_path, ("1.png",))
    assert find_pictures(".").classes == (tmp_path.name,)


def test_links_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "far/1.png", "far/more/2.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "all").symlink_to(tmp_path / "far")
    (root / "one").mkdir()
    (root / "one/linked.png").symlink_to(tmp_path / "far/1.png")
    assert names_of(root) == ["all/1.png", "all/more/2.png", "one/linked.png"]
    (tmp_path / "door").symlink_to(root)
    assert len(find_pictures(tmp_path / "door").names) == 3


def test_dangling_links_are_listed_to_be_named_as_broken(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    (tmp_path / "2.png").symlink_to("gone.png")
    (tmp_path / "3.png").symlink_to("3.png")
    assert names_of(tmp_path) == ["1.png", "2.png", "3.png"]


def test_link_back_up_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "a/again").symlink_to(tmp_path / "a")
    assert names_of(tmp_path) == ["a/1.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_are_not_opened(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    os.mkfifo(tmp_path / "2.png")
    assert names_of(tmp_path) == ["1.png"]


def problem(path: Path | str) -> str:
    with pytest.raises(UsageError) as caught:
        find_pictures(path)
    (line,) = caught.value.problems
    assert line.startswith(f"--data-path {path}: ")
    assert "\n" not in line
    return line


def test_mix_is_refused_with_the_reason(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png", "faces/3.png", "faces/4.png", "faces/5.png")
    line = problem(tmp_path)
    assert "2 pictures (1.png, 2.png) are next to subfolders" in line
    assert "(faces)" in line
    assert f"--data-path {tmp_path / 'faces'}" in line


def test_missing_folder(tmp_path: Path) -> None:
    assert "no such folder" in problem(tmp_path / "nowhere")


def test_file_instead_of_folder(tmp_path: Path) -> None:
    touch(tmp_path, "faces.txt")
    assert "is a file" in problem(tmp_path / "faces.txt")


@pytest.mark.parametrize("name", ["faces.zip", "faces.tar.gz", "faces"])
def test_archive_instead_of_folder_names_the_commands(tmp_path: Path, name: str) -> None:
    if "tar" in name:
        tarfile.open(tmp_path / name, "w:gz").close()
    else:
        zipfile.ZipFile(tmp_path / name, "w").close()
    line = problem(tmp_path / name)
    assert f"download archive --archive={tmp_path / name} --out=data/faces" in line
    assert f"prepare {tmp_path / name} --out=data/faces" in line


def test_no_pictures_says_what_was_sought_and_what_is_there(tmp_path: Path) -> None:
    touch(tmp_path, ".gitkeep")
    line = problem(tmp_path)
    assert ".jpg" in line
    assert str(tmp_path) in line
    assert "which are empty" in line
    assert "data/faces/1.jpg" in line
    touch(tmp_path, ".demo/1.jpg")  # of a hidden folder nothing is said
    assert "which are empty" in problem(tmp_path)
    touch(tmp_path, "sub/a.npz", "sub/b.npz", "labels.csv")
    assert "only 2 .npz, 1 .csv" in problem(tmp_path)


def test_unreadable_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "a").chmod(0)
    if os.access(tmp_path / "a", os.R_OK):
        pytest.skip("this user may read everything")
    try:
        assert "Permission denied" in problem(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o755)


def test_subfolders_are_counted() -> None:
    names = tuple(f"{folder}/{k}.png" for folder in "abcdefg" for k in range(3))
    labels = tuple(label for label in range(7) for _ in range(3))
    listing = Listing(Path("/x"), names, labels, tuple("abcdefg"))
    assert listing.counted() == "21 pictures, of the folders a 3, b 3, c 3, d 3, e 3 and 2 more"
