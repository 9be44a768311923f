"""How fast a training runs on this machine, timed on random noise."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from animegan.data.face_set import FaceSet
from animegan.data.labels import Labels
from animegan.runtime.device import Runtime, synchronize
from animegan.training.build import build_trainer

if TYPE_CHECKING:
    from animegan.config.config import Config

SECONDS = 10.0  # of a trial


def rate(
    config: "Config", runtime: Runtime, labels: Labels | None = None, seconds: float = SECONDS
) -> float:
    """Measure the throughput of training with `config` here, in pictures per second, on noise.

    `labels` are those of the training set, for a conditional training. Raises TrainingStopped if
    there is too little memory.
    """
    noise = noise_set(2 * config.batch_size, config.image_size, config.channels)
    if labels is not None:
        rows = labels.rows[torch.arange(len(noise)) % len(labels.rows)]
        labels = replace(labels, rows=rows, names=noise.files)
    trainer = build_trainer(config, noise, runtime, labels)
    every = max(config.d_every, config.g_every)
    most = 4 * seconds  # limit for warming up, and again for measuring until a cycle is complete
    warm = time.monotonic()
    while trainer.step < every and time.monotonic() - warm < most:
        trainer.train_batch()
    synchronize(runtime.device)
    begun, first, spent = time.monotonic(), trainer.step, 0.0
    while (spent < seconds or (trainer.step - first) % every) and spent < most:
        trainer.train_batch()
        if (trainer.step - first) % every == 0:
            synchronize(runtime.device)
        spent = time.monotonic() - begun
    synchronize(runtime.device)
    return (trainer.step - first) * config.batch_size / (time.monotonic() - begun)


def noise_set(count: int, size: int, channels: int = 3) -> FaceSet:
    """Return a set of uniform noise, uint8 [count, size, size, channels], for timing."""
    source = np.random.default_rng(0)
    pixels = source.integers(0, 256, (count, size, size, channels), np.uint8)
    files = tuple(f"{k}.png" for k in range(count))
    return FaceSet(pixels, np.zeros(count, np.int64), ("faces",), files, ())
