"""The command in-process: JSON alone on stdout, prose on stderr, mistakes before any work."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from animegan.config.config import Config
from animegan.core.errors import Ended, UsageError
from animegan.data import face_set
from animegan.data.face_set import open_set
from animegan.data.folder import Listing, find_pictures
from animegan.evaluation import command as eval_command
from animegan.generation import generate
from animegan.generation.candidates import Noise
from animegan.models import Spec, build_netg
from animegan.runs.checkpoint import LoadedNet, save_net
from tests.support.blocks import Blocks, Red, spots
from tests.support.said import heard

OPTIONS = {"data_path": "more", "resize": "crop"}
SPEC = Spec(image_size=16, nz=5, ngf=2, ndf=2)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reals, more reals, samples and weights; a network and a detector that are fast."""
    for name, count, seed in (("reals", 64, 1), ("more", 40, 2), ("samples", 50, 3)):
        (tmp_path / name).mkdir()
        for k, pixels in enumerate(spots(count, seed)):
            Image.fromarray(pixels).save(tmp_path / name / f"{k:03}.png")
    (tmp_path / "run").mkdir()
    save(tmp_path, {"options": OPTIONS})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(eval_command, "build_extractor", lambda *_: Blocks())
    monkeypatch.setattr(eval_command, "FaceDetector", Red)
    return tmp_path


def save(place: Path, about: dict[str, Any]) -> None:
    torch.manual_seed(0)
    about = {"step": 1, "epoch": 1.0} | about
    path = place / "run" / "netg_last.pth"
    save_net(path, "netg", build_netg(SPEC).state_dict(), SPEC, about)


def run(**words: Any) -> list[str]:
    said: list[str] = heard()
    given = {"against": "reals", "device": "cpu"} | words
    eval_command.run(Config(**given))
    return said


