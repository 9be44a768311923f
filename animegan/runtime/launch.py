"""What torchrun tells its processes through environment variables. Does not import torch."""

import os
import re
from dataclasses import dataclass

from animegan.core.errors import refuse

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_NUMBERS = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT",
    "TORCHELASTIC_RESTART_COUNT",
)  # fmt: skip


@dataclass(frozen=True)
class Launch:
    """This process's place among those that torchrun started; by default, a single process."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # rank on this machine
    local_size: int = 1  # number of processes on this machine
    address: str = ""  # host of the rendezvous store
    port: int = 0
    elastic: bool = False  # torchrun hosts the store itself, across restarts
    restarts: int = 0  # how often torchrun has restarted all processes


def launched() -> Launch:
    """Read torchrun's environment variables; without them, return a single process.

    Raises UsageError for one that should be a whole number and is not.
    """
    variables = os.environ
    if not all(variables.get(name) for name in _NEEDED):
        return Launch()
    refuse(
        f"{name} {variables[name]}: not a whole number; torchrun sets it, without torchrun unset it"
        for name in _NUMBERS
        if name in variables and not re.fullmatch(r"\d+", variables[name], re.ASCII)
    )
    rank, size = int(variables["RANK"]), int(variables["WORLD_SIZE"])
    return Launch(
        rank,
        size,
        int(variables.get("LOCAL_RANK", rank)),
        int(variables.get("LOCAL_WORLD_SIZE", size)),
        variables["MASTER_ADDR"],
        int(variables["MASTER_PORT"]),
        variables.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        int(variables.get("TORCHELASTIC_RESTART_COUNT", 0)),
    )
