"""Device, threads and precision of a run: the only wing that uses torch.cuda."""

import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from animegan.core.errors import UsageError, reason
from animegan.runtime import memory
from animegan.runtime.distributed import ProcessGroup, join
from animegan.runtime.launch import Launch, launched


@dataclass(frozen=True)
class Runtime:
    """The device, process group and precision of a run.

    Every tensor of a run is created on `device` or moved to it by `place`. `group` is this process
    within its group. With `bf16`, nets run under bfloat16 autocast; weights, gradients, losses,
    penalties and averages stay float32.
    """

    device: torch.device
    group: ProcessGroup = field(default_factory=ProcessGroup)
    bf16: bool = False

    @staticmethod
    def start(
        gpu: bool | None = None, device: str | None = None, threads: int | None = None
    ) -> "Runtime":
        """Choose the device, set the number of threads, and disable TF32 (see `Runtime.lowered`).

        Args:
            gpu: True requires CUDA, False uses the CPU, None takes CUDA, else MPS, else the CPU.
            device: a torch device name, which overrides `gpu`.
            threads: CPU threads; None leaves torch's setting.

        Raises:
            UsageError: the device is not available. There is no silent fallback.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        _set_tf32(False, False)  # except in `lowered` and `backward`
        if device is not None:
            return Runtime(_named(device))
        if gpu and not torch.cuda.is_available():
            raise UsageError(
                "--gpu: torch finds no CUDA device; omit it to use what is available, "
                "or use --gpu=false for the CPU"
            )
        if gpu or (gpu is None and torch.cuda.is_available()):
            return Runtime(torch.device("cuda", torch.cuda.current_device()))
        if gpu is None and torch.backends.mps.is_available():
            return Runtime(torch.device("mps"))
        return Runtime(torch.device("cpu"))

    @staticmethod
    def start_together(
        gpu: bool | None = None, device: str | None = None, threads: int | None = None
    ) -> "Runtime":
        """Like `start`, and join the process group if started by torchrun.

        Each process uses the CUDA device of its local rank, or its share of the CPU cores. On the
        CPU, freed memory is kept by the process from here on (`animegan/runtime/memory.py`).
        """
        launch = launched()
        runtime = Runtime.start(gpu, device, threads)
        if runtime.device.type == "cpu":
            memory.keep_freed()
        if launch.size == 1:
            return runtime
        kind = runtime.device.type
        if kind not in ("cpu", "cuda"):
            raise UsageError(
                f"--device {kind}: {launch.size} processes cannot train on it; try cpu"
            )
        if kind == "cuda":
            return Runtime(_own_card(launch, device), join(launch, cuda=True))
        if (
            threads is None and os.environ.get("OMP_NUM_THREADS", "1") == "1"
        ):  # 1 is torchrun's default
            torch.set_num_threads(max(1, _cores() // launch.local_size))
        return Runtime(runtime.device, join(launch, cuda=False))

    def place(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device; from CPU to CUDA through pinned memory, non-blocking."""
        if self.device.type == "cuda" and tensor.device.type == "cpu":  # only these can be pinned
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def fused(self) -> bool:
        """Whether fused optimizers can skip an update here without a host sync.

        Those for MPS exist, but ignore `found_inf`.
        """
        return self.device.type in ("cuda", "cpu")

    @contextmanager
    def lowered(self) -> Iterator[None]:
        """Allow TF32 on CUDA, and autocast to bfloat16 if the run uses it.

        For forward passes of nets in training only.
        """
        kind = self.device.type
        lowers = self.bf16 and kind != "meta"  # meta has no autocast
        with _tf32(True), torch.autocast(kind, torch.bfloat16) if lowers else nullcontext():
            yield

    def backward(self, loss: Tensor, exact: bool) -> None:
        """Add the gradients of a training loss to those of the weights.

        On CUDA in TF32, unless `exact`, which penalties need: their gradients are float32.
        """
        with _tf32(not exact):
            loss.backward()  # type: ignore[no-untyped-call]

    def precision(self, asked: str) -> str:
        """Resolve fp32, bf16 or auto to fp32 or bf16.

        auto means bf16 if the devices of all processes support it in hardware.
        """
        if asked != "auto":
            return asked
        (lacking,) = self.group.max(not has_bf16(self.device))
        return "fp32" if lacking else "bf16"

    def at(self, asked: str) -> "Runtime":
        """Return this runtime with its precision set to `asked` (fp32, bf16 or auto)."""
        return replace(self, bf16=self.precision(asked) == "bf16")

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes may stay on the device: at most a quarter of a GPU's free memory."""
        if self.device.type != "cuda":
            return False
        room, _ = torch.cuda.mem_get_info(self.device)
        return size <= room // 4


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Set whether CUDA may use TF32 for float32 products; other devices ignore it.

    The flags apply to all threads, including autograd's.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    _set_tf32(allowed, allowed)
    try:
        yield
    finally:
        _set_tf32(*before)


def _set_tf32(products: bool, convolutions: bool) -> None:
    # these set the newer `fp32_precision` as well, which torch before 2.9 does not have
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.allow_tf32 = convolutions


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Disable autocast and TF32, so that part of a net runs in float32."""
    plain = nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
    # a compiled graph cannot set flags; TF32 affects no product of the spectral norms in it
    return plain if torch.compiler.is_compiling() else _exactly(plain)


@contextmanager
def _exactly(plain: AbstractContextManager[object]) -> Iterator[None]:
    with _tf32(False), plain:
        yield


def has_bf16(device: torch.device) -> bool:
    """Whether the device supports bfloat16 in hardware; emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())


def _own_card(launch: Launch, device: str | None) -> torch.device:
    cards = torch.cuda.device_count()
    if device not in (None, "cuda"):
        raise UsageError(
            f"--device {device}: each of the {launch.local_size} processes needs a device of its "
            "own; use cuda, or omit it"
        )
    if launch.local_size > cards:
        raise UsageError(
            f"torchrun --nproc-per-node {launch.local_size}: there are {cards} CUDA devices here; "
            f"start {cards} processes, or use the CPU (--nogpu)"
        )
    torch.cuda.set_device(launch.local_rank)
    return torch.device("cuda", launch.local_rank)


def _cores() -> int:
    """Return the number of CPU cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _named(name: str) -> torch.device:
    try:
        with warnings.catch_warnings():  # torch warns of a missing driver before it raises
            warnings.simplefilter("ignore")
            device = torch.device(name)
            torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # some devices need a module
        why = reason(error).rstrip(".")[:120]
        way = "use cuda or cpu" if name == "gpu" else "try cpu"
        raise UsageError(f"--device {name}: cannot be used here ({why}); {way}") from None
    if device.type == "cuda":
        torch.cuda.set_device(device)  # for calls that do not name a device
    if device.type == "meta":
        raise UsageError("--device meta: computes nothing; try cpu")
    return device


def synchronize(device: torch.device) -> None:
    """Block until the device has finished its queued work, for timing."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
