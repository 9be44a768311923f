"""Optimizer steps over the pieces of a batch, applied completely or not at all.

`Guard` keeps a non-finite loss or gradient out of the weights, `Pieces` splits a batch (gradient
accumulation), and `Updates` puts both together: buffers written by a failed pass are restored, and
if memory runs out or the compiler fails, the step is retried in smaller pieces or uncompiled.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from animegan import models
from animegan.core.errors import TrainingStopped, reason
from animegan.losses.objectives import Objective
from animegan.runtime import memory
from animegan.runtime.device import Runtime
from animegan.runtime.distributed import ProcessGroup
from animegan.training.step.compiling import Passes

if TYPE_CHECKING:
    from animegan.config.config import Config

MaybeTensor = TypeVar("MaybeTensor", Tensor, Tensor | None)


MOMENTS: dict[type[torch.optim.Optimizer], frozenset[str]] = {
    torch.optim.Adam: frozenset({"step", "exp_avg", "exp_avg_sq"}),
    torch.optim.RMSprop: frozenset({"step", "square_avg"}),
}


def restore_moments(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Load the moments of an optimizer's `state_dict`; rates and betas are set at each step.

    Raises ValueError if they are not those of the weights, which `load_state_dict` does not check.
    """
    names = MOMENTS[type(optimizer)]
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for index, moments in saved["state"].items():
        fits = set(moments) == names and all(
            isinstance(moments[name], Tensor)
            and moments[name].shape == (() if name == "step" else weights[index].shape)
            and moments[name].dtype == (torch.float32 if name == "step" else weights[index].dtype)
            and bool(moments[name].isfinite().all())
            for name in names
        )
        if not fits:
            raise ValueError(f"the moments of weight {index} are not those of its optimizer")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})


class Guard:
    """Skips bad updates on the device; `bad_step` holds the first bad step there (-1: none)."""

    def __init__(self, device: torch.device) -> None:
        self.bad_step = torch.full((), -1, dtype=torch.long, device=device)

    def update(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[nn.Parameter],
        loss: Tensor,
        step: int,
        watched: Iterable[tuple[Tensor, Tensor]] = (),
    ) -> None:
        """Take one optimizer step, skipped if `loss` or a gradient is not finite.

        `watched` pairs each buffer that the forward pass changed (BatchNorm's running statistics)
        with a copy from before, which is restored if the step is bad.
        """
        gradients = [weight.grad for weight in parameters if weight.grad is not None]
        good = torch.isfinite(loss) & torch.isfinite(get_total_norm(gradients))
        for now, before in watched:
            # .data: a graph kept for the next update refers to the buffer, without reading it
            now.data.copy_(torch.where(good, now, before))
        if optimizer.defaults.get("fused"):  # the optimizer itself skips a bad step
            setattr(optimizer, "found_inf", (~good).to(torch.float32))  # noqa: B010
            setattr(optimizer, "grad_scale", None)  # noqa: B010
        else:  # keep bad gradients out of the moments
            for gradient in gradients:
                gradient.copy_(torch.where(good, gradient, torch.zeros_like(gradient)))
        optimizer.step()
        first = ~good & (self.bad_step < 0)
        self.bad_step = torch.where(first, torch.full_like(self.bad_step, step), self.bad_step)


@dataclass(frozen=True)
class Piece:
    """A piece of a batch: rows that go through the nets together.

    local: within this process's share.
    rows: within the whole batch, for which random numbers are drawn.
    whole: whether it is all of the share.
    """

    local: slice
    rows: slice
    whole: bool

    def of(self, share: MaybeTensor) -> MaybeTensor:
        """Return the piece's rows of a tensor that holds the share's; None of None."""
        return None if share is None else share[self.local]


