"""Optimizer steps over the pieces of a batch, applied completely or not at all.

Buffers written by a failed pass are restored, and non-finite steps are masked (guard.py). If memory
runs out or the compiler fails, the step is retried in smaller pieces or uncompiled.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from animegan.core.errors import reason
from animegan.runtime import memory
from animegan.runtime.device import Runtime
from animegan.training.step.compiling import Passes
from animegan.training.step.guard import Guard
from animegan.training.step.pieces import Pieces


def _kept_buffers(net: nn.Module) -> list[Tensor]:
    """Return the buffers in the state dict, which a pass may write to; others are constants."""
    state = net.state_dict()
    return [one for name, one in net.named_buffers() if name in state]


def _put_back(watched: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Restore buffers from their copies."""
    for now, before in watched:
        now.copy_(before)


class Updates:
    """Takes the optimizer steps of `nets`, on the device and over the processes of `on`."""

    def __init__(
        self,
        nets: tuple[nn.Module, ...],
        guard: Guard,
        pieces: Pieces,
        passes: Passes,
        on: Runtime,
    ) -> None:
        self._written = [one for net in nets for one in _kept_buffers(net)]
        self._guard = guard
        self._pieces = pieces
        self._passes = passes
        self._on = on
        self._ranks = on.ranks
        self._device = on.device

    @contextmanager
    def taking(
        self, net: nn.Module, optimizer: torch.optim.Optimizer, step: int, exact: bool = False
    ) -> Iterator[Callable[[Tensor], None]]:
        """Yield a function that adds a piece's loss; on exit, take a guarded optimizer step.

        Gradients are computed in float32 if `exact` (see `Runtime.backward`).

        Raises torch.OutOfMemoryError on all processes if memory ran out on one.
        """
        watched = [(one, one.clone()) for one in self._written]
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._device)

        def add(loss: Tensor) -> None:
            nonlocal total
            loss = loss / self._pieces.count
            self._on.backward(loss, exact)
            total = total + loss.detach()

        short = ""
        try:
            yield add
        except (RuntimeError, MemoryError) as error:
            _put_back(watched)
            if self._ranks.size == 1 or not (memory.is_out_of_memory(error) and self._pieces.same):
                raise
            short = reason(error)  # keep the text only: the traceback holds the batch
        if self._ranks.size > 1 and self._pieces.same and self._ranks.most(bool(short)) == (1,):
            _put_back(watched)
            raise torch.OutOfMemoryError(short or "on another process")
        parameters = [one for one in net.parameters() if one.requires_grad]
        self._ranks.share([*(one.grad for one in parameters if one.grad is not None), total])
        self._guard.update(optimizer, parameters, total, step, watched)

    def carry_out(
        self, update: Callable[[int], None], step: int, forget: Callable[[], None]
    ) -> None:
        """Run an update, retrying uncompiled if the compiler fails and in smaller pieces if memory
        runs out. `forget` drops what a failed update kept for the next one.
        """
        while True:
            try:
                update(step)
                return
            except (RuntimeError, MemoryError) as error:
                forget()
                if self._passes.give_up(error):
                    continue
                if not memory.is_out_of_memory(error):
                    raise
                said = reason(error, 80)
            memory.free_memory(self._device)
            self._pieces.cut(step, said)
