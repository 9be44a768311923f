"""The life of worker processes: they end with the process that started them, however it ends."""

import os
import signal
import threading
from multiprocessing import connection, parent_process


def begin() -> None:
    """Begin a worker process: leave Ctrl-C to the main process, and end if that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
