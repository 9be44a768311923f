"""Pictures as tensors: the only conversion between [-1, 1] and 0-255, grids, and image files."""

import io
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from animegan.core import html
from animegan.core.files import aside

Draw = Callable[[int, int], Tensor]
"""draw(start, count) -> uint8 [count, C, H, W]: pictures start .. start + count - 1 of a set."""


def to_float(pixels: Tensor) -> Tensor:
    """Convert uint8 [..., C, H, W] to float32 in [-1, 1], keeping shape and memory format."""
    return pixels.to(torch.float32).mul_(2 / 255).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Convert float [..., C, H, W] in [-1, 1] to uint8, rounding to nearest and clamping."""
    return images.detach().float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def grid(pixels: Tensor, columns: int = 8, padding: int = 2) -> Tensor:
    """Arrange uint8 [N, C, H, W] in a uint8 [3, H', W'] grid, row by row with black lines.

    A single picture has no lines around it. As `torchvision.utils.make_grid`, whose import would
    take as long as that of torch.
    """
    count, _, height, width = pixels.shape
    pixels = pixels.cpu().expand(-1, 3, -1, -1)
    if count == 1:
        return pixels[0]
    columns = min(columns, count)
    rows = -(-count // columns)
    tall, wide = height + padding, width + padding
    sheet = pixels.new_zeros(3, rows * tall + padding, columns * wide + padding)
    for k, picture in enumerate(pixels):
        top, left = k // columns * tall + padding, k % columns * wide + padding
        sheet[:, top : top + height, left : left + width] = picture
    return sheet


def to_pil(pixels: Tensor) -> Image.Image:
    """Convert uint8 [C, H, W] with 1 or 3 channels to a greyscale or RGB Pillow image."""
    array = pixels.cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def data_uri(pixels: Tensor, **how: object) -> str:
    """uint8 [C, H, W] as PNG inside a page: what stands for the address of a picture."""
    return html.data_uri(to_pil(pixels), "PNG", **how)


def png(pixels: Tensor) -> bytes:
    """Return uint8 [C, H, W] as the bytes of the PNG file that `save_picture` writes."""
    buffer = io.BytesIO()
    to_pil(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def save_picture(pixels: Tensor, path: str | Path, **how: object) -> None:
    """Write uint8 [C, H, W] atomically, in the format that the suffix implies.

    The folder must exist: a run whose folder has been removed must not recreate half of it.
    """
    path = Path(path)
    kind = Image.registered_extensions()[path.suffix.lower()]
    with aside(path) as half:
        to_pil(pixels).save(half, format=kind, **how)
