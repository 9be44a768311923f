"""What torchrun tells the processes it starts, by their environment. Needs no torch."""

import os
import re
from dataclasses import dataclass

from animegan.errors import refuse

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_NUMBERS = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT",
    "TORCHELASTIC_RESTART_COUNT",
)  # fmt: skip


@dataclass(frozen=True)
class Launch:
    """This process among those that torchrun started; the defaults are those of a process alone."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among those of this machine
    local_size: int = 1
    address: str = ""  # where the processes meet
    port: int = 0
    elastic: bool = False  # torchrun itself keeps the meeting place, also over restarts
    restarts: int = 0  # how often torchrun has started all processes anew


def launched() -> Launch:
    """What the environment says; a process alone where torchrun has set nothing.

    Raises UsageError for what should be a number and is none.
    """
    said = os.environ
    if not all(said.get(name) for name in _NEEDED):
        return Launch()
    refuse(
        f"{name} {said[name]}: not a whole number; torchrun sets it, without torchrun unset it"
        for name in _NUMBERS
        if name in said and not re.fullmatch(r"\d+", said[name], re.ASCII)
    )
    rank, size = int(said["RANK"]), int(said["WORLD_SIZE"])
    return Launch(
        rank,
        size,
        int(said.get("LOCAL_RANK", rank)),
        int(said.get("LOCAL_WORLD_SIZE", size)),
        said["MASTER_ADDR"],
        int(said["MASTER_PORT"]),
        said.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        int(said.get("TORCHELASTIC_RESTART_COUNT", 0)),
    )
