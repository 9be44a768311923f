"""prepare from end to end: resumed, re-run with other limits, refused; its source untouched."""

import hashlib
import json
import os
import re
import shlex
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image, ImageOps

from animegan.core.errors import UsageError
from animegan.data.folder import find_pictures
from animegan.datasets.faces.detector import Face
from animegan.datasets.prepare import examine
from animegan.datasets.prepare.examine import Searching
from animegan.datasets.prepare.pipeline import Options, prepare
from tests.support.piles import Finder, art, face, page, save_all
from tests.support.said import heard

pytest.importorskip("animeface")


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Everything below a folder that a program could have changed."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


def manifest(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def pictures(out: Path) -> list[str]:
    return sorted(p.relative_to(out).as_posix() for p in out.glob("[th]*/**/*.png"))


@pytest.fixture
def no_detector(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finder]:
    """Stand a detector in that finds what it is told; counts how often it is asked."""

    def stand_in(*faces: Face) -> Finder:
        finder = Finder(faces)
        monkeypatch.setattr(Searching, "detector", lambda self: finder)
        return finder

    return stand_in


def options(tmp_path: Path, **changes: Any) -> Options:
    values: dict[str, Any] = {"num_workers": 0, "heldout": 0.0, "image_size": 64} | changes
    return Options(str(tmp_path / "src"), str(tmp_path / "out"), **values)


def test_a_pile_becomes_a_training_set_and_the_source_stays_as_it_was(tmp_path: Path) -> None:
    source = save_all(
        tmp_path / "src",
        {
            "miku/a.png": page(1), "miku/deep/b.webp": page(2, (200, 100), 190),
            "rin/small.png": page(3, side=76), "rin/grey.png": page(4).convert("L"),
            "rin/none.png": page(5, None), "copy.png": page(1),
        },
    )  # fmt: skip
    (source / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    (source / "notes.txt").write_text("hi")
    file = tmp_path / "c.png"
    ImageOps.mirror(page(1)).save(file)
    with zipfile.ZipFile(source / "more.zip", "w") as archive:
        archive.write(file, "x/c.png")
        archive.writestr("../../evil.png", file.read_bytes())
    before = state(source)
    counts = prepare(options(tmp_path, num_workers=2, classes="from-folders"), "cmd")
    assert state(source) == before
    out = tmp_path / "out"
    assert counts.reasons == {
        "broken": 1, "other file": 1, "refused": 1, "no face": 1, "too small": 1, "grey": 1,
        "exact duplicate": 1, "near duplicate": 1,
    }  # fmt: skip
    assert counts.sources == 10
    assert counts.kept == 2
    classes = find_pictures(out / "train").classes
    assert classes in (("miku", "unsorted"), ("miku", "more"))  # the larger of the two copies
    assert tuple(name.split("/")[1] for name in pictures(out)) == classes
    for name in pictures(out):
        with Image.open(out / name) as crop:
            assert (crop.size, crop.mode) == ((64, 64), "RGB")
    assert {line["source"] for line in manifest(out)} == {
        "miku/a.png", "miku/deep/b.webp", "rin/small.png", "rin/grey.png", "rin/none.png",
        "copy.png", "bad.png", "notes.txt", "more.zip!/x/c.png", "more.zip!/../../evil.png",
    }  # fmt: skip
    assert not (tmp_path / "evil.png").exists()
    report = (out / "report.html").read_text()
    assert "data:image/jpeg;base64," in report
    assert "Dropped as too small: 1" in report
    assert not re.search(r'(src|href)="(?!data:)', report)


def test_several_faces_of_one_picture(tmp_path: Path, no_detector: Callable[..., Finder]) -> None:
    save_all(tmp_path / "src", {"a.png": art(1, 400)})
    no_detector(face((0, 0, 80, 80)), face((200, 200, 300, 300)), face((10, 250, 90, 330), 0.1))
    prepare(options(tmp_path, min_detail=-60))
    lines = manifest(tmp_path / "out")
    assert [line["why"] for line in lines] == [None, None, "low score"]
    assert [line["square"]["side"] for line in lines] == [112, 140, 112]
    assert [line["file"].rsplit("_")[1] for line in lines[:2]] == ["0.png", "1.png"]


def test_an_interrupted_run_is_gone_on_with(
    tmp_path: Path, no_detector: Callable[..., Finder], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_all(tmp_path / "src", {f"{n}.png": art(n, 200) for n in range(6)})
    finder = no_detector(face((40, 40, 140, 140)))
    asked = []

    def find(image: Image.Image, smallest: int = 44) -> list[Face]:
        if len(asked) == 3 and not resumed:
            raise KeyboardInterrupt
        asked.append(image)
        return finder.faces

    resumed = False
    monkeypatch.setattr(finder, "find", find)
    with pytest.raises(KeyboardInterrupt):
        prepare(options(tmp_path))
    resumed = True
    counts = prepare(options(tmp_path))
    assert len(asked) == 6  # three before, three after: none twice
    assert counts.faces == 6
    again = prepare(options(tmp_path))
    assert len(asked) == 6
    assert again == counts


def test_the_result_does_not_depend_on_interruptions_or_workers(tmp_path: Path) -> None:
    save_all(tmp_path / "src", {f"{n}.png": page(n, (30 + 9 * n, 60)) for n in range(4)})
    prepare(options(tmp_path, heldout=0.3))
    first = manifest(tmp_path / "out")
    prepare(Options(str(tmp_path / "src"), str(tmp_path / "out2"), image_size=64, heldout=0.3,
                    num_workers=2))  # fmt: skip
    assert manifest(tmp_path / "out2") == first


def test_other_limits_do_not_search_again(
    tmp_path: Path, no_detector: Callable[..., Finder], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_all(tmp_path / "src", {f"{n}.png": art(n, 200) for n in range(4)})
    finder = no_detector(face((40, 40, 140, 140), 0.6))
    assert prepare(options(tmp_path)).kept == 4

    def no_more(image: Image.Image, smallest: int = 44) -> list[Face]:
        raise AssertionError("searched again")

    monkeypatch.setattr(finder, "find", no_more)
    read: list[str] = []
    plain = examine.decode
    monkeypatch.setattr(
        examine, "decode", lambda *given, **how: read.append(how["name"]) or plain(*given, **how)
    )
    assert prepare(options(tmp_path, min_score=0.7)).reasons == {"low score": 4}
    assert pictures(tmp_path / "out") == []
    assert prepare(options(tmp_path, min_score=0.5)).kept == 4
    assert len(pictures(tmp_path / "out")) == 4
    assert read == []  # limits alone do not even read the sources
    prepare(options(tmp_path, margin=0.0))  # other crops do
    assert len(read) == 4
    assert {line["square"]["side"] for line in manifest(tmp_path / "out")} == {100}


def test_a_changed_picture_is_looked_at_again_and_a_removed_one_forgotten(
    tmp_path: Path, no_detector: Callable[..., Finder]
) -> None:
    source = save_all(tmp_path / "src", {"a.png": art(1, 200), "b.png": art(2, 200)})
    no_detector(face((40, 40, 140, 140)))
    first = {line["source"]: line["digest"] for line in manifest_after(tmp_path)}
    art(3, 200).save(source / "a.png")
    os.utime(source / "a.png", ns=(1, 1))
    (source / "b.png").unlink()
    second = {line["source"]: line["digest"] for line in manifest_after(tmp_path)}
    assert list(second) == ["a.png"]
    assert second["a.png"] != first["a.png"]
    assert len(pictures(tmp_path / "out")) == 1


def manifest_after(tmp_path: Path) -> list[dict[str, Any]]:
    prepare(options(tmp_path))
    return manifest(tmp_path / "out")


def test_small_faces_are_enlarged_only_if_asked(
    tmp_path: Path, no_detector: Callable[..., Finder]
) -> None:
    save_all(tmp_path / "src", {"a.png": art(1, 200)})
    no_detector(face((40, 40, 80, 80)))  # a square of 56 px
    assert prepare(options(tmp_path)).reasons == {"too small": 1}
    assert prepare(options(tmp_path, min_size=48)).kept == 1
    with Image.open(tmp_path / "out" / pictures(tmp_path / "out")[0]) as crop:
        assert crop.size == (64, 64)


def test_native_size(tmp_path: Path, no_detector: Callable[..., Finder]) -> None:
    save_all(tmp_path / "src", {"a.png": art(1, 200)})
    no_detector(face((40, 40, 100, 100)))
    prepare(options(tmp_path, native=True, margin=0.25))
    with Image.open(tmp_path / "out" / pictures(tmp_path / "out")[0]) as crop:
        assert np.array_equal(np.asarray(crop), np.asarray(art(1, 200))[25:115, 25:115])


def test_without_detection_the_middle_is_taken(tmp_path: Path) -> None:
    save_all(tmp_path / "src", {"a.png": art(1, 200, 90), "b.png": art(2, 70, 300)})
    counts = prepare(options(tmp_path, detect=False))
    assert counts.kept == 2
    assert [line["square"] for line in manifest(tmp_path / "out")] == [
        {"x": 55, "y": 0, "side": 90, "tilt": 0.0}, {"x": 0, "y": 115, "side": 70, "tilt": 0.0},
    ]  # fmt: skip


def test_grey_sets_are_not_asked_for_colour(tmp_path: Path) -> None:
    save_all(tmp_path / "src", {"a.png": art(1, 100).convert("L")})
    assert prepare(options(tmp_path, detect=False)).reasons == {"grey": 1}
    assert prepare(options(tmp_path, detect=False, channels=1)).kept == 1
    with Image.open(tmp_path / "out" / pictures(tmp_path / "out")[0]) as crop:
        assert crop.mode == "L"


def test_no_picture_nor_its_copy_on_both_sides(tmp_path: Path) -> None:
    drawn = {f"{n:02}.png": art(n, 100) for n in range(30)}
    mirrored = {f"m{n:02}.png": ImageOps.mirror(art(n, 100)) for n in range(0, 30, 2)}
    save_all(tmp_path / "src", drawn | mirrored)
    counts = prepare(options(tmp_path, detect=False, heldout=0.4, near=0))
    assert counts.kept == 45
    assert 15 <= counts.held_out <= 18
    side = {line["source"]: line["file"].split("/")[0] for line in manifest(tmp_path / "out")}
    assert all(side[name] == side[f"m{name}"] for name in drawn if f"m{name}" in side)
    assert len(pictures(tmp_path / "out")) == 45


def test_tar_of_a_tar_gz_is_streamed_and_resumed(tmp_path: Path) -> None:
    save_all(tmp_path / "in", {f"{n}.png": art(n, 100) for n in range(3)})
    (tmp_path / "src").mkdir()
    with tarfile.open(tmp_path / "src" / "x.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "in", "x")
    first = prepare(options(tmp_path, detect=False))
    assert first.kept == 3
    journal = (tmp_path / "out" / ".prepare" / "journal.jsonl").read_bytes()
    assert prepare(options(tmp_path, detect=False)) == first
    assert (tmp_path / "out" / ".prepare" / "journal.jsonl").read_bytes() == journal


def refusal(options: Options) -> tuple[str, ...]:
    with pytest.raises(UsageError) as caught:
        prepare(options)
    return caught.value.problems


def test_out_and_source_must_lie_apart(tmp_path: Path) -> None:
    source = save_all(tmp_path / "src", {"in/a.png": art(1)})
    (tmp_path / "link").symlink_to(source)
    for src, out in (
        (source, source), (source, source / "out"), (source, tmp_path), (source / "in", source),
        (source, tmp_path / "link" / "out"), (tmp_path / "link", source / "in" / "out"),
    ):  # fmt: skip
        (problem, *_) = refusal(Options(str(src), str(out), detect=False))
        assert problem.startswith("--out")
    assert sorted(p.name for p in source.rglob("*")) == ["a.png", "in"]


def test_all_problems_are_told_at_once_before_any_work(tmp_path: Path) -> None:
    wrong = Options(
        str(tmp_path / "none"), str(tmp_path / "out"), detect=False, cascade="x.xml", upright=True,
        background="nocolour",
    )  # fmt: skip
    problems = refusal(wrong)
    for flag in ("SRC", "--cascade", "--upright", "--background"):
        assert any(problem.startswith(flag) for problem in problems), flag
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_not_written_to(tmp_path: Path) -> None:
    save_all(tmp_path / "src", {"a.png": art(1)})
    save_all(tmp_path / "out", {"train/mine.png": art(2)})
    assert "contains other files" in refusal(options(tmp_path, detect=False))[0]


def test_the_set_of_another_source_is_not_deleted(tmp_path: Path) -> None:
    first = save_all(tmp_path / "src", {"a.png": art(1)})
    second = save_all(tmp_path / "b", {"a.png": art(2, 100), "b.png": art(3)})
    plain: dict[str, Any] = {"num_workers": 0, "heldout": 0.0, "detect": False}
    prepare(options(tmp_path, detect=False))
    before = state(tmp_path / "out" / "train")
    other = Options(str(second), str(tmp_path / "out"), **plain)
    (problem,) = refusal(other)
    assert problem == (
        f"--out {tmp_path / 'out'}: contains the set made from {first}; use another folder"
    )
    (tmp_path / "out" / ".prepare" / "source").unlink()  # as sets of earlier versions have none
    assert "the set made from another source" in refusal(other)[0]
    assert state(tmp_path / "out" / "train") == before


def test_a_source_that_was_renamed_is_gone_on_with(
    tmp_path: Path, no_detector: Callable[..., Finder], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_all(tmp_path / "src", {"a.png": art(1, 200)})
    finder = no_detector(face((40, 40, 140, 140)))
    first = prepare(options(tmp_path))
    (tmp_path / "link").symlink_to(source)
    monkeypatch.setattr(finder, "find", None)  # would raise
    again: dict[str, Any] = {"num_workers": 0, "heldout": 0.0, "image_size": 64}
    assert prepare(Options(str(tmp_path / "link"), str(tmp_path / "out"), **again)) == first
    source.rename(tmp_path / "renamed")
    moved = Options(str(tmp_path / "renamed"), str(tmp_path / "out"), **again)
    assert prepare(moved) == first
    assert prepare(moved) == first
    (tmp_path / "renamed").rename(tmp_path / "gone")
    other = save_all(tmp_path / "renamed", {"b.png": art(2, 200)})
    other.rename(tmp_path / "other")
    wrong = Options(str(tmp_path / "other"), str(tmp_path / "out"), **again)
    assert f"made from {tmp_path / 'renamed'}" in refusal(wrong)[0]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    save_all(tmp_path / "src", {"a.png": art(1)})
    (tmp_path / "out" / ".prepare").mkdir(parents=True)
    with FileLock(tmp_path / "out" / ".prepare" / "lock"):
        assert "another prepare" in refusal(options(tmp_path, detect=False))[0]


def test_an_empty_source_is_no_accident(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    assert prepare(options(tmp_path)).lines() == [
        "0 files, 0 pictures, 0 faces: 0 to train on, 0 held out"
    ]


def test_the_command_to_run_next_can_be_pasted(tmp_path: Path) -> None:
    source, out = save_all(tmp_path / "src", {"a.png": art(1)}), tmp_path / "my set"
    said: list[str] = heard()
    prepare(Options(str(source), str(out), num_workers=0, heldout=0.0, detect=False))
    command = said[-1].partition("then run: ")[2]
    assert shlex.split(command)[-1] == f"--data-path={out / 'train'}"


@pytest.mark.skipif(os.name == "nt", reason="names that are no UTF-8 are a Unix matter")
def test_odd_file_names(tmp_path: Path) -> None:
    source = save_all(tmp_path / "src", {"日本 <b>&.png": art(1, 100)})
    os.rename(source / "日本 <b>&.png", os.fsencode(source) + b"/\xff<i>.png")
    (source / "<script>.png").write_bytes(b"no picture")
    assert prepare(options(tmp_path, detect=False)).kept == 1
    report = (tmp_path / "out" / "report.html").read_text()
    assert "<script>" not in report
    assert "&lt;script&gt;.png" in report
