"""Run a function in several processes on this machine, joined like those of torchrun."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from animegan.runtime.device import Runtime


def together(
    work: Callable[..., Any], folder: Path, size: int = 2, left: tuple[str, ...] = (), **others: Any
) -> list[Any]:
    """Run `work(runtime, folder, **others)` in a group of processes; return the result of each.

    Args:
        work: called in each process with its Runtime; each process has one thread.
        folder: folder for the results.
        size: number of processes.
        left: keys that their store already contains, as after a restart.
        others: further arguments of `work`.
    """
    store = dist.TCPStore("127.0.0.1", 0, is_master=True)
    for key in left:
        store.set(key, "left by one that is gone")
    mp.spawn(_process, (work, folder, size, store.port, others), nprocs=size)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _process(
    rank: int, work: Callable[..., Any], folder: Path, size: int, port: int, others: dict[str, Any]
) -> None:
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    runtime = Runtime.start_together(gpu=False, threads=1)
    torch.save(work(runtime, folder, **others), folder / f"{rank}.pt")
    runtime.group.leave()
