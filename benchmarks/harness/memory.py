"""Measure memory in separate processes, so that earlier work does not count. Linux only."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any


def megabytes(field: str, process: str = "self") -> float:
    """Return a size of a process, 0 if it is gone, in MB.

    Args:
        field: of /proc/PID/status: VmHWM (peak), VmRSS (now) or RssAnon (not reclaimable).
        process: the process's id. resource.getrusage does not help for our own: its peak is
            inherited from the parent process.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), 0)


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the function's result, computed in a fresh interpreter."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
