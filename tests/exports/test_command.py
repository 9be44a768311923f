import json

import pytest
import torch
from PIL import Image

from animegan import load_generator, models
from animegan.config.resolve import resolve
from animegan.core.errors import UsageError
from animegan.exports.command import export
from animegan.generation.request import find_weights
from animegan.models import Spec
from animegan.runs import checkpoint

SMALL = Spec(image_size=16, nz=5, ngf=2, ndf=2)
LABELLED = Spec(image_size=16, nz=5, ngf=2, ndf=2, classes=(2,))
LABELS = {"names": ["hair"], "values": [["<b>", "red"]], "rows": [[0], [1]], "counts": [1, 1]}
OPTIONS = {"name": "secret", "data_path": "/home/me/faces", "nz": 5}


def netg(tmp_path, spec=SMALL):
    torch.manual_seed(0)
    net = models.build_netg(spec)
    about = {"step": 12345, "options": OPTIONS} | ({"labels": LABELS} if spec.classes else {})
    checkpoint.save_net(tmp_path / "netg.pth", "netg", net.state_dict(), spec, about)
    return tmp_path / "netg.pth"


def run(path, to, out, **words):
    given = {"netg_path": path, "to": to, "out": out, **words}
    config = resolve("export", {name: str(value) for name, value in given.items()})[0]
    export(config, find_weights(config)[0])


def flags_of(*args, **words):
    with pytest.raises(UsageError) as caught:
        run(*args, **words)
    return caught.value.flags


def test_safetensors(tmp_path):
    path, out = netg(tmp_path), tmp_path / "new" / "a.safetensors"
    run(path, "safetensors", out)
    noise = torch.randn(3, 5)
    assert torch.equal(load_generator(out)(noise), load_generator(path)(noise))
    run(path, "safetensors", tmp_path / "half.safetensors", half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < out.stat().st_size


def test_a_folder_for_the_hub(tmp_path):
    out = tmp_path / "hub"
    card = 'Faces of "my" own: 1,000.'
    run(netg(tmp_path, LABELLED), "hub", out, licence="cc-by-4.0", data_card=card)
    assert {path.name for path in out.iterdir()} == {
        "README.md", "config.json", "model.safetensors", "samples.jpg"}  # fmt: skip
    assert load_generator(out / "model.safetensors").labels == {"hair": ("<b>", "red")}
    described = json.loads((out / "config.json").read_text())
    assert (described["step"], described["options"]) == (12345, {"nz": 5})
    readme = (out / "README.md").read_text()
    assert 'license: "cc-by-4.0"' in readme
    assert card in readme
    for path in out.iterdir():
        assert b"secret" not in path.read_bytes()
        assert b"/home/me" not in path.read_bytes()
    with Image.open(out / "samples.jpg") as samples:
        assert samples.width == 8 * 18 + 2


def test_the_use_that_a_card_shows_works(tmp_path, monkeypatch):
    for spec in (SMALL, LABELLED):
        out = tmp_path / f"hub{len(spec.classes)}"
        run(netg(tmp_path, spec), "hub", out, licence="other")
        code = (out / "README.md").read_text().split("```")[1].removeprefix("python\n")
        monkeypatch.chdir(out)
        names = {}
        exec(code, names)
        assert names["pictures"].shape == (16, 3, 16, 16)


def test_a_card_states_no_training_data_that_nobody_stated(tmp_path):
    run(netg(tmp_path), "hub", tmp_path / "hub", licence="other")
    assert "Not stated" in (tmp_path / "hub" / "README.md").read_text()


@pytest.mark.parametrize(
    ("to", "out", "words", "flags"),
    [
        ("safetensors", "a.pth", {}, ("--out",)),
        ("onnx", "a.html", {}, ("--out",)),
        ("web", "a.onnx", {}, ("--out",)),
        ("safetensors", "a.safetensors", {"int8": True}, ("--int8",)),
        ("onnx", "a.onnx", {"int8": True, "half": True}, ("--half",)),
        ("hub", "hub", {}, ("--licence",)),
        ("onnx", "a.onnx", {"licence": "mit", "ort": "x"}, ("--ort", "--licence")),
        ("gguf", "a", {}, ("--to",)),
        ("web", "folder.html", {}, ("--out",)),
    ],
)
def test_mistakes_are_named_before_any_work(tmp_path, to, out, words, flags):
    (tmp_path / "folder.html").mkdir()
    path = netg(tmp_path)
    assert tuple(dict.fromkeys(flags_of(path, to, tmp_path / out, **words))) == flags
    assert {one.name for one in tmp_path.iterdir()} == {"folder.html", "netg.pth"}
