"""Work spread over processes, that outlives a process which a picture brings down.

Processes, not threads: the detector keeps the GIL. They are begun anew (spawn), so that nothing of
this process (threads of torch or tqdm) is copied half alive; and again every `RENEW` jobs, since
the detector leaks a little.
"""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any, TypeVar

J = TypeVar("J")
R = TypeVar("R")

RENEW = 4000  # jobs a process
_AHEAD = 4  # jobs a process that wait or are being done: bounds what is held in memory


def spread(
    work: Callable[[J], R],
    jobs: Iterable[J],
    workers: int,
    begin: Callable[..., None],
    settings: tuple[Any, ...],
    crashed: Callable[[J], R],
) -> Iterator[R]:
    """`work(job)` for each job, in the order of completion; 0 workers: here, in order.

    `begin(*settings)` runs first in each process. A job in whose course the process died (a crash
    in C, memory) is tried once more alone; if that one dies too, `crashed(job)` is its result.
    """
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
        """Results of all jobs; a broken pool is replaced."""
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
        """Keep the pool busy; `waiting` tells what was under way when it broke."""
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's affair
    begin(*settings)
