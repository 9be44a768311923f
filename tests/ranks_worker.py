"""Several processes that meet, for tests of what they compute together."""

import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from animegan import runtime


def together(work, folder, size=2, **others):
    """`work(on, folder, **others)` on `size` processes that have met; [what each returns]."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True)
    store.set("animegan/round/asks/1", "left by one that is gone")
    mp.spawn(_process, (work, folder, size, store.port, others), nprocs=size)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _process(rank, work, folder, size, port, others):
    os.environ |= {
        "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    on = runtime.start_together(gpu=False, threads=1)
    torch.save(work(on, folder, **others), folder / f"{rank}.pt")
    on.ranks.leave()
