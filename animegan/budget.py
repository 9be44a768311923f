"""`--budget 3h`: which preset to train for so long on this machine, and what to expect of it.

Each candidate trains on pictures of noise for a few seconds, which tells how many pictures a second
the machine gives it. `EXPECTED` holds what the candidates were worth after how many pictures
(docs/recipes.md has the runs). The one whose KID in Lite2's features, through which none of them
looked, is lowest at the number that the budget buys is taken. Between measured numbers the values
run straight over the logarithm of the pictures; beyond them the nearest one stands, and the plan
says so.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from animegan import runtime
from animegan.errors import TrainingStopped
from animegan.labels import Labels
from animegan.runtime import Runtime
from animegan.trial import noise_set, trainer_of

if TYPE_CHECKING:
    from config import Config

SECONDS = 10.0  # of trial for each candidate
_RESERVE = 0.05  # of the time is for grids, states and the end
PASSES = {None: 32, "best": 64}  # over the set, the most that was measured of each


class Measured(NamedTuple):
    """A recipe's worth after so many pictures, in Lite0's features and (`_2`) in Lite2's.

    KID x 1000.
    """

    pictures: int
    fd: float
    kid: float
    kid_2: float


EXPECTED: Mapping[str | None, tuple[Measured, ...]] = {
    None: (
        Measured(20_352, 206, 2336, 2569),
        Measured(151_360, 95, 897, 972),
        Measured(301_504, 85, 726, 936),
        Measured(612_672, 78, 592, 763),
    ),
    "best": (  # means of two seeds; the first is one's, and so is the last, which was no better
        Measured(8_896, 57, 439, 739),
        Measured(61_104, 40, 180, 291),
        Measured(127_216, 39, 177, 242),
        Measured(259_760, 36, 160, 214),
        Measured(799_552, 36, 160, 214),
    ),
}


@dataclass(frozen=True)
class Choice:
    """A preset (None: the defaults) and the steps that the budget buys it."""

    preset: str | None
    steps: int
    told: tuple[str, ...]


def expected(measured: tuple[Measured, ...], pictures: int) -> tuple[Measured, str]:
    """(what to expect, "" or how far off the measured ones `pictures` is)."""
    logs = [math.log(one.pictures) for one in measured]
    at = math.log(max(pictures, 1))
    fd, kid, kid_2 = (float(np.interp(at, logs, [one[k] for one in measured])) for k in (1, 2, 3))
    first, last = measured[0].pictures, measured[-1].pictures
    note = ""
    if pictures < first:
        note = f"or worse: the shortest run measured saw {first:,} pictures"
    if pictures > last:
        note = f"or better: the longest run measured saw {last:,} pictures"
    return Measured(pictures, fd, kid, kid_2), note


def rate(
    config: "Config", on: Runtime, labels: Labels | None = None, seconds: float = SECONDS
) -> float:
    """Pictures a second that a training of `config` sees here, on pictures of noise.

    `labels` of the set that it is to train on, if nets learn them. Raises TrainingStopped where
    there is too little memory.
    """
    noise = noise_set(2 * config.batch_size, config.image_size, config.channels)
    if labels is not None:
        rows = labels.rows[torch.arange(len(noise)) % len(labels.rows)]
        labels = replace(labels, rows=rows, names=noise.files)
    trainer = trainer_of(config, noise, on, labels)
    every = max(config.d_every, config.g_every)
    most = 4 * seconds  # for the cycle that warms up, and again with the one that is over the time
    warm = time.monotonic()
    while trainer.step < every and time.monotonic() - warm < most:
        trainer.train_batch()
    runtime.wait(on.device)
    begun, first, spent = time.monotonic(), trainer.step, 0.0
    while (spent < seconds or (trainer.step - first) % every) and spent < most:
        trainer.train_batch()
        if (trainer.step - first) % every == 0:
            runtime.wait(on.device)
        spent = time.monotonic() - begun
    runtime.wait(on.device)
    return (trainer.step - first) * config.batch_size / (time.monotonic() - begun)


@dataclass(frozen=True)
class Candidate:
    """What a preset (None: the defaults) makes of a command line.

    `unlike`: flags of the options that matter to the faces and are not as the preset has them.
    """

    preset: str | None
    config: "Config"
    unlike: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        return "the defaults" if self.preset is None else f"--preset {self.preset}"


def choose(
    candidates: Sequence[Candidate],
    seconds: float,
    on: Runtime,
    labels: Labels | None = None,
    trial: float = SECONDS,
    size: int | None = None,
) -> Choice:
    """The candidate that is worth most after `seconds`, of training on a set of that `size`.

    `told` says of each what it would see and what to expect; the choice comes last. One of which
    nothing was measured is taken only alone. Raises TrainingStopped where none has the memory.
    """
    found: list[tuple[float, Candidate, int]] = []
    told = []
    short = TrainingStopped("")
    for one in candidates:
        try:
            speed = rate(one.config, on, labels, trial)
        except TrainingStopped as error:
            short = error
            told.append(f"{one.called}: left out ({error})")
            continue
        measuring = one.config.eval_share if one.config.eval_path else 0.0
        pictures = speed * seconds * (1 - _RESERVE) / (1 + measuring)
        steps = max(1, int(pictures / one.config.batch_size))
        pictures = steps * one.config.batch_size
        line = f"{one.called}: {speed:.1f} pictures a second here, {pictures:,} in all"
        worth = math.inf
        if one.preset in EXPECTED:
            to_expect, note = expected(EXPECTED[one.preset], pictures)
            worth = to_expect.kid_2
            if one.unlike:
                line += f"; what to expect was not measured with this {', '.join(one.unlike)}"
            else:
                line += f"; to expect: FD {to_expect.fd:.0f}, KID x 1000 {to_expect.kid:.0f}"
                line += f", {note}" if note else ""
                passes = PASSES[one.preset]
                if size and pictures > passes * size:
                    line += (
                        f"; but the {size:,} would be seen {pictures // size:,} times, of which "
                        f"{passes} were measured: they may be learned by heart"
                    )
        told.append(line)
        found.append((worth, one, steps))
    if not found:
        raise short
    _, taken, steps = min(found, key=lambda one: one[0])
    told.append(f"taken: {taken.called}, {steps:,} steps")
    return Choice(taken.preset, steps, tuple(told))
