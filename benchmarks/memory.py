"""Memory of a process of its own, so that what ran before does not count. Linux only."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any


def megabytes(field: str) -> float:
    """A size in /proc/self/status: VmHWM is the peak, RssAnon what the system cannot take back.

    Not resource.getrusage: its peak is inherited from the process that started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns in a fresh interpreter."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
