import base64
import gzip
import json
import re

import pytest
from torch import nn

from animegan.core.errors import UsageError
from animegan.exports.onnxruntime_web import MODULE, WASM, runtime_files
from animegan.exports.web_page import GRAPH, write_page
from animegan.models import Spec
from animegan.runs.checkpoint import LoadedNet
from tests.monitor.test_visdom_scripts import pack

PARTS = {MODULE: b"export const x = 1", WASM: bytes(1000)}
HOSTILE = "</script><b>"
LABELS = {"names": ["hair"], "values": [[HOSTILE, "red"]]}


def written(tmp_path, as_folder, name="netg"):
    spec = Spec(image_size=16, nz=5, ngf=2, ndf=2, classes=(2,))
    loaded = LoadedNet(nn.Identity(), spec, {"labels": LABELS})
    write_page(tmp_path, loaded, f"{name}.pth", b"graph", PARTS, as_folder)


def parts_in(page):
    found = re.findall(r'<script type="text/plain" id="([^"]+)">([^<]*)</script>', page)
    return {name: gzip.decompress(base64.b64decode(packed)) for name, packed in found}


def test_one_file_carries_everything(tmp_path):
    written(tmp_path / "a.html", False)
    page = (tmp_path / "a.html").read_text()
    assert parts_in(page) == PARTS | {GRAPH: b"graph"}
    about = re.search(r'id="about">(.*?)</script>', page)[1]
    assert json.loads(about)["labels"] == [["hair", [HOSTILE, "red"]]]
    assert not re.search(r"@[A-Z]+@", page)
    assert not re.search(r'(src|href)="?https?:', page)


def test_a_folder_has_the_parts_beside_the_page(tmp_path):
    written(tmp_path, True)
    assert parts_in((tmp_path / "index.html").read_text()) == {}
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", MODULE, WASM, GRAPH}
    assert (tmp_path / WASM).read_bytes() == PARTS[WASM]


def test_a_name_cannot_write_into_the_page(tmp_path):
    written(tmp_path / "a.html", False, name="<script>alert(1)<")
    page = (tmp_path / "a.html").read_text()
    assert "<script>alert" not in page


def test_the_runtime_of_a_file_is_checked(tmp_path):
    from animegan.core.npm import Package

    digest = pack(tmp_path / "a-1.0.0.tgz", {"x.mjs": "code", "x.wasm": "binary"})
    package = Package("a", "1.0.0", digest, {"x.mjs": MODULE, "x.wasm": WASM})
    assert runtime_files(tmp_path / "a-1.0.0.tgz", package) == {MODULE: b"code", WASM: b"binary"}
    (tmp_path / "other.tgz").write_bytes(b"other")
    for name in ("other.tgz", "none.tgz"):
        with pytest.raises(UsageError) as caught:
            runtime_files(tmp_path / name, package)
        assert caught.value.flags == ("--ort",)


def test_without_npm_the_way_out_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        runtime_files()
    assert caught.value.flags == ("--to",)
