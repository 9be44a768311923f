"""animeface fed by hand: what it finds, where, and what is told when it cannot work."""

import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from animegan.core.errors import UsageError
from animegan.datasets.faces.detector import (
    CascadeDetector,
    Face,
    FaceDetector,
    drawn_face,
    merge,
    overlap_of,
    self_test,
)

pytest.importorskip("animeface")

DARK_OVER_LIGHT = """<?xml version="1.0"?>
<opencv_storage><cascade type_id="opencv-cascade-classifier"><stageType>BOOST</stageType>
<featureType>HAAR</featureType><height>20</height><width>20</width>
<stageParams><maxWeakCount>1</maxWeakCount></stageParams>
<featureParams><maxCatCount>0</maxCatCount></featureParams><stageNum>1</stageNum>
<stages><_><maxWeakCount>1</maxWeakCount><stageThreshold>0.5</stageThreshold>
<weakClassifiers><_><internalNodes>0 -1 0 0.2</internalNodes><leafValues>0. 1.</leafValues></_>
</weakClassifiers></_></stages>
<features><_><rects><_>0 0 20 20 -1.</_><_>0 10 20 10 2.</_></rects><tilted>0</tilted></_>
</features></cascade></opencv_storage>
"""


@pytest.fixture(scope="module")
def finder() -> FaceDetector:
    return FaceDetector()


@pytest.mark.parametrize("side", [100, 160, 300])
def test_finds_a_face_of_any_size_where_it_is(finder: FaceDetector, side: int) -> None:
    picture = Image.new("RGB", (500, 400), (120, 160, 140))
    picture.paste(drawn_face(side), (90, 50))
    faces = finder.find(picture)
    assert len(faces) == 1
    unit = side / 160  # the face's ellipse: 42-118, 52-128 of 160
    there = (90 + 42 * unit, 50 + 52 * unit, 90 + 118 * unit, 50 + 128 * unit)
    assert overlap_of(faces[0].box, there) > 0.7
    assert faces[0].score > 0.8
    assert faces[0].eyes is not None
    for found, drawn in zip(faces[0].eyes, (61, 99), strict=True):
        assert found[0] == pytest.approx(90 + drawn * unit, abs=5 * unit)
        assert found[1] == pytest.approx(50 + 87 * unit, abs=8 * unit)


def test_finds_a_face_that_fills_the_picture(finder: FaceDetector) -> None:
    assert len(finder.find(drawn_face(160).crop((25, 30, 135, 140)))) == 1


def test_finds_nothing_where_nothing_is(finder: FaceDetector) -> None:
    assert finder.find(Image.new("RGB", (300, 200), "white")) == []
    assert finder.find(Image.new("RGB", (5, 3))) == []
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    assert not finder.has_face(Image.fromarray(noise))


@pytest.mark.parametrize("side", [48, 64, 96, 128])
def test_has_face_takes_cut_outs_of_every_size_and_mode(finder: FaceDetector, side: int) -> None:
    cut_out = drawn_face(160).crop((25, 30, 135, 140)).resize((side, side))
    assert finder.has_face(cut_out)
    assert finder.has_face(cut_out.convert("L"))
    assert not finder.has_face(cut_out.filter(ImageFilter.GaussianBlur(side / 12)))


def test_threads_get_the_same_answers(finder: FaceDetector) -> None:
    expected = finder.find(drawn_face())
    answers: list[list[Face]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(finder.find(drawn_face()))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 3


def test_self_test_refuses_what_pillow_12_does_to_animeface() -> None:
    self_test()
    with pytest.raises(UsageError, match="finds 0 faces"):
        self_test(lambda pixels: [])


def test_self_test_refuses_a_find_in_the_wrong_place() -> None:
    eye = (0, 0, 4, 4)
    raw = {"face_box": (0, 0, 30, 30), "likelihood": 1.0, "left_eye_box": eye}
    with pytest.raises(UsageError, match="finds 1 faces"):
        self_test(lambda pixels: [raw | {"right_eye_box": eye}])


def test_without_the_package_the_error_names_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "animeface._nvxs", None)
    with pytest.raises(UsageError, match=r"^faces: needs animeface"):
        FaceDetector()


def test_without_its_compiled_part_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stub: Any = SimpleNamespace(__file__="/x/_nvxs.py")
    monkeypatch.setitem(sys.modules, "animeface._nvxs", stub)
    with pytest.raises(UsageError, match="without its extension module"):
        FaceDetector()


def test_another_object_layout_is_refused_instead_of_crashing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("animegan.datasets.faces.animeface.ctypes.addressof", lambda thing: 0)
    with pytest.raises(UsageError, match="this Python's object layout"):
        FaceDetector()


def test_merge_means_the_boxes_of_a_group_and_keeps_the_best_score() -> None:
    same = [Face((0, 0, 100, 100), 0.7), Face((10, 0, 110, 100), 0.9)]
    apart = Face((300, 300, 400, 400), 0.8)
    assert merge([*same, apart]) == [Face((5, 0, 105, 100), 0.9), apart]


def test_overlap() -> None:
    assert overlap_of((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap_of((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap_of((0, 0, 10, 10), (10, 0, 20, 10)) == 0


def test_cascade_finds_with_the_users_file(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    (tmp_path / "mine.xml").write_text(DARK_OVER_LIGHT)
    picture = Image.new("RGB", (200, 200), (128, 128, 128))
    picture.paste((0, 0, 0), (60, 60, 120, 90))
    picture.paste((255, 255, 255), (60, 90, 120, 120))
    faces = CascadeDetector(tmp_path / "mine.xml").find(picture, 40)
    assert faces
    assert all(face.score == 1 and face.eyes is None for face in faces)
    assert max(overlap_of(face.box, (60, 60, 120, 120)) for face in faces) > 0.4


@pytest.mark.parametrize("content", [None, "<xml/>", "no xml"])
def test_cascade_that_cannot_be_read_is_told(tmp_path: Path, content: str | None) -> None:
    pytest.importorskip("cv2")
    path = tmp_path / "mine.xml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"--cascade .*mine\.xml"):
        CascadeDetector(path)


def test_cascade_without_opencv_names_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UsageError, match=r"^--cascade mine.xml: .*extra 'cascade'"):
        CascadeDetector("mine.xml")


@pytest.mark.faces
def test_rate_on_real_faces(finder: FaceDetector) -> None:
    if "ANIMEGAN_DATA" not in os.environ:
        pytest.skip("ANIMEGAN_DATA does not name the folder with the real faces")
    files = sorted(Path(os.environ["ANIMEGAN_DATA"], "heldout", "faces").iterdir())[:200]
    clear, blurred = 0, 0
    for file in files:
        with Image.open(file) as picture:
            clear += finder.has_face(picture)
            blurred += finder.has_face(picture.filter(ImageFilter.GaussianBlur(2)))
    assert clear / len(files) > 0.9
    assert blurred / len(files) < 0.05
