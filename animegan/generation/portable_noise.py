"""Noise that Python and JavaScript draw alike: one seed is one face on the page and here.

Word k of a seed is mix(mix(seed) ^ mix(k + 0x9E3779B9)) in 32-bit arithmetic, where mix is Wellons'
hash "lowbias32" (https://github.com/skeeto/hash-prospector); u = (word + 1/2) / 2^32. Words 2j and
2j + 1 give values 2j and 2j + 1 by Box and Muller (1958) in float64, rounded to float32.
`animegan/exports/page/noise.js` is the same.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Words = NDArray[np.uint32]


def portable_noise(seeds: Sequence[int], nz: int) -> Tensor:
    """Return the noise of seeds from 0 to 2^32 - 1, float32 [len(seeds), nz] ~ N(0, 1)."""
    pairs = (nz + 1) // 2
    counters = np.arange(2 * pairs, dtype=np.uint32) + np.uint32(0x9E3779B9)
    words = _mix(_mix(np.asarray(seeds, np.uint32)[:, None]) ^ _mix(counters))
    uniform = (words.astype(np.float64) + 0.5) / 2**32
    radius = np.sqrt(-2 * np.log(uniform[:, 0::2]))
    angle = 2 * np.pi * uniform[:, 1::2]
    values = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 2)
    return torch.from_numpy(values.reshape(len(words), -1)[:, :nz].astype(np.float32))


def _mix(words: Words) -> Words:
    words = words ^ (words >> np.uint32(16))
    words = words * np.uint32(0x21F0AAAD)
    words = words ^ (words >> np.uint32(15))
    words = words * np.uint32(0x735A2D97)
    return words ^ (words >> np.uint32(15))
