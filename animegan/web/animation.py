"""Pictures in a row as one moving picture that plays for ever: WebP or GIF."""

import io
from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from animegan.core import images

SIDE = 288  # pixels, at least; small pictures are enlarged by a whole factor
COLOURS = 128  # of a GIF


def animation(pictures: Sequence[Tensor], kind: str, fps: int) -> bytes:
    """Return an animated picture.

    Args:
        pictures: uint8 [C, S, S], at least one.
        kind: "webp" or "gif".
        fps: pictures a second; GIF rounds their duration to hundredths of a second.
    """
    frames = [_enlarged(images.to_pil(picture)).convert("RGB") for picture in pictures]
    how: dict[str, object] = {"quality": 85, "method": 2}
    if kind == "gif":
        # one palette for all, so that colours do not flicker; taken from eight of them
        some = frames[:: max(1, len(frames) // 8)][:8]
        sample = Image.new("RGB", (some[0].width * len(some), some[0].height))
        for k, frame in enumerate(some):
            sample.paste(frame, (k * frame.width, 0))
        palette = sample.quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
        frames = [frame.quantize(palette=palette) for frame in frames]
        how = {"optimize": False}
    buffer = io.BytesIO()
    frames[0].save(buffer, format=kind.upper(), save_all=True, append_images=frames[1:],
                   duration=round(1000 / fps), loop=0, **how)  # fmt: skip
    return buffer.getvalue()


def _enlarged(picture: Image.Image) -> Image.Image:
    factor = -(-SIDE // picture.width)
    return picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.LANCZOS
    )
