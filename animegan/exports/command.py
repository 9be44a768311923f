"""`export`: write a generator for other programs."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from animegan.core.errors import refuse
from animegan.core.files import aside
from animegan.core.outputs import writable, writable_file
from animegan.runs import checkpoint
from animegan.runs.checkpoint import LoadedNet
from animegan.runtime.device import Runtime

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)


def export(config: "Config", netg_path: Path) -> None:
    """Run the `export` command.

    Raises UsageError if the weight file cannot be read, a package is missing, or the place to write
    to is not writable; nothing has been written then.
    """
    assert config.to is not None
    assert config.out is not None
    out = Path(config.out)
    as_folder = config.to == "hub" or config.as_folder
    refuse(writable("--out", out) if as_folder else writable_file("--out", out))
    Runtime.start(gpu=False, threads=config.threads)  # graphs are compared with the CPU's pictures
    if config.to in ("onnx", "web"):
        from animegan.exports.onnx_graph import require_onnx

        require_onnx(f"--to {config.to}")
    loaded = checkpoint.load_net(netg_path, "netg")
    {"safetensors": _safetensors, "onnx": _onnx, "web": _web, "hub": _hub}[config.to](
        config, loaded, netg_path, out
    )


def _safetensors(config: "Config", loaded: LoadedNet, netg_path: Path, out: Path) -> None:
    checkpoint.save_safetensors(out, loaded, config.half)
    logger.info(f"{out}: {size(out)}")


def _onnx(config: "Config", loaded: LoadedNet, netg_path: Path, out: Path) -> None:
    from animegan.exports.onnx_graph import OPSET, graph_of

    weights = "int8" if config.int8 else "float16" if config.half else "float32"
    content, difference = graph_of(loaded, str(netg_path), weights, config.pixels == "uint8")
    with aside(out) as half:
        half.write_bytes(content)
    logger.info(f"{out}: {size(out)}, opset {OPSET}, weights {weights}; {difference}")


def _web(config: "Config", loaded: LoadedNet, netg_path: Path, out: Path) -> None:
    from animegan.exports.onnx_graph import graph_of
    from animegan.exports.onnxruntime_web import runtime_files
    from animegan.exports.web_page import write_page

    runtime = runtime_files(None if config.ort is None else Path(config.ort))
    weights = "int8" if config.int8 else "float16"
    graph, difference = graph_of(loaded, str(netg_path), weights, as_bytes=True)
    write_page(out, loaded, str(netg_path), graph, runtime, config.as_folder)
    where = out / "index.html" if config.as_folder else out
    logger.info(f"{where}: {size(out)}, weights {weights}; {difference}")


def _hub(config: "Config", loaded: LoadedNet, netg_path: Path, out: Path) -> None:
    from animegan.exports.hub import write_repository

    assert config.licence is not None
    write_repository(out, loaded, str(netg_path), config.half, config.licence, config.data_card)
    logger.info(f"{out}: {size(out)}; look at README.md, then `hf upload OWNER/NAME {out}`")


def size(path: Path) -> str:
    """Return the size of a file, or of all files in a folder, as text."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
