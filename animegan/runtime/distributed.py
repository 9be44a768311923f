"""Data-parallel training over several processes: the only module that imports torch.distributed.

Every process holds the same weights and computes its own rows of the batch. A loss is the mean
over the local rows, so the mean of the processes' gradients is the gradient of the loss over the
whole batch; this holds through `mean_of` as well. All processes must make the same calls in the
same order.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import Tensor

from animegan.core.errors import Ended, TrainingStopped, UsageError, reason
from animegan.runtime.launch import Launch

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # long enough for one process to decode a set while others wait
_RUN = "animegan/run"
_ROUND = "animegan/round"
_FAILED = "animegan/failed"
_PAUSE = 0.05  # seconds between polls of the store


@contextmanager
def _talking() -> Iterator[None]:
    """Turn an error of torch.distributed into TrainingStopped."""
    try:
        yield
    except RuntimeError as error:
        why = re.sub(r"^\[\S*\] ", "", reason(error))[:120]
        raise TrainingStopped(
            f"lost contact with another process of this training ({why}); "
            "--resume continues from the last state"
        ) from None


class _Mean(torch.autograd.Function):
    """Differentiable mean over processes; its gradient is the mean of their gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        with _talking():
            dist.all_reduce(total)
        return total / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _mean(gradients[0])


def _mean(tensor: Tensor) -> Tensor:
    mean: Tensor = _Mean.apply(tensor)
    return mean


