"""The GAN step: one update of the discriminator, one of the generator, and what they need.

Nothing here reads a value back to the host; the loop in `animegan/loop.py` does, now and then.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from animegan import models, runtime
from animegan.data.batches import Batches
from animegan.errors import TrainingStopped
from animegan.guard import Guard
from animegan.losses import Objective
from animegan.meters import Meters
from animegan.runtime import Runtime

if TYPE_CHECKING:
    from config import Config


class Trainer:
    """Both nets, both optimizers, and the steps that train them.

    Every random number depends on the seed and the step alone, so `step` is all that a resumed run
    needs to know of the randomness and of the place in the epoch.
    """

    def __init__(
        self,
        config: "Config",
        netg: nn.Module,
        netd: nn.Module,
        objective: Objective,
        batches: Batches,
        on: Runtime,
    ) -> None:
        self.config = config
        self.objective = objective
        self.batches = batches
        self.device = on.device
        self.netg = netg.to(on.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.netd = netd.to(on.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.optg = self._adam(self.netg, config.lr1, on)
        self.optd = self._adam(self.netd, config.lr2, on)
        self.guard = Guard(on.device, fused=on.fused())
        self.meters = Meters(on.device)
        self.pieces = config.accumulate
        self.step = 0  # batches done
        self._on = on

    def _adam(self, net: nn.Module, lr: float, on: Runtime) -> torch.optim.Optimizer:
        betas = (self.config.beta1, self.config.beta2)
        return torch.optim.Adam(net.parameters(), lr=lr, betas=betas, fused=on.fused())

    # --- one batch

    def train_batch(self) -> None:
        """The updates that the next batch is due, as in the book: every d_every-th, g_every-th."""
        count = self.step + 1
        if count % self.config.d_every == 0:
            self._with_memory(self.step_d, self.step)
        if count % self.config.g_every == 0:
            self._with_memory(self.step_g, self.step)
        self.step = count

    def step_d(self, step: int) -> None:
        """Update netd: a real batch against fakes that are cut from netg's graph."""
        with self._updating(self.netd, self.optd, step) as add:
            for real, noise in zip(self._real(step), self._noise("noise-d", step), strict=True):
                with torch.no_grad():
                    fake = self.netg(noise)
                real_logits, fake_logits = self.netd(real), self.netd(fake)
                loss = self.objective.loss_d(real_logits, fake_logits)
                add(loss)
                self.meters.add(loss_d=loss, d_x=real_logits.sigmoid().mean(),
                                d_g_z=fake_logits.sigmoid().mean())  # fmt: skip

    def step_g(self, step: int) -> None:
        """Update netg: its fakes judged as real. No gradient of netd's weights is computed."""
        with self._frozen(self.netd), self._updating(self.netg, self.optg, step) as add:
            for real, noise in zip(self._real(step), self._noise("noise-g", step), strict=True):
                fake_logits = self.netd(self.netg(noise))
                real_logits = self.netd(real) if self.objective.needs_real else None
                loss = self.objective.loss_g(fake_logits, real_logits)
                add(loss)
                self.meters.add(loss_g=loss)

    # --- what the steps share

    def _real(self, step: int) -> tuple[Tensor, ...]:
        """The step's real pictures [B, C, S, S] in [-1, 1], in pieces."""
        images: Tensor = self.batches.images(step)
        return images.chunk(self.pieces)

    def _noise(self, stream: str, step: int) -> tuple[Tensor, ...]:
        """The step's noise [B, nz, 1, 1] ~ N(0, 1), in pieces; always drawn on the CPU."""
        source = runtime.generator(self.config.seed, stream, step)
        noise = torch.randn(self.config.batch_size, self.config.nz, 1, 1, generator=source)
        return self._on.place(noise).chunk(self.pieces)

    @contextmanager
    def _updating(
        self, net: nn.Module, optimizer: torch.optim.Optimizer, step: int
    ) -> Iterator[Callable[[Tensor], None]]:
        """Collect gradients of the losses handed to `add`, then take a guarded optimizer step."""
        buffers = [*self.netg.buffers(), *self.netd.buffers()]
        before = [one.clone() for one in buffers]
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)

        def add(loss: Tensor) -> None:
            nonlocal total
            loss = loss / self.pieces
            loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()

        yield add
        parameters = list(net.parameters())
        self.guard.update(optimizer, parameters, total, step, zip(buffers, before, strict=True))

    @contextmanager
    def _frozen(self, net: nn.Module) -> Iterator[None]:
        """Gradients flow through the net but none is computed for its weights."""
        wanted = [one for one in net.parameters() if one.requires_grad]
        for one in wanted:
            one.requires_grad_(False)
        try:
            yield
        finally:
            for one in wanted:
                one.requires_grad_(True)

    # --- memory

    def _with_memory(self, update: Callable[[int], None], step: int) -> None:
        """Run an update; when memory runs out, again in smaller pieces where that is the same."""
        while True:
            try:
                update(step)
                return
            except (RuntimeError, MemoryError) as error:
                if not runtime.is_out_of_memory(error):
                    raise
                said = str(error).splitlines()[0][:80]
            runtime.free_memory(self.device)
            self.pieces = self._smaller_pieces(said)

    def _smaller_pieces(self, said: str) -> int:
        batch = self.config.batch_size
        more = next((n for n in range(self.pieces * 2, batch + 1) if batch % n == 0), None)
        if self._splits() and more:
            return more
        fits = max(2, batch // self.pieces // 2)
        why = ("its pictures see each other through BatchNorm or the loss, so pieces would not be "
               "the same") if more else "it cannot be cut smaller"  # fmt: skip
        raise TrainingStopped(
            f"out of memory at step {step_words(self.step)} ({said}); the batch was not cut, since "
            f"{why}: try --batch-size {fits}"
        )

    def _splits(self) -> bool:
        """Whether the mean over pieces is the loss of the batch."""
        whole = models.has_batch_norm(self.netg) or models.has_batch_norm(self.netd)
        return not whole and self.objective.name != "ra-hinge"

    # --- sampling and state

    def sample(self, noise: Tensor) -> Tensor:
        """Pictures in [-1, 1] for noise on any device; touches no buffer and no random state."""
        with runtime.evaluating(self.netg):
            images: Tensor = self.netg(self._on.place(noise))
        return images

    def fixed_noise(self, count: int = 64) -> Tensor:
        """The same noise [count, nz, 1, 1] for every grid of a run."""
        source = runtime.generator(self.config.seed, "fixed")
        return torch.randn(count, self.config.nz, 1, 1, generator=source)

    def state_dict(self) -> dict[str, Any]:
        """All that changes while training."""
        return {
            "step": self.step,
            "pieces": self.pieces,
            "netg": self.netg.state_dict(),
            "netd": self.netd.state_dict(),
            "optg": self.optg.state_dict(),
            "optd": self.optd.state_dict(),
            "meters": self.meters.state_dict(),
            "rng": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, at the rates and in the pieces of this config."""
        self.step = state["step"]
        self.pieces = max(self.pieces, state["pieces"])  # more where memory ran out
        self.netg.load_state_dict(state["netg"])
        self.netd.load_state_dict(state["netd"])
        self.optg.load_state_dict(state["optg"])
        self.optd.load_state_dict(state["optd"])
        betas = (self.config.beta1, self.config.beta2)
        for optimizer, lr in ((self.optg, self.config.lr1), (self.optd, self.config.lr2)):
            for group in optimizer.param_groups:  # the state's own would undo --allow-changes
                group.update(lr=lr, betas=betas)
        self.meters.load_state_dict(state["meters"])
        torch.set_rng_state(state["rng"].cpu())


def step_words(step: int) -> str:
    return f"{step:,}"
