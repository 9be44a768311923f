"""Distribute work over processes, surviving pictures that crash one.

Worker processes end with the process that started them, however it ends. They are processes rather
than threads because the detector holds the GIL; spawned rather than forked, because threads of
torch and tqdm do not survive a fork; and replaced after `RENEW` jobs, because the detector leaks a
little memory.
"""

import ctypes
import logging
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import chain, islice
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeVar

from animegan.core.errors import reason

logger = logging.getLogger(__name__)

J = TypeVar("J")
R = TypeVar("R")

RENEW = 4000  # jobs per process
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_AHEAD = 4  # queued or running jobs per process; bounds memory


def spread(
    work: Callable[[J], R],
    jobs: Iterable[J],
    workers: int,
    begin: Callable[..., None],
    settings: tuple[Any, ...],
    crashed: Callable[[J], R],
) -> Iterator[R]:
    """Yield `work(job)` for each job, in order of completion.

    A job whose process dies (a crash in C code, out of memory) is retried alone; if that process
    dies as well, the result is `crashed(job)`.

    Where the system has no semaphores (no /dev/shm), everything runs in this process.

    Args:
        work: called with each job in a worker process.
        jobs: consumed lazily.
        workers: number of processes; 0 runs everything in this one, in order.
        begin: called as `begin(*settings)` first in each process.
        settings: arguments of `begin`.
        crashed: gives the result of a job that crashed twice.
    """
    if workers and (why := _why_alone()):
        logger.info(f"this system starts no worker processes ({why}); working in this one")
        workers = 0
    if workers == 0:
        begin(*settings)
        yield from map(work, jobs)
        return
    source = iter(jobs)
    while True:
        first = list(islice(source, 1))
        if not first:
            return
        run = _Run(work, workers, begin, settings, crashed)
        yield from run.through(chain(first, islice(source, RENEW * workers - 1)))


def _why_alone() -> str:
    """Return why there can be no worker processes; empty if there can."""
    try:
        get_context("spawn").Lock()
    except (OSError, ImportError, NotImplementedError) as error:
        return reason(error)
    return ""


class _Run:
    """One generation of processes."""

    def __init__(
        self,
        work: Callable[[J], R],
        workers: int,
        begin: Callable[..., None],
        settings: tuple[Any, ...],
        crashed: Callable[[J], R],
    ) -> None:
        self.work, self.workers, self.crashed = work, workers, crashed
        self.initargs = (begin, settings)

    def through(self, jobs: Iterator[Any]) -> Iterator[Any]:
        """Yield the results of all jobs, replacing the pool if it breaks."""
        retry: deque[Any] = deque()
        while True:
            pool = self._pool(self.workers)
            waiting: dict[Future[Any], Any] = {}
            try:
                yield from self._pump(pool, jobs, waiting)
                return
            except BrokenProcessPool:
                retry.extend(waiting.values())
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
            while retry:
                yield self._alone(retry.popleft())

    def _pump(
        self, pool: ProcessPoolExecutor, jobs: Iterator[Any], waiting: dict[Future[Any], Any]
    ) -> Iterator[Any]:
        """Keep the pool busy; `waiting` holds the unfinished jobs if it breaks."""
        while True:
            while len(waiting) < _AHEAD * self.workers:
                job = next(jobs, None)
                if job is None:
                    break
                try:
                    waiting[pool.submit(self.work, job)] = job
                except BrokenProcessPool:
                    waiting[Future()] = job
                    raise
            if not waiting:
                return
            done = _first_done(waiting)
            result = done.result()
            del waiting[done]
            yield result

    def _alone(self, job: Any) -> Any:
        pool = self._pool(1)
        try:
            return pool.submit(self.work, job).result()
        except BrokenProcessPool:
            return self.crashed(job)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _pool(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, get_context("spawn"), _begin, self.initargs)


def _first_done(waiting: dict[Future[Any], Any]) -> Future[Any]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    return next(future for future in waiting if future in done)


def _begin(begin: Callable[..., None], settings: tuple[Any, ...]) -> None:
    _begin_worker()
    begin(*settings)


def _begin_worker() -> None:
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
