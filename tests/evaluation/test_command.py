"""The command in-process: JSON alone on stdout, prose on stderr, mistakes before any work."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from animegan.config.config import Config
from animegan.core.errors import Ended, UsageError
from animegan.evaluation import command as eval_command
from animegan.generation import generate
from animegan.generation.candidates import Noise
from animegan.models import Spec, build_netg
from animegan.runs.checkpoint import LoadedNet, save_net
from tests.support.blocks import Blocks, Red, spots
from tests.support.said import heard

SPEC = Spec(image_size=16, nz=5, ngf=2, ndf=2)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reals, more reals, samples and weights; a network and a detector that are fast."""
    for name, count, seed in (("reals", 64, 1), ("more", 40, 2), ("samples", 50, 3)):
        (tmp_path / name).mkdir()
        for k, pixels in enumerate(spots(count, seed)):
            Image.fromarray(pixels).save(tmp_path / name / f"{k:03}.png")
    torch.manual_seed(0)
    about = {"step": 1, "epoch": 1.0, "options": {"data_path": "more", "resize": "crop"}}
    weights = build_netg(SPEC).state_dict()
    (tmp_path / "run").mkdir()
    save_net(tmp_path / "run" / "netg_last.pth", "netg", weights, SPEC, about)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(eval_command, "build_extractor", lambda *_: Blocks())
    monkeypatch.setattr(eval_command, "FaceDetector", Red)
    return tmp_path


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


def test_the_set_the_run_was_trained_on_is_looked_up_for_copies(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(netg_path="run/netg_last.pth")
    assert "closer to a picture of more" in capsys.readouterr().out
    run(netg_path="run/netg_last.pth", train_path="samples")
    assert "closer to a picture of samples" in capsys.readouterr().out
    (place / "more").rename(place / "gone")
    run(netg_path="run/netg_last.pth")
    assert "closer to a picture of reals" in capsys.readouterr().out


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
    out = capsys.readouterr().out
    assert "samples against reals, 50 pictures each" in out
    assert "floor: more, 40 of them" in out
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
    ("words", "problems"),
    [
        ({"samples": "nowhere", "against": "gone"}, ["--against gone", "--samples nowhere"]),
        ({"samples": "samples", "floor_path": "run"}, ["--floor-path run: no pictures"]),
        ({"samples": "samples", "eval_num": 31}, ["needs at least 32 pictures; use 32"]),
        ({"samples": "samples", "report": "more"}, ["--report more: is a folder; give a file"]),
        ({"netg_path": "run/none.pth"}, ["--netg-path run/none.pth: no such file"]),
        ({"samples": "samples", "image_size": 16, "eval_num": 60}, ["--eval-num 60: samples has"]),
    ],
)  # fmt: skip
def test_mistakes_are_told_together_and_before_any_work(
    place: Path, capsys: pytest.CaptureFixture[str], words: dict[str, Any], problems: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        run(**words)
    assert len(caught.value.problems) == len(problems)
    for told, expected in zip(caught.value.problems, problems, strict=True):
        assert expected in told
        assert "--data-path" not in told
    assert "measuring" not in capsys.readouterr().err


def test_a_page_that_cannot_be_written_does_not_hide_the_result(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", ".page.html.1.tmp")

    monkeypatch.setattr(eval_command, "write_report", full)
    said: list[str] = heard()
    given = Config(
        against="reals", samples="samples", image_size=16, report="page.html", device="cpu"
    )
    with pytest.raises(Ended) as caught:
        eval_command.run(given)
    assert caught.value.code == 1
    assert "samples against reals, 50 pictures each" in capsys.readouterr().out
    line = "--report page.html: cannot be written to (No space left on device); use another file"
    assert said[-1] == line