@dataclass(frozen=True)
class ProcessGroup:
    """This process's rank among the `size` that train together.

    With one process, no method communicates.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files, prints and talks to visdom."""
        return self.rank == 0

    def rows(self, total: int) -> slice:
        """Return this process's rows of a batch of `total`, a multiple of `size`."""
        share = total // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    # --- tensors, on the training's device

    def mean_of(self, tensor: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes; differentiable any number of times."""
        return tensor if self.size == 1 else _mean(tensor)

    def batch_mean(self, values: Tensor) -> Tensor:
        """Return the mean over dim 0 of the whole batch, differentiable like `mean_of`."""
        return self.mean_of(values.mean(0))

    @torch.no_grad()
    def all_reduce_mean_(self, tensors: Sequence[Tensor]) -> None:
        """Average each tensor over all processes in place, in one all-reduce."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _talking():
            dist.all_reduce(flat)
        flat /= self.size
        means = flat.split_with_sizes([tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view(tensor.shape))

    @torch.no_grad()
    def copy_from_main(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite the tensors with those of the main process."""
        for tensor in tensors if self.size > 1 else ():
            theirs = tensor.clone(memory_format=torch.contiguous_format)
            with _talking():
                dist.broadcast(theirs, 0)
            tensor.copy_(theirs)

    # --- values on the host; no device synchronisation

    def max(self, *values: int) -> tuple[int, ...]:
        """Return the maximum of each value over all processes."""
        if self.size == 1:
            return values
        numbers = torch.tensor(values, dtype=torch.long)
        with _talking():
            dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return tuple(numbers.tolist())

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in order of rank."""
        values = [value] * self.size
        if self.size > 1:
            with _talking():
                dist.all_gather_object(values, value)
        return values

    def from_main(self, make: Callable[[], T]) -> T:
        """Call `make` on the main process; return its result on all. Errors as in `run_on_all`."""
        if self.size == 1:
            return make()
        results = [self.run_on_all(make if self.is_main else lambda: None)]
        with _talking():
            dist.broadcast_object_list(results, 0)
        return results[0]  # type: ignore[return-value]

    def run_on_all(self, make: Callable[[], T]) -> T:
        """Call `make` on every process and return the local result.

        If it fails on any process, all raise: the main process the error, the others Ended.
        """
        if self.size == 1:
            return make()
        mine: Exception | None = None
        try:
            result = make()
        except (UsageError, TrainingStopped, OSError) as error:
            mine = error
        reports = self.gather(mine and _report(mine))
        failures = [(rank, *report) for rank, report in enumerate(reports) if report]
        if not failures:
            return result
        rank, code, lines = failures[0]
        if not self.is_main:
            raise Ended(code)
        if mine is not None:
            raise mine
        lines = tuple(f"{line} (process {rank})" for line in lines)
        raise UsageError(*lines) if code == 2 else TrainingStopped(*lines)

    def stopped(self, text: str) -> Exception:
        """Return the exception to raise when all processes must stop for the same reason."""
        return TrainingStopped(text) if self.is_main else Ended(1)

    def wait_for_main(self) -> None:
        """Block until the main process has exited; does nothing on the main process.

        torchrun kills all processes once one exits, perhaps before the main one has printed why.
        """
        if not self.is_main and dist.is_initialized():
            with suppress(RuntimeError):
                dist.all_reduce(torch.zeros(1))

    def leave(self) -> None:
        """Destroy the process group; nothing may be exchanged after this."""
        if self.size > 1:
            dist.destroy_process_group()


def _report(error: Exception) -> tuple[int, tuple[str, ...]]:
    """Return the exit code and message lines of an error."""
    if isinstance(error, UsageError):
        return 2, error.problems
    if isinstance(error, OSError):
        return 1, (f"{error.filename or 'a file'}: {reason(error)}",)
    return 1, (str(error),)


def join(launch: Launch, cuda: bool) -> ProcessGroup:
    """Join the process group that torchrun started: gloo between CPUs, NCCL between GPUs."""
    if launch.size == 1:
        return ProcessGroup()
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    with _talking():
        if launch.elastic:
            dist.init_process_group(
                backend, timeout=PATIENCE, store=_fresh(launch), rank=launch.rank,
                world_size=launch.size,
            )  # fmt: skip
        else:
            dist.init_process_group(backend, timeout=PATIENCE)
    return ProcessGroup(launch.rank, launch.size)


def _fresh(launch: Launch) -> Any:
    """Return torchrun's store under a key prefix that these processes have agreed on.

    The store survives restarts and keeps the addresses of processes killed earlier (pytorch issue
    135712). So each process asks with a unique id, which only a live main process answers.
    """
    store, mine = _store(launch), uuid4().hex
    if launch.rank:
        store.set(f"{_ROUND}/asks/{launch.rank}", mine)
        while not store.check([f"{_ROUND}/answer/{mine}"]):
            _heed(launch, store)
            time.sleep(_PAUSE)
        word = store.get(f"{_ROUND}/answer/{mine}").decode()
        store.set(f"{_ROUND}/heard/{word}/{launch.rank}", "")
        return dist.PrefixStore(word, store)  # type: ignore[attr-defined]
    missing, end = set(range(1, launch.size)), time.monotonic() + PATIENCE.total_seconds()
    while missing and time.monotonic() < end:
        _heed(launch, store)
        for rank in tuple(missing):
            if store.check([f"{_ROUND}/heard/{mine}/{rank}"]):
                missing.remove(rank)
            elif store.check([f"{_ROUND}/asks/{rank}"]):  # may be left by a dead process
                asked = store.get(f"{_ROUND}/asks/{rank}").decode()
                store.set(f"{_ROUND}/answer/{asked}", mine)
        time.sleep(_PAUSE)
    return dist.PrefixStore(mine, store)  # type: ignore[attr-defined]


def give_up(launch: Launch, problems: Sequence[str]) -> None:
    """Tell the waiting processes why this one will not join; only the first call counts."""
    if launch.elastic:
        text = json.dumps([f"{problem} (process {launch.rank})" for problem in problems])
        with suppress(RuntimeError):  # the others are gone with their store
            _store(launch).compare_set(f"{_FAILED}/{launch.restarts}", "", text)


def _heed(launch: Launch, store: Any) -> None:
    """Raise UsageError if another process has given up, with its problems."""
    if store.check([key := f"{_FAILED}/{launch.restarts}"]):
        raise UsageError(*json.loads(store.get(key).decode()))


# --- state that torchrun keeps across restarts


def remember_run(launch: Launch, folder: str) -> None:
    """Store the run's folder for processes that torchrun may restart."""
    if launch.elastic:
        _store(launch).set(_RUN, folder)


def remembered_run(launch: Launch) -> str | None:
    """Return the run folder stored before a restart, or None."""
    if not launch.elastic:
        return None
    store = _store(launch)
    return store.get(_RUN).decode() if store.check([_RUN]) else None


def _store(launch: Launch) -> Any:
    return dist.TCPStore(launch.address, launch.port, is_master=False)  # type: ignore[attr-defined]
