"""The life of worker processes: they end with the process that started them, however it ends."""

import ctypes
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing import connection, parent_process

_PR_SET_PDEATHSIG = 1


def begin() -> None:
    """Begin a worker process: leave Ctrl-C to the main process, and end if that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":  # also ends a worker in C code that holds the GIL
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
