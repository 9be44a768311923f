"""Quality measures of a picture as the network would see it, and the limits they must meet."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

NO_DETAIL = -60.0  # dB, for pictures enlarged by repeating pixels
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Measures:
    """Measures of one picture of mode RGB or L. Hashes and digest are hexadecimal."""

    sharpness: float  # variance of luma's Laplacian / variance of luma; lower if blurred
    spread: float  # standard deviation of luma, 0 to 127
    colour: float  # mean of max(R, G, B) - min(R, G, B), 0 to 255
    detail: float  # dB: power of the highest frequencies relative to low ones
    phash: str  # perceptual hash, 256 bits
    mirrored: str  # phash of the mirrored picture
    digest: str  # hash of the pixels


@dataclass(frozen=True)
class Limits:
    """Limits for keeping a face. The defaults were chosen on real faces of 96 px."""

    min_score: float = 0.35
    min_size: int = 96
    min_spread: float = 12.0
    min_colour: float = 6.0
    min_sharpness: float = 0.03
    min_detail: float = -37.5
    near: int = 56  # near duplicates differ in at most this many of 256 bits; 0: exact ones only


def measure(picture: Image.Image) -> Measures:
    """Measure a picture at its own size."""
    luma = np.asarray(picture.convert("L"), dtype=np.float32)
    return Measures(
        sharpness=round(sharpness(luma), 5),
        spread=round(float(luma.std()), 2),
        colour=round(colourfulness(picture), 2),
        detail=round(detail(luma), 2),
        phash=perceptual_hash(picture),
        mirrored=perceptual_hash(ImageOps.mirror(picture)),
        digest=hashlib.blake2b(
            picture.tobytes() + str((picture.mode, picture.size)).encode(), digest_size=16
        ).hexdigest(),
    )


def sharpness(luma: Floats) -> float:
    """Return the variance of the 4-neighbour Laplacian (Pech-Pacheco et al., ICPR 2000).

    It is divided by the variance of luma, and so independent of contrast. 0 below 3 px.
    """
    if min(luma.shape) < 3:
        return 0.0
    laplacian = (
        luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    )
    return float(laplacian.var() / max(luma.var(), 1.0))


def colourfulness(picture: Image.Image) -> float:
    """Return the mean over pixels of max(R, G, B) - min(R, G, B), 0 to 255; 0 for mode L."""
    if picture.mode == "L":
        return 0.0
    pixels = np.asarray(picture)
    return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())


def detail(luma: Floats) -> float:
    """Return the power at 0.45-0.5 cycles per pixel relative to 0.05-0.15, in dB (Hann window).

    Enlarged pictures have almost no power at the highest frequencies. Those enlarged by repeating
    pixels do; they are recognised by equal neighbours and get NO_DETAIL.
    """
    height, width = luma.shape
    if min(height, width) < 16 or luma.std() < 1:
        return 0.0
    if _repeats(luma) or _repeats(luma.T):
        return NO_DETAIL
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    power = np.abs(np.fft.rfft2((luma - luma.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    fine = power[(radius >= 0.45) & (radius <= 0.5)].mean()
    coarse = power[(radius >= 0.05) & (radius < 0.15)].mean()
    return float(max(10 * np.log10((fine + 1e-12) / (coarse + 1e-12)), NO_DETAIL))


def _repeats(luma: Floats) -> bool:
    """Whether columns come in groups of 2, 3 or 4 equal ones."""
    steps = np.abs(np.diff(luma, axis=1)).mean(axis=0)
    if steps.max() < 1:
        return False
    for factor in (2, 3, 4):
        between = [steps[i] for i in range(len(steps)) if (i + 1) % factor]
        if max(between) < 0.01 * steps.max():
            return True
    return False


def perceptual_hash(picture: Image.Image) -> str:
    """Return the signs of 16 x 16 low frequencies, as 64 hexadecimal digits.

    The DCT hash of Zauner (2010), equal to imagehash's `phash(picture, hash_size=16)`: which
    coefficients of the picture at 64 x 64, in grey, are above their median.
    """
    small = picture.convert("L").resize((64, 64), Image.Resampling.LANCZOS)
    low = _COSINES @ np.asarray(small, np.float64) @ _COSINES.T
    low = low.round(6)  # 0, not a rounding error, where a picture has no such frequency
    return np.packbits(low > np.median(low)).tobytes().hex()


# rows of the type 2 discrete cosine transform of 64 values
_COSINES = np.cos(np.pi * np.outer(np.arange(16), 2 * np.arange(64) + 1) / 128)


def why_dropped(size: int, score: float, measures: Measures, limits: Limits) -> str | None:
    """Return the name of the first limit that a face fails, or None."""
    if size < limits.min_size:
        return "too small"
    if score < limits.min_score:
        return "low score"
    if measures.spread < limits.min_spread:
        return "uniform"
    if measures.colour < limits.min_colour:
        return "grey"
    if measures.sharpness < limits.min_sharpness:
        return "blurred"
    if measures.detail < limits.min_detail:
        return "upscaled"
    return None
