"""Texts that options hold, read without torch so that a wrong one is refused at once.

Each function raises ValueError, whose message says what the option takes.
"""

import re
from dataclasses import dataclass

POLICIES = ("color", "translation", "cutout")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds per unit of --budget
MOST_INDICES = 10**7


def parse(text: str) -> tuple[str, ...]:
    """Return the augmentations that `--augment` names: () for none, all of them for auto."""
    if text in ("none", "auto"):
        return POLICIES if text == "auto" else ()
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= set(POLICIES):
        raise ValueError(f"got '{text}'; it takes none, auto, or some of {','.join(POLICIES)}")
    return names


def seconds_of(text: str) -> float:
    """Convert "90s", "30m", "1.5h" or "2d" to seconds: above 0, at most 365 days."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip().lower(), re.ASCII)
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= 365 * UNITS["d"]:
        raise ValueError(f"got '{text[:40]}'; it takes a time such as 30m, 3h or 1d, at most 365d")
    return seconds


def parse_indices(text: str) -> list[int]:
    """Return the candidates that `3,17,40-44` numbers, in that order."""
    indices: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if last < first:
            raise ValueError(f"got '{text}': '{part}' is not an index; write 3,17,40-44")
        if len(indices) + last - first >= MOST_INDICES:
            raise ValueError(f"got '{text}': more than {MOST_INDICES:,} pictures; give fewer")
        indices += range(first, last + 1)
    return indices


@dataclass(frozen=True)
class Ends:
    """What `--schedule` says: where values end that follow a cosine over the run.

    lr, penalty: final learning rates and penalty weights, as shares of the initial ones, 0 to 1.
    beta2: final value of Adam's beta2; None leaves it as it is.
    until: the share of the run after which all of them stay constant, above 0, at most 1.
    """

    lr: float = 1.0
    beta2: float | None = None
    penalty: float = 1.0
    until: float = 1.0

    @property
    def moves(self) -> bool:
        """Whether anything changes over the run."""
        return self.lr != 1 or self.penalty != 1 or self.beta2 is not None

    def __str__(self) -> str:
        """The text that `parse_schedule` reads, with only what differs from `none`."""
        if not self.moves:
            return "none"
        usual = vars(Ends())
        return ",".join(f"{key}={value!r}" for key, value in vars(self).items()
                        if value != usual[key])  # fmt: skip


def parse_schedule(text: str) -> Ends:
    """Return the ends that `lr=0.25,beta2=0.99,penalty=0.1,until=0.5` sets; `none` sets none."""
    if text.strip().lower() == "none":
        return Ends()
    wrong = ValueError(
        f"got '{text}'; it takes none, or some of lr=0.25,beta2=0.99,penalty=0.1,until=0.5, "
        "numbers from 0 to 1"
    )
    values: dict[str, float] = {}
    for part in text.split(","):
        key, _, number = part.partition("=")
        key = key.strip()
        try:
            value = float(number)
        except ValueError:
            raise wrong from None
        low, high = (value > 0 if key == "until" else value >= 0), value <= 1
        if key == "beta2":
            high = value <= 0.999999
        if key not in vars(Ends()) or key in values or not (low and high):
            raise wrong
        values[key] = value
    ends = Ends(**values)
    if not ends.moves:  # `until` alone
        raise wrong
    return ends
