"""Options of the commands that take a generator elsewhere: exports and films."""

from dataclasses import dataclass
from typing import ClassVar

from animegan.config.options import option

FORMATS = ("safetensors", "onnx", "web", "hub")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    heading: ClassVar = "Exporting"

    # fmt: off
    to: str | None = option(
        None, "what to make: safetensors (weights for other programs), onnx (a graph), web (a page "
        "that draws in the browser) or hub (a repository for the Hugging Face Hub)",
        on="export", choices=FORMATS, scope="call")
    half: bool = option(
        False, "weights in float16, half the size; web has them so anyway", on="export",
        scope="call")
    int8: bool = option(
        False, "weights in 8 bits with a scale per channel, a quarter of the size; onnx and web",
        on="export", scope="call")
    pixels: str = option(
        "uint8", "pictures that the onnx graph returns: uint8 [N, H, W, C] from 0 to 255, or float "
        "[N, C, H, W] from -1 to 1", on="export", choices=("uint8", "float"), scope="call")
    as_folder: bool = option(
        False, "web: write the parts apart, into a directory that a web server shows",
        on="export", scope="call")
    ort: str | None = option(
        None, "web: local copy of onnxruntime-web's npm archive (default: npm fetches it once)",
        on="export", path=True, scope="call")
    licence: str | None = option(
        None, "hub: licence of the weights, as the Hub names it, such as cc-by-nc-4.0 or other",
        on="export", scope="call")
    data_card: str | None = option(
        None, "hub: what the generator was trained on, in your words, for the model card",
        on="export", scope="call")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    heading: ClassVar = "Films"

    # fmt: off
    seconds: float = option(
        20, "length of the film", on="video", above=0, high=3600, scope="call")
    fps: int = option(30, "pictures per second", on="video", low=1, high=120, scope="call")
    keys: int | None = option(
        None, "faces that each walk passes (default: one every 2.5 seconds)", on="video", low=2,
        high=10_000, scope="call")
    walks: int = option(
        1, "walks to show at once, in a grid", on="video", low=1, high=256, scope="call")
    zoom: int = option(
        3, "enlarge each picture this many times", on="video", low=1, high=16, scope="call")
    # fmt: on
