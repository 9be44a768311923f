"""Draws what pages ask for on a thread of its own, a batch at a time, in the order of asking."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future

from torch import Tensor

from animegan.generation.draw_recipes import BATCH
from animegan.generation.recipes import Recipe

MOST_WAITING = 512  # faces; a page asks for six at a time


class BusyError(Exception):
    """So many faces wait that no more are taken."""


class Painter:
    """A queue of faces and the thread that draws them.

    Args:
        draw: draws recipes, which must be right: uint8 [N, C, S, S] on the CPU.
    """

    def __init__(self, draw: Callable[[Sequence[Recipe]], Tensor]) -> None:
        self._draw = draw
        self._waiting: deque[tuple[Recipe, Future[Tensor]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="painter", daemon=True)
        self._thread.start()

    def submit(self, recipe: Recipe) -> Future[Tensor]:
        """Return the picture to come, uint8 [C, S, S]; once cancelled, it is not drawn.

        Raises BusyError if the queue is full.
        """
        future: Future[Tensor] = Future()
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:  # make room: those given up are never drawn
                self._waiting = deque(job for job in self._waiting if not job[1].cancelled())
            if len(self._waiting) >= MOST_WAITING or self._closed:
                raise BusyError
            self._waiting.append((recipe, future))
            self._changed.notify()
        return future

    async def draw(self, recipes: Sequence[Recipe]) -> AsyncIterator[Tensor]:
        """Yield the pictures of many recipes, a few waiting at a time so that others get theirs."""
        for start in range(0, len(recipes), BATCH):
            futures = [self.submit(recipe) for recipe in recipes[start : start + BATCH]]
            for picture in await asyncio.gather(*map(asyncio.wrap_future, futures)):
                yield picture

    def close(self) -> None:
        """Give up what waits, and end the thread after the batch that it draws."""
        with self._changed:
            self._closed = True
            for _, future in self._waiting:
                future.cancel()
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while jobs := self._next():
            recipes, futures = zip(*jobs, strict=True)
            try:
                pictures = self._draw(recipes)
            except Exception as error:  # told to those who wait; the next batch may be drawn
                for future in futures:
                    future.set_exception(error)
            else:
                for future, picture in zip(futures, pictures, strict=True):
                    future.set_result(picture)

    def _next(self) -> list[tuple[Recipe, Future[Tensor]]]:
        """Wait for faces and return up to a batch of those still wanted; none once closed."""
        jobs: list[tuple[Recipe, Future[Tensor]]] = []
        with self._changed:
            while not jobs:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    break
                while self._waiting and len(jobs) < BATCH:
                    job = self._waiting.popleft()
                    if job[1].set_running_or_notify_cancel():
                        jobs.append(job)
        return jobs