def test_json_alone_on_stdout_and_the_page_beside_the_weights(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(netg_path="run/netg_last.pth", json=True)
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    assert captured.out.count("\n") == 1
    assert record["protocol"]["n"] == 64
    assert record["protocol"]["floor_n"] == 32
    assert (place / "run" / "evaluate.html").exists()
    assert any("do not publish it" in line for line in said)


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_the_set_the_run_was_trained_on_is_looked_up_for_copies(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(netg_path="run/netg_last.pth", json=True)
    assert result(capsys)["protocol"]["copying"]["train"] == "more"
    run(netg_path="run/netg_last.pth", train_path="samples", json=True)
    assert result(capsys)["protocol"]["copying"]["train"] == "samples"
    (place / "more").rename(place / "gone")
    said = run(netg_path="run/netg_last.pth", json=True)
    assert result(capsys)["protocol"]["copying"]["train"] is None
    assert sum("more" in line and "--train-path" in line for line in said) == 1


def test_a_training_set_that_changed_since_is_noticed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = open_set("more", image_size=16).digest
    save(place, {"options": OPTIONS, "picture_files": digest})
    said = run(netg_path="run/netg_last.pth", json=True)
    assert result(capsys)["protocol"]["copying"]["train_changed"] is False
    assert not any(line.startswith("--train-path more") for line in said)
    (place / "more" / "000.png").unlink()
    said = run(netg_path="run/netg_last.pth", json=True)
    assert result(capsys)["protocol"]["copying"]["train_changed"] is True
    assert sum(line.startswith("--train-path more") for line in said) == 1


@pytest.mark.parametrize(
    "options", [None, [], 7, "x", {"data_path": ["more"]}, {"data_path": "a\0b"}]
)
def test_options_of_a_weight_file_that_are_none_are_refused(place: Path, options: object) -> None:
    save(place, {"options": options})
    with pytest.raises(UsageError) as caught:
        run(netg_path="run/netg_last.pth", json=True)
    assert caught.value.flags == ("--netg-path",)


@pytest.mark.parametrize(
    "wrong", [{"resize": "fold"}, {"resize": ["crop"]}, {"background": "#12"}, {"background": None}]
)
def test_options_of_a_weight_file_that_cannot_be_are_refused(
    place: Path, wrong: dict[str, object]
) -> None:
    save(place, {"options": OPTIONS | wrong})
    with pytest.raises(UsageError) as caught:
        run(netg_path="run/netg_last.pth")
    assert caught.value.flags == ("--netg-path",)


def test_measuring_against_what_it_was_trained_on_is_told(place: Path) -> None:
    said = run(netg_path="run/netg_last.pth", against="more/")
    assert any(line.startswith("--against more/: the generator was trained on") for line in said)
    said = run(netg_path="run/netg_last.pth")
    assert not any("trained on" in line for line in said)


def test_a_set_compared_with_itself_is_told(place: Path) -> None:
    (place / "link").symlink_to("reals")
    said = run(samples="reals/", floor_path="link", image_size=16)
    for start in ("--samples reals/: the same folder", "--floor-path link: the same folder"):
        assert any(line.startswith(start) for line in said)
    said = run(samples="samples", floor_path="more", image_size=16)
    assert not any("the same folder" in line for line in said)


def test_folder_against_folder_with_a_table(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(samples="samples", floor_path="more", image_size=16, report="out/page.html")
    assert len(capsys.readouterr().out.splitlines()) > 10
    run(samples="samples", floor_path="more", image_size=16, report="out/page.html", json=True)
    protocol = result(capsys)["protocol"]
    assert (protocol["samples"], protocol["against"], protocol["n"]) == ("samples", "reals", 50)
    assert (protocol["floor_of"], protocol["floor_n"]) == ("more", 40)
    assert (place / "out" / "page.html").exists()


def test_candidates_are_those_of_generate_whatever_the_pieces() -> None:
    torch.manual_seed(0)
    netg, noise = build_netg(SPEC), Noise(3, SPEC.nz)
    draw = eval_command.drawing(LoadedNet(netg, SPEC, {}), noise, torch.device("cpu"))
    [whole] = generate.draw(netg, noise, range(20), torch.device("cpu"))
    assert draw(0, 20).dtype == torch.uint8
    pieces = torch.cat([draw(0, 7), draw(7, 13)])
    assert (pieces.int() - whole.int()).abs().max() <= 1
    assert np.array_equal(draw(4, 1).shape, (1, 3, 16, 16))


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ({"samples": "nowhere", "against": "gone"}, ["--against", "--samples"]),
        ({"samples": "samples", "floor_path": "run"}, ["--floor-path"]),
        ({"samples": "samples", "eval_num": 31}, ["--eval-num"]),
        ({"samples": "samples", "report": "more"}, ["--report"]),
        ({"netg_path": "run/none.pth"}, ["--netg-path"]),
        ({"samples": "samples", "image_size": 16, "eval_num": 60}, ["--eval-num"]),
    ],
)
def test_mistakes_are_told_together_and_before_any_work(
    place: Path, capsys: pytest.CaptureFixture[str], words: dict[str, Any], flags: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        run(**words)
    assert list(caught.value.flags) == flags
    assert "measuring" not in capsys.readouterr().err


def test_each_folder_is_listed_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []

    def find(path: str, flag: str) -> Listing:
        listed.append(str(path))
        return find_pictures(path, flag)

    monkeypatch.setattr(eval_command, "find_pictures", find)
    monkeypatch.setattr(face_set, "find_pictures", find)
    run(netg_path="run/netg_last.pth", floor_path="samples")
    assert sorted(listed) == ["more", "reals", "samples"]


def test_the_page_is_written_before_the_result_is_printed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OSError, match="No space"):
        run(samples="samples", image_size=16, report="page.html")
    assert "kid_x1000" in (place / "page.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_does_not_hide_the_result(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", ".page.html.1.tmp")

    monkeypatch.setattr(eval_command, "write_report", full)
    said: list[str] = heard()
    with pytest.raises(Ended) as caught:
        run(samples="samples", image_size=16, report="page.html", json=True)
    assert caught.value.code == 1
    assert result(capsys)["protocol"]["n"] == 50
    assert said[-1].startswith("--report page.html: ")