class Pieces:
    """How this process's `share` of a batch is split into pieces.

    `same` says whether splitting leaves the loss unchanged, i.e. no image influences another
    (through BatchNorm or the loss). Only then is a batch split after running out of memory.
    """

    def __init__(
        self,
        config: "Config",
        objective: Objective,
        nets: tuple[nn.Module, ...],
        group: ProcessGroup,
    ) -> None:
        self.count = config.accumulate
        self.rows = config.batch_size // group.size  # pictures
        batch_norm = any(models.has_batch_norm(net) for net in nets)
        self.same = not (batch_norm or objective.mixes_batch)
        self._group = group

    def __iter__(self) -> Iterator["Piece"]:
        """Return the pieces of this process's share, in order."""
        size = self.rows // self.count
        first = self._group.rank * self.rows
        for start in range(0, self.rows, size):
            local = slice(start, start + size)
            rows = slice(first + start, first + start + size)
            yield Piece(local, rows, self.count == 1)

    def cut(self, step: int, error: str) -> None:
        """Split the batch further after running out of memory.

        Args:
            step: the step that failed.
            error: the device's error message.

        Raises:
            TrainingStopped: the batch cannot be split (on processes other than the main: `Ended`).
        """
        more = self._allowed(self.count * 2, self.rows + 1)
        if self.same and more:
            self.count = more
            return
        fits = max(2, self.rows // self.count // 2) * self._group.size
        why = ("BatchNorm or the loss mixes its images, so splitting would change the "
               "result") if more else "it is already as small as it gets"  # fmt: skip
        text = (
            f"out of memory at step {step:,} ({error}); the batch was not split, since {why}: try "
            f"--batch-size {fits}"
        )
        raise self._group.stopped(text) if self.same else TrainingStopped(text)

    def resume(self, count: int) -> None:
        """Use at least the `count` pieces of a resumed run, which may have run out of memory."""
        self.count = self._allowed(max(self.count, count), self.rows) or self.rows

    def _allowed(self, least: int, end: int) -> int | None:
        """Return the first divisor of the share in range(least, end), or None."""
        return next((n for n in range(least, end) if self.rows % n == 0), None)


def _kept_buffers(net: nn.Module) -> list[Tensor]:
    """Return the buffers in the state dict, which a pass may write to; others are constants."""
    state = net.state_dict()
    return [buffer for name, buffer in net.named_buffers() if name in state]


def _put_back(watched: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Restore buffers from their copies."""
    for now, before in watched:
        now.copy_(before)


class Updates:
    """Takes the optimizer steps of `nets`, on the device and over the processes of `runtime`."""

    def __init__(
        self,
        nets: tuple[nn.Module, ...],
        guard: Guard,
        pieces: Pieces,
        passes: Passes,
        runtime: Runtime,
    ) -> None:
        self._written = [buffer for net in nets for buffer in _kept_buffers(net)]
        self._guard = guard
        self._pieces = pieces
        self._passes = passes
        self._runtime = runtime
        self._group = runtime.group

    def take(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        step: int,
        loss_of: Callable[[Piece], Tensor],
        exact: bool = False,
    ) -> None:
        """Take a guarded optimizer step for the mean of `loss_of` over the pieces of the batch.

        Gradients are computed in float32 if `exact` (see `Runtime.backward`).

        Raises torch.OutOfMemoryError on all processes if memory ran out on one.
        """
        watched = [(buffer, buffer.clone()) for buffer in self._written]
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._runtime.device)
        short = ""
        try:
            for piece in self._pieces:
                loss = loss_of(piece) / self._pieces.count
                self._runtime.backward(loss, exact)
                total = total + loss.detach()
                del loss  # and its graph, before the next piece's is made
        except (RuntimeError, MemoryError) as error:
            _put_back(watched)
            if self._group.size == 1 or not (memory.is_out_of_memory(error) and self._pieces.same):
                raise
            short = reason(error)  # keep the text only: the traceback holds the batch
        if self._group.size > 1 and self._pieces.same and self._group.max(bool(short)) == (1,):
            _put_back(watched)
            raise torch.OutOfMemoryError(short or "on another process")
        weights = [weight for weight in net.parameters() if weight.requires_grad]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        self._group.all_reduce_mean_([*gradients, total])
        self._guard.update(optimizer, weights, total, step, watched)

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
                failure = reason(error, 80)
            memory.free_memory(self._runtime.device)
            self._pieces.cut(step, failure)
