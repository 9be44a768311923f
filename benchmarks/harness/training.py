"""Shared by benchmarks that train: trainers from options, their speed and samples, subsets."""

import dataclasses
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animegan import models
from animegan.config.config import Config
from animegan.config.derived import penalised, spec_of
from animegan.config.resolve import resolve
from animegan.core.images import to_uint8
from animegan.data.face_set import FaceSet
from animegan.data.labels import Labels
from animegan.evaluation.extractors import BATCH
from animegan.generation.candidates import Noise
from animegan.runtime.device import Runtime
from animegan.training import build
from animegan.training.step.gan_trainer import GanTrainer

NO_AIDS: dict[str, Any] = {"flip": False, "augment": "none", "ema": 0}
DCGAN: dict[str, Any] = {"net": "dcgan", "loss": "bce"}
TEXTBOOK: dict[str, Any] = {**DCGAN, **NO_AIDS, "ngf": 64, "ndf": 64}
TRIAL = 5.0  # CPU seconds


def config_of(given: Mapping[str, Any], steps: int | None = None) -> Config:
    """Return the Config of some options, planned for `steps`. Raises UsageError like `train`."""
    words = {"data_path": "data", "vis": False, **given}
    if steps:
        words |= {"max_steps": steps, "max_epoch": 10**6}
    config, _ = resolve("train", {name: str(value) for name, value in words.items()})
    models.check(spec_of(config), penalised(config))
    return config


def trainer_of(
    config: Config, faces: FaceSet, runtime: Runtime | None = None, labels: Labels | None = None
) -> GanTrainer:
    """Return a trainer at step 0 on `on`, by default the CPU with `config.threads` threads."""
    runtime = runtime or Runtime.start(gpu=False, threads=config.threads)
    return build.build_trainer(config, faces, runtime, labels)


def speed(
    config: Config, faces: FaceSet, runtime: Runtime | None = None, labels: Labels | None = None
) -> float:
    """Return batches per CPU second of this process, from a discarded trial."""
    trainer = trainer_of(config, faces, runtime, labels)
    trainer.train_batch()
    begun = time.process_time()
    while time.process_time() - begun < TRIAL or trainer.step < 11:
        trainer.train_batch()
    return (trainer.step - 1) / (time.process_time() - begun)


def samples(trainer: GanTrainer, count: int) -> Tensor:
    """Return the first `count` images of seed 0, uint8 [count, C, S, S]."""
    noise = Noise(0, trainer.config.nz)
    chunks = (range(k, min(count, k + BATCH)) for k in range(0, count, BATCH))
    return torch.cat([to_uint8(trainer.sample(noise(chunk))) for chunk in chunks])


def part(faces: FaceSet, chosen: NDArray[np.bool_]) -> FaceSet:
    """Return the images selected by a mask [N]."""
    files = tuple(np.array(faces.files)[chosen])
    images, labels = faces.images[chosen], faces.labels[chosen]
    return dataclasses.replace(faces, images=images, labels=labels, files=files)


def some(faces: FaceSet, count: int, seed: int) -> NDArray[np.bool_]:
    """Return a mask [N] that selects `count` random images."""
    mask = np.zeros(len(faces), dtype=bool)
    mask[np.random.RandomState(seed).permutation(len(faces))[:count]] = True
    return mask


def commit() -> str:
    """Return the commit of the running code."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
