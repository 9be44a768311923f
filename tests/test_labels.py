"""Labels: a CSV read against the folder's files, look-ups, and what can be wrong."""

import os
from pathlib import Path

import pytest
import torch

from animegan.errors import UsageError
from animegan.labels import Attributes, from_classes, read_tags

FILES = [Path("/faces/a.jpg"), Path("/faces/b.jpg"), Path("/faces/c.jpg"), Path("/faces/d.jpg")]
CSV = "file,hair,eyes\nc.jpg,blonde,blue\na.jpg,aqua,\nb.jpg,blonde,red\nelsewhere.jpg,red,red\n"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "tags.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def problems(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_tags(path, FILES)
    return tuple(one.replace(str(path), "FILE") for one in caught.value.problems)


def test_labels_follow_the_files(csv: Path) -> None:
    attributes, labels = read_tags(csv, FILES)
    assert attributes.names == ("hair", "eyes")
    assert attributes.values == (("aqua", "blonde", "red"), ("blue", "red"))
    assert attributes.sizes == (3, 2)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [[0, -1], [1, 1], [1, 0], [-1, -1]]


def test_paths_in_the_csv_match_by_their_end(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("\ufefffile , hair\n./x/1.jpg, red\ny\\1.jpg,blue\n\n", encoding="utf-8")
    attributes, labels = read_tags(path, [Path("/d/x/1.jpg"), Path("/d/y/1.jpg"), Path("/1.jpg")])
    assert attributes.names == ("hair",)
    assert labels.flatten().tolist() == [1, 0, -1]


def test_lookup(csv: Path) -> None:
    attributes, _ = read_tags(csv, FILES)
    assert attributes.lookup("hair=blonde") == [1, -1]
    assert attributes.lookup(" eyes = red , hair=aqua") == [0, 1]
    assert attributes.words([1, -1]) == "hair=blonde"
    assert attributes.lookup(attributes.words([0, 1])) == [0, 1]
    assert from_classes(("cat", "dog")).lookup("dog") == [1]
    assert from_classes(("cat", "dog")).lookup("class=cat") == [0]


def test_lookup_names_every_problem(csv: Path) -> None:
    attributes, _ = read_tags(csv, FILES)
    text = "hair=blond,eye=red,eyes=violet,blonde"
    with pytest.raises(UsageError) as caught:
        attributes.lookup(text)
    assert caught.value.problems == (
        f"--label {text}: hair is never 'blond'; did you mean blonde?",
        f"--label {text}: there is no 'eye'; did you mean eyes?",
        f"--label {text}: eyes is never 'violet'; the values are blue, red",
        f"--label {text}: there is no 'blonde'; the attributes are hair, eyes",
    )


def test_attributes_go_round(csv: Path) -> None:
    attributes, _ = read_tags(csv, FILES)
    assert Attributes.read(attributes.as_dict()) == attributes


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    with pytest.raises(UsageError, match="no such file"):
        read_tags(path, FILES)
    assert "it is ''" in problems(path, "")[0]
    for header in ("name,hair", "file", "file,,eyes", "file,hair,hair"):
        assert f"it is '{header}'" in problems(path, header + "\na.jpg,red,red\n")[0]
    assert problems(path, "file,hair\na.jpg\n,red\nb.jpg,red\nb.jpg,blue\n") == (
        "--tags FILE: line 2 has 1 cells, the header 2",
        "--tags FILE: line 3 names no file",
        "--tags FILE: line 5: b.jpg has a row already",
    )
    assert problems(path, "file,hair\n" + "a.jpg\n" * 9)[-1] == "--tags FILE: and 4 more lines"
    assert problems(path, "file,hair,eyes\na.jpg,,red\n") == (
        "--tags FILE: no row has a value for hair",
    )
    assert problems(path, "file,hair\nz.jpg,red\n")[0].startswith(
        "--tags FILE: none of its 1 rows names one of the 4 pictures"
    )
    path.write_bytes(b"file,hair\n\xff.jpg,red\n")
    with pytest.raises(UsageError, match="cannot be read as a CSV in UTF-8"):
        read_tags(path, FILES)
    with pytest.raises(UsageError, match="cannot be read"):
        read_tags(tmp_path, FILES)


@pytest.mark.faces
def test_the_tags_of_the_real_faces() -> None:
    data = os.environ.get("ANIMEGAN_DATA")
    if not data or not Path(data, "train-tags.csv").exists():
        pytest.skip("ANIMEGAN_DATA does not point to the faces and their tags")
    files = sorted(Path(data, "train").rglob("*.jpg"))
    attributes, labels = read_tags(Path(data, "train-tags.csv"), files)
    assert attributes.sizes == (12, 11)
    assert int((labels[:, 0] >= 0).sum()) > 6000
    assert "blonde" in attributes.values[0]
