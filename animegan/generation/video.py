"""`video`: films that walk through the noise from face to face, and end where they began."""

import logging
import math
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.utils import make_grid

from animegan.core import images
from animegan.core.files import aside
from animegan.core.optional import require
from animegan.generation.candidates import Noise, labels_of
from animegan.generation.generate import chunk_of
from animegan.models.fold import folded
from animegan.runs import checkpoint
from animegan.runtime import modes
from animegan.runtime.device import Runtime

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)

SECONDS_PER_KEY = 2.5
CRF = "18"  # quality of x264, 0 (lossless) to 51: hardly any loss to be seen
WEBP = {"quality": 90, "method": 4}


def spherical(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Interpolate between noise vectors [..., nz] along the sphere; `share` [..., 1] in [0, 1].

    Shoemake 1985, with the norm interpolated linearly: a straight line would pass through vectors
    shorter than any that the generator was trained on, which all look alike.
    """
    length, other_length = one.norm(dim=-1, keepdim=True), other.norm(dim=-1, keepdim=True)
    cosine = (one / length * (other / other_length)).sum(-1, keepdim=True)
    angle = cosine.clamp(-1, 1).acos().clamp(1e-4, math.pi - 1e-4)  # no 0 / 0 for equal vectors
    parts = ((1 - share) * angle).sin() / length, (share * angle).sin() / other_length
    mixed: Tensor = (parts[0] * one + parts[1] * other) / angle.sin()
    return mixed * torch.lerp(length, other_length, share)


def loop(keys: Tensor, count: int) -> Tensor:
    """Return `count` noise vectors [count, nz] on a closed walk through `keys` [K, nz].

    Picture 0 is key 0, and the last is one step before it, so that the film can be repeated.
    """
    place = torch.arange(count, dtype=torch.float64) * len(keys) / count
    before = place.floor().long()
    share = (place - before)[:, None]
    keys = keys.double()
    return spherical(keys[before], keys[(before + 1) % len(keys)], share).float()


def frames(
    netg: nn.Module,
    walks: Tensor,
    labels: Tensor | None,
    zoom: int,
    device: torch.device,
    chunk: int,
) -> Iterator[Tensor]:
    """Draw walks [W, count, nz] with labels [W, A]: yield grids uint8 [3, H, W], one a picture."""
    columns = math.ceil(math.sqrt(walks.shape[0]))
    at_once = max(1, chunk // walks.shape[0])
    for start in range(0, walks.shape[1], at_once):
        some = walks[:, start : start + at_once].transpose(0, 1)  # [pictures, W, nz]
        noise = some.reshape(-1, walks.shape[2], 1, 1).to(device)
        given = () if labels is None else (labels.repeat(some.shape[0], 1).to(device),)
        with modes.evaluating(netg):
            drawn = images.to_uint8(netg(noise, *given)).cpu()
        for pictures in drawn.reshape(*some.shape[:2], *drawn.shape[1:]):
            yield _enlarged(make_grid(pictures, nrow=columns, padding=0), zoom)


def _enlarged(pixels: Tensor, zoom: int) -> Tensor:
    if zoom == 1:
        return pixels
    picture = images.to_pil(pixels)
    size = (picture.width * zoom, picture.height * zoom)
    large = picture.resize(size, Image.Resampling.BICUBIC)
    return torch.frombuffer(bytearray(large.tobytes()), dtype=torch.uint8).view(
        large.height, large.width, -1).permute(2, 0, 1)  # fmt: skip


def film(config: "Config", netg_path: Path) -> None:
    """Run the `video` command. Raises UsageError if the weight file cannot be read."""
    assert config.out is not None
    on = Runtime.start(config.gpu, config.device, config.threads)
    loaded = checkpoint.load_net(netg_path, "netg", on.device)
    keys = config.keys or max(2, round(config.seconds / SECONDS_PER_KEY))
    numbers = range(keys * config.walks)
    given = labels_of(loaded, config.label, str(netg_path))
    noise = Noise(config.seed, loaded.spec.nz, 0, config.gen_std, given)
    by_walk = noise(numbers).reshape(config.walks, keys, loaded.spec.nz)
    labels = None if given is None else given(config.seed, numbers[::keys])
    count = round(config.seconds * config.fps)
    walks = torch.stack([loop(keys_of_one, count) for keys_of_one in by_walk])
    chunk = chunk_of(loaded.spec.image_size, on.device)
    drawn = frames(folded(loaded.net), walks, labels, config.zoom, on.device, chunk)
    start = time.perf_counter()
    out = Path(config.out)
    with aside(out) as half:
        write = write_mp4 if out.suffix.lower() == ".mp4" else write_animation
        write(half, drawn, config.fps, out.suffix.lower()[1:])
    logger.info(
        f"{out}: {count} pictures, {count / config.fps:g} s at {config.fps} a second, made in "
        f"{time.perf_counter() - start:.1f} s; {out.stat().st_size / 1e6:.2f} MB"
    )


def write_mp4(path: Path, drawn: Iterator[Tensor], fps: int, kind: str) -> None:
    """Write pictures as H.264, with colours at half resolution as every player expects."""
    av = require("av", "--out")
    with av.open(str(path), "w", format=kind, options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.options = {"crf": CRF, "preset": "veryfast"}
        stream.pix_fmt = "yuv420p"
        for index, pixels in enumerate(drawn):
            even = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
            array = even.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
            if not index:
                stream.height, stream.width = array.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode())


def write_animation(path: Path, drawn: Iterator[Tensor], fps: int, kind: str) -> None:
    """Write pictures as an endless animated WebP or GIF."""
    pictures = (images.to_pil(pixels) for pixels in drawn)
    how: dict[str, Any] = WEBP if kind == "webp" else {}
    first = next(pictures)
    first.save(
        path, kind, save_all=True, append_images=pictures, duration=1000 / fps, loop=0, **how
    )
