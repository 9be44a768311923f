"""The painter: in order, in batches, bounded; what nobody wants any more is not drawn."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from animegan.generation.draw_recipes import BATCH
from animegan.generation.recipes import Candidate, Recipe
from animegan.web import painter as module
from animegan.web.painter import BusyError, Painter


class Brush:
    """Draws a candidate as its number, and holds still while `free` is cleared."""

    def __init__(self) -> None:
        self.drawn: list[list[int]] = []
        self.free = threading.Event()
        self.free.set()
        self.busy = threading.Event()

    def __call__(self, recipes: Sequence[Recipe]) -> Tensor:
        numbers = [recipe.base.index for recipe in recipes]
        self.drawn.append(numbers)
        self.busy.set()
        self.free.wait(10)
        if 666 in numbers:
            raise RuntimeError("spilled")
        return torch.tensor(numbers)[:, None]


def face(number: int) -> Recipe:
    return Recipe(Candidate(0, number))


@pytest.fixture
def brush() -> Brush:
    return Brush()


@pytest.fixture
def painter(brush: Brush) -> Iterator[Painter]:
    painter = Painter(brush)
    yield painter
    brush.free.set()
    painter.close()


def hold(painter: Painter, brush: Brush) -> None:
    """Let the thread hang in a batch of its own, so that what follows waits."""
    brush.free.clear()
    painter.submit(face(0))
    assert brush.busy.wait(10)


def test_faces_come_in_order_and_in_batches(painter: Painter, brush: Brush) -> None:
    hold(painter, brush)
    futures = [painter.submit(face(k)) for k in range(1, 2 + BATCH)]
    brush.free.set()
    assert [int(future.result(10)) for future in futures] == list(range(1, 2 + BATCH))
    assert brush.drawn == [[0], list(range(1, 1 + BATCH)), [1 + BATCH]]


def test_what_was_given_up_is_not_drawn(painter: Painter, brush: Brush) -> None:
    hold(painter, brush)
    futures = [painter.submit(face(k)) for k in range(1, 40)]
    for future in futures[:-1]:
        future.cancel()
    brush.free.set()
    assert int(futures[-1].result(10)) == 39
    assert brush.drawn == [[0], [39]]


def test_the_queue_is_bounded_and_those_given_up_make_room(
    painter: Painter, brush: Brush, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    hold(painter, brush)
    futures = [painter.submit(face(k)) for k in range(1, 6)]
    with pytest.raises(BusyError):
        painter.submit(face(6))
    futures[0].cancel()
    painter.submit(face(6))


def test_a_failure_is_told_to_its_batch_and_the_next_is_drawn(
    painter: Painter, brush: Brush
) -> None:
    with pytest.raises(RuntimeError):
        painter.submit(face(666)).result(10)
    assert int(painter.submit(face(1)).result(10)) == 1


def test_many_faces_leave_room_for_others(painter: Painter, brush: Brush) -> None:
    async def both() -> list[int]:
        seen = []
        async for picture in painter.draw([face(k) for k in range(3 * BATCH)]):
            if not seen:
                other = painter.submit(face(99))
            seen.append(int(picture))
        assert other.result(10) == 99
        return seen

    assert asyncio.run(both()) == list(range(3 * BATCH))
    order = [number for numbers in brush.drawn for number in numbers]
    assert order.index(99) < order.index(3 * BATCH - 1)


def test_closing_gives_up_what_waits(brush: Brush) -> None:
    painter = Painter(brush)
    hold(painter, brush)
    waiting = painter.submit(face(1))
    closing = threading.Thread(target=painter.close)
    closing.start()
    brush.free.set()
    closing.join(10)
    assert waiting.cancelled()
    with pytest.raises(BusyError):
        painter.submit(face(2))
