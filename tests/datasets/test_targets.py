"""Every source gets a path of its own, which any disk can hold and tell from the others."""

import unicodedata

import pytest

from animegan.datasets.encodings import encoding_of, undo_escapes
from animegan.datasets.targets import Targets, fold

ALIKE = [
    "a/01?.png", "a/01!.png", "a/01_.png", "a/😀.png", "a/😁.png", "A/x.png", "a/x.png", "a/X.PNG",
    "a/" + unicodedata.normalize("NFC", "é") + ".png",
    "a/" + unicodedata.normalize("NFD", "é") + ".png",
    "a/" + "長" * 200 + "1.png", "a/" + "長" * 200 + "2.png", "a/con.png",
    "a/x./1.png", "a/x/1.png",
    "a/x.png/1.png", "a!/x.png", "straße/1.png", "strasse/1.png", "a/\udcba\udcec.png",
]  # fmt: skip


def test_no_two_share_a_path_on_any_disk() -> None:
    targets = Targets()
    paths = [targets.place(source) for source in ALIKE]
    assert len({fold(path) for path in paths}) == len(ALIKE)
    assert all(len(part.encode()) <= 200 for path in paths for part in path.split("/"))


def test_no_file_is_where_a_folder_must_be() -> None:
    targets = Targets()
    paths = [targets.place(source) for source in ALIKE]
    folders = {fold(path.rpartition("/")[0]) for path in paths}
    assert not folders & {fold(path) for path in paths}


def test_the_same_sources_get_the_same_paths_again() -> None:
    first, again = Targets(), Targets()
    assert [first.place(s) for s in ALIKE] == [again.place(s) for s in ALIKE]


def test_changed_names_are_counted() -> None:
    targets = Targets()
    targets.place("red/1.png")
    assert targets.words() == ""
    targets.place("red/😀.png")
    assert targets.changed == 1
    assert "😀.png -> _.png" in targets.words()


@pytest.mark.parametrize(
    ("encoding", "expected", "names"),
    [
        ("utf-8", "utf-8", ["赤髪", "青髪", "café"]),
        ("gbk", "gb18030", ["红发", "蓝发", "金发", "黑发", "粉发", "紫发"]),
        ("cp932", "cp932", ["赤髪", "青髪", "初音ミク", "レム", "ひなた"]),
        ("cp950", "cp950", ["紅髮", "藍髮", "金髮", "黑髮"]),
        ("cp437", "cp437", ["été", "naïve", "über"]),
    ],
)
def test_the_encoding_that_fits_all_names(encoding: str, expected: str, names: list[str]) -> None:
    found = encoding_of([name.encode(encoding) for name in [*names, "plain.png"]])
    assert found == expected


def test_names_that_the_system_could_not_decode() -> None:
    raw = "红发".encode("gbk")
    assert undo_escapes(raw.decode("utf-8", "surrogateescape")) == "红发"
    assert undo_escapes("赤髪") == "赤髪"
