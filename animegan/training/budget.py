"""`--budget 3h`: choose the preset that gets furthest in this time on this machine.

Each preset that fits the command line trains on random noise for a few seconds to measure its
throughput in pictures per second. `EXPECTED` holds the quality that each reached after so many
pictures (docs/recipes.md has the runs). The one with the lowest expected KID after the pictures
that fit into the budget is chosen; the KID is in Lite2's features, which no discriminator was
trained through. Values are interpolated linearly in the logarithm of the number of pictures. There
is no number for less than the shortest run measured; beyond the longest its value is used, and the
plan says so. Everything that can be refused is refused before any time is spent on trials.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from animegan.config.config import OPTIONS, Config
from animegan.config.options import Layer
from animegan.config.resolve import Resolved, resolve, typed
from animegan.config.values import seconds_of
from animegan.core.errors import TrainingStopped, UsageError
from animegan.data.folder import Listing
from animegan.data.labels import Labels
from animegan.runtime.device import Runtime
from animegan.training.agreement import check
from animegan.training.throughput import SECONDS, rate
from animegan.training.validation import SHARE

logger = logging.getLogger(__name__)

_RESERVE = 0.05  # share of the budget reserved for grids, states and the end of the run
# largest number of epochs measured for each preset after which it had not become worse
PASSES = {"scratch": 63, "best": 64}
SMALLEST = {"scratch": 19_000, "best": 1_000}  # set measured with each preset, in pictures
# what samples of a Fréchet distance up to this look like, in Lite0's features
LOOKS = ((60.0, "faces"), (120.0, "rough faces"), (math.inf, "blobs"))


class Measured(NamedTuple):
    """Quality after so many pictures, in Lite0's features and, with the suffix `_2`, in Lite2's.

    The KIDs are multiplied by 1000.
    """

    pictures: int
    fd: float
    kid: float
    kid_2: float


# the best state so far, which --eval-path keeps; the last one can be worse
EXPECTED: Mapping[str, tuple[Measured, ...]] = {
    "scratch": (
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
class Candidate:
    """The Config that a preset gives for a command line.

    `unlike`: flags of options that affect the quality and differ from the preset's.
    """

    preset: str
    config: Config
    unlike: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name to print."""
        return f"--preset {self.preset}"


@dataclass(frozen=True)
class Choice:
    """The chosen preset, its number of steps, and the lines to print."""

    preset: str
    steps: int
    lines: tuple[str, ...]


def within_budget(resolved: Resolved, listing: Listing) -> tuple[Config, dict[str, str]]:
    """Return the config and sources of the best training that fits into --budget.

    Presets that conflict with the command line are left out, with a message. The result holds the
    chosen preset and number of steps but no budget, so resuming or repeating the run measures
    nothing again. Raises UsageError if every preset conflicts.
    """
    config, under = resolved.config, resolved.under
    seconds = seconds_of(config.budget or "")
    source = f"budget {config.budget}"
    runtime = Runtime.start_together(config.gpu, config.device, config.threads).at(config.precision)
    candidates, refused, labels = [], [], None
    named = resolved.typed.value("preset")
    for name in (*EXPECTED,) if named is None else (named,):
        preset = Layer(source, {"preset": name})
        try:
            own, _ = resolve("train", resolved.typed, *under, preset)
            labels = check(own, listing)
        except UsageError as error:
            refused.append((name, error))
            continue
        places = {"data_path": own.data_path, "runs_path": own.runs_path}
        bare, _ = resolve("train", typed("train", places), preset)
        candidates.append(Candidate(name, own, _unlike(own, bare)))
    if not candidates:
        raise refused[0][1]
    for name, why in refused:
        logger.info(f"{Candidate(name, config).title}: left out ({why.problems[0]})")
    trial = min(SECONDS, seconds / 40)
    choice = choose(_different(candidates), seconds, runtime, labels, trial, len(listing.names))
    for line in choice.lines:
        logger.info(line)
    bought = {
        "budget": None,
        "max_steps": choice.steps,
        "max_minutes": seconds / 60,
        "max_epoch": OPTIONS["max_epoch"].high,  # only the number of steps limits the run
    }
    preset = Layer(source, {"preset": choice.preset})
    config, sources = resolve("train", resolved.typed, *under, preset, over=[Layer(source, bought)])
    return config, {name: layer for name, layer in sources.items() if name != "budget"}


def _unlike(config: Config, other: Config) -> tuple[str, ...]:
    """Return the flags of the options that affect the quality in which the two differ."""
    return tuple(
        option.flag
        for name, option in OPTIONS.items()
        if "train" in option.on and option.quality and getattr(config, name) != getattr(other, name)
    )


