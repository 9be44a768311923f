"""A page that runs the generator in the visitor's browser, as one file or as a folder.

One file carries the runtime and the graph inside, compressed, and opens without a server. A folder
has them beside the page, and must be served: browsers do not let a page read files next to it.
"""

import base64
import gzip
import html
import json
from importlib.resources import files
from pathlib import Path

from animegan.core.files import aside, write_text
from animegan.data.labels import Attributes
from animegan.exports.onnxruntime_web import MODULE, WASM
from animegan.runs.checkpoint import LoadedNet

GRAPH = "generator.onnx"


def write_page(
    out: Path,
    loaded: LoadedNet,
    path: str,
    graph: bytes,
    runtime: dict[str, bytes],
    as_folder: bool,
) -> None:
    """Write the page to the file `out`, or into the folder `out`.

    path: of the weight file, whose name the page shows. graph: takes noise, and labels if the
    generator does, and returns uint8 [N, S, S, C]. runtime: what `runtime_files` returned.
    """
    parts = {**runtime, GRAPH: graph}
    if as_folder:
        for name, content in parts.items():
            with aside(out / name) as half:
                half.write_bytes(content)
        write_text(out / "index.html", page(loaded, path, {}))
    else:
        write_text(out, page(loaded, path, parts))


def page(loaded: LoadedNet, path: str, parts: dict[str, bytes]) -> str:
    """Return the page with the parts inside; it fetches those that it lacks."""
    spec = loaded.spec
    labels = []
    if spec.classes:
        attributes = Attributes.read(loaded.about["labels"])
        labels = list(zip(attributes.names, attributes.values, strict=True))
    about = {"nz": spec.nz, "size": spec.image_size, "channels": spec.channels, "labels": labels,
             "files": {"module": MODULE, "wasm": WASM, "graph": GRAPH}}  # fmt: skip
    return (
        _read("page.html")
        .replace("@TITLE@", html.escape(Path(path).stem))
        .replace("@STYLE@", _read("page.css"))
        .replace("@ABOUT@", json.dumps(about).replace("<", "\\u003c"))
        .replace("@NOISE@", _read("noise.js"))
        .replace("@SCRIPT@", _read("page.js"))
        .replace("@PARTS@", "\n".join(_inside(*part) for part in parts.items()))
    )


def _inside(name: str, content: bytes) -> str:
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'<script type="text/plain" id="{name}">{packed}</script>'


def _read(name: str) -> str:
    return files("animegan.exports").joinpath("page", name).read_text(encoding="utf-8")
