"""Measure memory in separate processes, so that earlier work does not count. Linux only."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any


def megabytes(field: str) -> float:
    """Return a size from /proc/self/status: VmHWM (peak) or RssAnon (not reclaimable), in MB.

    resource.getrusage does not help: its peak is inherited from the parent process.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the function's result, computed in a fresh interpreter."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