def _different(candidates: list[Candidate]) -> list[Candidate]:
    """Drop duplicates: of candidates that would train alike, keep the one closest to its preset."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda candidate: len(candidate.unlike)):
        if all(_unlike(candidate.config, other.config) for other in kept):
            kept.append(candidate)
    return [candidate for candidate in candidates if candidate in kept]


def choose(
    candidates: Sequence[Candidate],
    seconds: float,
    runtime: Runtime,
    labels: Labels | None = None,
    trial: float = SECONDS,
    size: int | None = None,
) -> Choice:
    """Return the most promising candidate after `seconds` of training on `size` pictures.

    `lines` has one per candidate with its throughput and what to expect, and a last one with the
    choice. A candidate without measurements is chosen only if there is no other. Raises
    TrainingStopped if no candidate fits into memory.
    """
    fitting: list[tuple[float, Candidate, int]] = []
    lines = []
    short = TrainingStopped("")
    for candidate in candidates:
        try:
            speed = rate(candidate.config, runtime, labels, trial)
        except TrainingStopped as error:
            short = error
            lines.append(f"{candidate.title}: left out ({error})")
            continue
        config, preset = candidate.config, candidate.preset
        measuring = SHARE if config.eval_path else 0.0
        steps = max(1, int(speed * seconds * (1 - _RESERVE) / (1 + measuring) / config.batch_size))
        pictures = steps * config.batch_size
        line = f"{candidate.title}: {speed:.1f} pictures per second here, {pictures:,} in total"
        worth = math.inf
        if preset in EXPECTED:
            worth = expected(EXPECTED[preset], pictures).kid_2
            line += f"; {forecast(candidate, pictures, speed, size)}"
        lines.append(line)
        fitting.append((worth, candidate, steps))
    if not fitting:
        raise short
    _, taken, steps = min(fitting, key=lambda entry: entry[0])
    lines.append(f"chosen: {taken.title}, {steps:,} steps")
    return Choice(taken.preset, steps, tuple(lines))


def expected(measured: Sequence[Measured], pictures: int) -> Measured:
    """Return the quality after `pictures`; outside the measured range, the nearest one measured."""
    logs = [math.log(row.pictures) for row in measured]
    at = math.log(max(pictures, 1))
    fd, kid, kid_2 = (float(np.interp(at, logs, [row[k] for row in measured])) for k in (1, 2, 3))
    return Measured(pictures, fd, kid, kid_2)


def looks(fd: float) -> str:
    """Return what samples of this Fréchet distance look like, in a word."""
    return next(word for limit, word in LOOKS if fd <= limit)


def pictures_until(measured: Sequence[Measured], fd: float) -> int | None:
    """Return after how many pictures the Fréchet distance is down to `fd`; None if it never was.

    The shortest run's number if it was there already.
    """
    reached = [k for k, row in enumerate(measured) if row.fd <= fd]
    if not reached:
        return None
    after = measured[reached[0]]
    if reached[0] == 0:
        return after.pictures
    before = measured[reached[0] - 1]
    part = (before.fd - fd) / (before.fd - after.fd)
    return round(
        math.exp(np.interp(part, (0, 1), (math.log(before.pictures), math.log(after.pictures))))
    )


def forecast(candidate: Candidate, pictures: int, speed: float, size: int | None = None) -> str:
    """Say what to expect of a preset after `pictures`, at `speed` pictures per second.

    In words and, within the range that was measured, in numbers; with what limits it: options of
    other values, or a set of `size` pictures that is smaller or seen more often than measured.
    """
    if candidate.unlike:
        return f"no measurements with this {', '.join(candidate.unlike)}"
    measured = EXPECTED[candidate.preset]
    first, last = measured[0], measured[-1]
    quality = expected(measured, pictures)
    if pictures < first.pictures:
        parts = [f"expected: blobs, far from FD {first.fd:.0f} after {first.pictures:,}, the "
                 "fewest measured"]  # fmt: skip
    else:
        word = looks(quality.fd)
        parts = [f"expected: {word}, FD {quality.fd:.0f}, KID x 1000 {quality.kid:.0f}"]
    if pictures > last.pictures:
        parts.append(f"the longest run measured saw {last.pictures:,} pictures")
    for limit, word in LOOKS[:-1]:
        enough = pictures_until(measured, limit)
        if enough is not None:
            if enough > pictures:
                minutes = max(1, math.ceil(enough / speed / 60))
                parts.append(f"{word} from about {minutes:,} minutes on this machine")
            break
    if size and size < SMALLEST[candidate.preset]:
        parts.append(
            f"measured with {SMALLEST[candidate.preset]:,} pictures or more, and fewer, such as "
            f"these {size:,}, give less variety"
        )
    if size and pictures > PASSES[candidate.preset] * size:
        parts.append(
            f"but that is {pictures // size:,} epochs over {size:,} pictures, and only "
            f"{PASSES[candidate.preset]} are known to help: it may overfit"
        )
    return "; ".join(parts)
