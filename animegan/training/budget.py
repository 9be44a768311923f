"""`--budget 3h`: choose the preset that gets furthest in this time on this machine.

Each candidate trains on random noise for a few seconds to measure its throughput in pictures per
second. `EXPECTED` holds the quality that each candidate reached after so many pictures
(docs/recipes.md has the runs). The candidate with the lowest expected KID after the pictures that
fit into the budget is chosen; the KID is in Lite2's features, which no discriminator was trained
through. Values are interpolated linearly in the logarithm of the number of pictures; outside the
measured range the nearest value is used, and the plan says so.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from animegan.core.errors import TrainingStopped
from animegan.data.labels import Labels
from animegan.runtime.device import Runtime, synchronize
from animegan.training.build import build_trainer, noise_set
from animegan.training.validation import SHARE

if TYPE_CHECKING:
    from animegan.config.config import Config

SECONDS = 10.0  # trial of each candidate
_RESERVE = 0.05  # share of the budget reserved for grids, states and the end of the run
# largest number of epochs measured for each preset after which it had not become worse
PASSES = {None: 63, "best": 64}


class Measured(NamedTuple):
    """Quality after so many pictures, in Lite0's features and, with the suffix `_2`, in Lite2's.

    The KIDs are multiplied by 1000.
    """

    pictures: int
    fd: float
    kid: float
    kid_2: float


# the best state so far, which --eval-path keeps; the last one can be worse
EXPECTED: Mapping[str | None, tuple[Measured, ...]] = {
    None: (
        Measured(20_352, 206, 2336, 2569),
        Measured(151_360, 95, 897, 972),
        Measured(301_504, 85, 726, 936),
        Measured(612_672, 78, 592, 763),
        Measured(1_202_560, 77, 592, 731),
        Measured(1_793_280, 77, 592, 731),  # the last state itself: 97, 826, 928
    ),
    "best": (  # means of two seeds; the first has one
        Measured(8_896, 57, 439, 739),
        Measured(61_104, 40, 180, 291),
        Measured(127_216, 39, 177, 242),
        Measured(259_760, 36, 160, 214),
        Measured(533_456, 35, 143, 204),
        Measured(804_496, 35, 143, 204),
    ),
}


@dataclass(frozen=True)
class Choice:
    """The chosen preset (None: the defaults), its number of steps, and the lines to print."""

    preset: str | None
    steps: int
    told: tuple[str, ...]


def expected(measured: tuple[Measured, ...], pictures: int) -> tuple[Measured, str]:
    """Return the quality to expect after `pictures`, and a note if that is outside the measured
    range ("" otherwise).
    """
    logs = [math.log(one.pictures) for one in measured]
    at = math.log(max(pictures, 1))
    fd, kid, kid_2 = (float(np.interp(at, logs, [one[k] for one in measured])) for k in (1, 2, 3))
    first, last = measured[0].pictures, measured[-1].pictures
    note = ""
    if pictures < first:
        note = f"or worse: the shortest run measured saw {first:,} pictures"
    if pictures > last:
        note = f"the longest run measured saw {last:,} pictures"
    return Measured(pictures, fd, kid, kid_2), note


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


@dataclass(frozen=True)
class Candidate:
    """The Config that a preset (None: the defaults) gives for a command line.

    `unlike`: flags of options that affect the quality and differ from the preset's.
    """

    preset: str | None
    config: "Config"
    unlike: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """The name to print."""
        return "the defaults" if self.preset is None else f"--preset {self.preset}"


def choose(
    candidates: Sequence[Candidate],
    seconds: float,
    runtime: Runtime,
    labels: Labels | None = None,
    trial: float = SECONDS,
    size: int | None = None,
) -> Choice:
    """Return the most promising candidate after `seconds` of training on `size` pictures.

    `told` has a line per candidate with its throughput and expected quality, and a last line with
    the choice. A candidate without measurements is chosen only if there is no other. Raises
    TrainingStopped if no candidate fits into memory.
    """
    found: list[tuple[float, Candidate, int]] = []
    told = []
    short = TrainingStopped("")
    for one in candidates:
        try:
            speed = rate(one.config, runtime, labels, trial)
        except TrainingStopped as error:
            short = error
            told.append(f"{one.called}: left out ({error})")
            continue
        measuring = SHARE if one.config.eval_path else 0.0
        pictures = speed * seconds * (1 - _RESERVE) / (1 + measuring)
        steps = max(1, int(pictures / one.config.batch_size))
        pictures = steps * one.config.batch_size
        line = f"{one.called}: {speed:.1f} pictures per second here, {pictures:,} in total"
        worth = math.inf
        if one.preset in EXPECTED:
            to_expect, note = expected(EXPECTED[one.preset], pictures)
            worth = to_expect.kid_2
            if one.unlike:
                line += f"; no measurements with this {', '.join(one.unlike)}"
            else:
                line += f"; expected: FD {to_expect.fd:.0f}, KID x 1000 {to_expect.kid:.0f}"
                line += f", {note}" if note else ""
                passes = PASSES[one.preset]
                if size and pictures > passes * size:
                    line += (
                        f"; but that is {pictures // size:,} epochs over {size:,} pictures, and "
                        f"only {passes} are known to help: it may overfit"
                    )
        told.append(line)
        found.append((worth, one, steps))
    if not found:
        raise short
    _, taken, steps = min(found, key=lambda one: one[0])
    told.append(f"chosen: {taken.called}, {steps:,} steps")
    return Choice(taken.preset, steps, tuple(told))
