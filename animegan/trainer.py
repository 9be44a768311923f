"""The GAN step: one update of the discriminator, one of the generator, and what they need.

Nothing here reads a value back to the host; the loop in `animegan/loop.py` does, now and then.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from animegan import compiling, models, penalties, runtime
from animegan.conditions import Conditions, Given
from animegan.data.batches import Batches
from animegan.ema import Ema
from animegan.errors import TrainingStopped
from animegan.guard import Guard
from animegan.labels import Labels
from animegan.losses import Objective
from animegan.meters import Meters
from animegan.runtime import Runtime
from animegan.schedule import Schedule, planned_steps
from animegan.sync_norm import synchronise
from animegan.view import See, View

if TYPE_CHECKING:
    from config import Config


def _put_back(watched: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Give buffers the values of their copies."""
    for now, before in watched:
        now.copy_(before)


class Trainer:
    """Both nets, both optimizers, and the steps that train them.

    Every random number depends on the seed and the step alone, so `step` is all that a resumed run
    needs to know of the randomness and of the place in the epoch. Numbers are drawn for the whole
    batch, of which each process takes its rows, so that several see what one alone would.
    """

    def __init__(
        self,
        config: "Config",
        netg: nn.Module,
        netd: nn.Module,
        objective: Objective,
        batches: Batches,
        on: Runtime,
        labels: Labels | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.config = config
        self._say = say
        self.objective = objective
        self.batches = batches
        self.device = on.device
        self.ranks = on.ranks
        self.share = config.batch_size // on.ranks.size  # pictures a batch on this process
        if on.ranks.size > 1:
            for net in (netg, netd):
                synchronise(net, on.ranks.mean_of, on.ranks.size)
        self.netg = netg.to(on.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.netd = netd.to(on.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for net in (self.netg, self.netd):
            on.ranks.copy_from_main([*net.parameters(), *net.buffers()])
        self.optg = self._optimizer(self.netg, config.lr1, on)
        self.optd = self._optimizer(self.netd, config.lr2, on)
        self.ema = Ema(self.netg, config.ema) if config.ema else None
        self.view = View(config, on)
        self.conditions = Conditions(config, labels, on)
        self.guard = Guard(on.device)
        self.schedule = Schedule(config, planned_steps(config, batches.steps_per_epoch))
        self.meters = Meters(on.device)
        self.pieces = config.accumulate
        self.step = 0  # batches done
        self._fakes: list[Tensor] = []  # of a batch between its two updates
        self.reseed(0)
        self._on = on
        why = compiling.eager(config, self.netg, self.netd, on)
        self._compiled = {
            net: compiling.compiled(net)
            for kind, net in (("netg", self.netg), ("netd", self.netd))
            if config.compile and kind not in why
        }

    def _optimizer(self, net: nn.Module, lr: float, on: Runtime) -> torch.optim.Optimizer:
        config = self.config
        weights = [one for one in net.parameters() if one.requires_grad]
        if config.optimizer == "rmsprop":
            return torch.optim.RMSprop(weights, lr=lr)
        betas = (config.beta1, config.beta2)
        return torch.optim.Adam(weights, lr=lr, betas=betas, fused=on.fused())

    # --- one batch

    def train_batch(self) -> None:
        """The updates that the next batch is due, as in the book: every d_every-th, g_every-th."""
        if self._due(self.step, self.config.d_every):
            self._with_memory(self.step_d, self.step)
        if self._due(self.step, self.config.g_every):
            self._with_memory(self.step_g, self.step)
        self.step += 1

    @staticmethod
    def _due(step: int, every: int) -> bool:
        return (step + 1) % every == 0

    def _shares(self, step: int) -> bool:
        """Whether both updates of this batch are for the same fakes."""
        config = self.config
        both = self._due(step, config.d_every) and self._due(step, config.g_every)
        return config.share_fakes and both

    def step_d(self, step: int) -> None:
        """Update netd: a real batch against fakes that are cut from netg's graph.

        The graph is kept for `step_g` where that is for the same fakes and the batch is whole.
        """
        keep = self._shares(step) and self.pieces == 1
        self.schedule.set(self.optd, self.config.lr2, step)
        with self._updating(self.netd, self.optd, step) as add:
            logits = []
            pairs = zip(self._real(step), self._noise("noise-d", step), strict=True)
            of_real = self.conditions.of(self.batches.rows(step), self.pieces)
            of_fake = self.conditions.drawn(self.seed, "noise-d", step, self.pieces)
            for piece, (real, noise) in enumerate(pairs):
                with torch.set_grad_enabled(keep):
                    fake = self._run(self.netg, noise, *of_fake[piece])
                if keep:
                    self._fakes.append(fake)
                    fake = fake.detach()
                rows = self._rows(piece)
                see_real, see_fake = (self.view.at(step, side, rows) for side in ("x", "z"))
                given = of_real[piece], of_fake[piece]
                real_logits, real_aux = self._judge(see_real(real), given[0])
                fake_logits, fake_aux = self._judge(see_fake(fake), given[1])
                loss = self.objective.loss_d(real_logits, fake_logits, self._mean)
                self.meters.add(
                    loss_d=loss,
                    d_x=real_logits.sigmoid().mean(),
                    d_g_z=fake_logits.sigmoid().mean(),
                )
                if self._penalty_due(step):
                    penalty = self._penalty(step, rows, (real, fake), (see_real, see_fake), given)
                    self.meters.add(penalty=penalty)
                    weight = self.config.penalty_every * self.schedule.penalty(step)
                    loss = loss + penalty * weight
                if self.conditions.names:
                    self.meters.add(aux_x=real_aux, aux_g_z=fake_aux)
                add(loss + self.config.aux * (real_aux + fake_aux))
                logits.append((real_logits.detach(), fake_logits.detach()))
        if self.config.clip:
            with torch.no_grad():
                for one in self.netd.parameters():
                    one.clamp_(-self.config.clip, self.config.clip)
        for real_logits, fake_logits in logits if self.view.adapts else ():
            self.view.watch(real_logits, self._boundary(fake_logits))
        self.view.adapt(step // self.config.d_every, self.config.batch_size)

    def step_g(self, step: int) -> None:
        """Update netg: its fakes judged as real. No gradient of netd's weights is computed."""
        kept, self._fakes = self._fakes, []
        self.schedule.set(self.optg, self.config.lr1, step)
        with self._frozen(self.netd), self._updating(self.netg, self.optg, step) as add:
            # an objective that compares with reals gets other ones than the discriminator just had
            reals = self._real(step + 1) if self.objective.needs_real else ()
            of_real = self.conditions.of(self.batches.rows(step + 1), self.pieces) if reals else ()
            stream = "noise-d" if self._shares(step) else "noise-g"
            of_fake = self.conditions.drawn(self.seed, stream, step, self.pieces)
            pairs = zip(self._noise(stream, step), of_fake, strict=True)
            fakes = kept or (self._run(self.netg, noise, *given) for noise, given in pairs)
            for piece, fake in enumerate(fakes):
                rows = self._rows(piece)
                see_real, see_fake = (self.view.at(step, f"g-{side}", rows) for side in "xz")
                fake_logits, aux = self._judge(see_fake(fake), of_fake[piece])
                real_logits = (
                    self._run(self.netd, see_real(reals[piece]), *of_real[piece]) if reals else None
                )
                loss = self.objective.loss_g(fake_logits, real_logits, self._mean)
                add(loss + self.config.aux * aux)
                self.meters.add(loss_g=loss)
        if self.ema is not None:
            seen = (step + 1) * self.config.batch_size
            self.ema.update(self.netg, seen, self.config.batch_size * self.config.g_every)

    # --- penalties

    def _penalty_due(self, step: int) -> bool:
        every = self.config.d_every * self.config.penalty_every
        return models.penalised(self.config) and self._due(step, every)

    def _penalty(
        self,
        step: int,
        rows: slice,
        images: tuple[Tensor, Tensor],
        see: tuple[See, See],
        given: tuple[Given, Given],
    ) -> Tensor:
        """The weighted penalties; gradients run through the augmentation to the raw pictures.

        Reals come before fakes in each pair; mixtures of the two are judged as the reals are.
        """
        config = self.config
        real, fake = images
        at_real, at_fake = (self._critic(*pair) for pair in zip(see, given, strict=True))
        total = torch.zeros((), device=self.device)
        source = runtime.generator(self.seed, "penalty-0", step)
        if self.objective.penalty and config.gp:
            whole = config.batch_size
            mix = self._on.place(torch.rand(whole, 1, 1, 1, generator=source)[rows])
            if self.objective.penalty == "gp":
                found = penalties.gradient_penalty(at_real, real, fake, mix)
            else:
                drawn = torch.rand(whole, *real.shape[1:], generator=source)
                noise = self._on.place(drawn[rows])
                found = penalties.dragan(at_real, real, noise, mix, self._mean)
            total = total + config.gp * found
        if config.r1:
            total = total + config.r1 * penalties.zero_centred(at_real, real)
        if config.r2:
            total = total + config.r2 * penalties.zero_centred(at_fake, fake)
        return total

    def _critic(self, see: See, given: Given) -> Callable[[Tensor], Tensor]:
        return lambda images: self.netd(see(images), *given)

    def _boundary(self, fake_logits: Tensor) -> Tensor | float:
        known = self.objective.boundary
        return self._mean(fake_logits) if known is None else known

    # --- what the steps share

    def _run(self, net: nn.Module, inputs: Tensor, *given: Tensor) -> Tensor:
        """The net's output in float32, computed in the run's precision."""
        with self._on.lowered():
            output: Tensor = self._compiled.get(net, net)(inputs, *given)
        return output.float() if self._on.bf16 else output

    def _judge(self, images: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """netd's logits, and AC-GAN's loss: zero for other conditions."""
        if self.conditions.names:
            return self.conditions.judge(self.netd, images, given)
        return self._run(self.netd, images, *given), images.new_zeros(())

    def _mean(self, values: Tensor) -> Tensor:
        """Over dim 0 and all processes, differentiable."""
        return self.ranks.mean_of(values.mean(0))

    def _rows(self, piece: int) -> slice:
        """A piece's rows of the whole batch."""
        size = self.share // self.pieces
        start = self.ranks.rank * self.share + piece * size
        return slice(start, start + size)

    def _noise(self, stream: str, step: int) -> tuple[Tensor, ...]:
        """This process's noise [B / size, nz, 1, 1] ~ N(0, 1), in pieces; drawn on the CPU."""
        return self._noise_at(stream, step).chunk(self.pieces)

    def _noise_at(self, stream: str, step: int) -> Tensor:
        source = runtime.generator(self.seed, stream, step)
        noise = torch.randn(self.config.batch_size, self.config.nz, 1, 1, generator=source)
        return self._on.place(noise[self.ranks.rows(self.config.batch_size)])

    def _real(self, step: int) -> tuple[Tensor, ...]:
        """This process's real pictures [B / size, C, S, S] in [-1, 1], in pieces."""
        images: Tensor = self.batches.images(step)
        return images.chunk(self.pieces)

    @contextmanager
    def _updating(
        self, net: nn.Module, optimizer: torch.optim.Optimizer, step: int
    ) -> Iterator[Callable[[Tensor], None]]:
        """Collect gradients of the losses handed to `add`, then take a guarded optimizer step."""
        buffers = [*self.netg.buffers(), *self.netd.buffers()]
        watched = [(one, one.clone()) for one in buffers]
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)

        def add(loss: Tensor) -> None:
            nonlocal total
            loss = loss / self.pieces
            loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()

        short = ""
        try:
            yield add
        except (RuntimeError, MemoryError) as error:
            _put_back(watched)
            if self.ranks.size == 1 or not (runtime.is_out_of_memory(error) and self._splits()):
                raise
            short = str(error).splitlines()[0]  # its text alone: its frames hold the batch
        if self.ranks.size > 1 and self._splits() and self.ranks.most(bool(short)) == (1,):
            _put_back(watched)
            raise torch.OutOfMemoryError(short or "on another process")
        parameters = [one for one in net.parameters() if one.requires_grad]
        self.ranks.share([*(one.grad for one in parameters if one.grad is not None), total])
        self.guard.update(optimizer, parameters, total, step, watched)

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
        """Run an update; again if the compiler fails, without it; again when memory runs out, in
        smaller pieces where that is the same.
        """
        while True:
            try:
                update(step)
                return
            except (RuntimeError, MemoryError) as error:
                if self._compiled and compiling.is_failure(error):
                    self._say(f"{compiling.failed(error)}; training goes on without it")
                    self._compiled, self._fakes = {}, []
                    continue
                if not runtime.is_out_of_memory(error):
                    raise
                said = str(error).splitlines()[0][:80]
            self._fakes = []
            runtime.free_memory(self.device)
            self.pieces = self._smaller_pieces(said)

    def _smaller_pieces(self, said: str) -> int:
        more = next(
            (n for n in range(self.pieces * 2, self.share + 1) if self.share % n == 0), None
        )
        if self._splits() and more:
            return more
        fits = max(2, self.share // self.pieces // 2) * self.ranks.size
        why = ("its pictures see each other through BatchNorm or the loss, so pieces would not be "
               "the same") if more else "it cannot be cut smaller"  # fmt: skip
        text = (
            f"out of memory at step {self.step:,} ({said}); the batch was not cut, since "
            f"{why}: try --batch-size {fits}"
        )
        raise self.ranks.stopped(text) if self._splits() else TrainingStopped(text)

    def _splits(self) -> bool:
        """Whether the mean over pieces is the loss of the batch."""
        whole = models.has_batch_norm(self.netg) or models.has_batch_norm(self.netd)
        return (
            not whole and self.objective.name != "ra-hinge" and self.objective.penalty != "dragan"
        )

    # --- what a watch looks at

    def probe(self) -> dict[str, float]:
        """Both nets on this process's next batch, in eval mode, nothing updated: `probe_loss_d`,
        and the norm of the generator's loss gradient at its pictures, `probe_grad_g`.
        """
        real = self.batches.images(self.step)
        (of_real,) = self.conditions.of(self.batches.rows(self.step), 1)
        (of_fake,) = self.conditions.drawn(self.seed, "probe", self.step, 1)
        fake = self.sample(self._noise_at("probe", self.step), of_fake)
        with runtime.evaluating(self.netd), self._frozen(self.netd), torch.enable_grad():
            fake = fake.requires_grad_()
            real_logits, fake_logits = self.netd(real, *of_real), self.netd(fake, *of_fake)
            loss_d = self.objective.loss_d(real_logits, fake_logits)
            loss_g = self.objective.loss_g(fake_logits, real_logits)
            (gradient,) = torch.autograd.grad(loss_g, fake)
        return {"probe_loss_d": loss_d.item(), "probe_grad_g": gradient.norm().item()}

    # --- sampling and state

    def sample(self, noise: Tensor, given: Given = ()) -> Tensor:
        """Pictures in [-1, 1] for noise on any device; touches no buffer and no random state."""
        netg = self.shown()
        with runtime.evaluating(netg):
            images: Tensor = netg(self._on.place(noise), *given)
        return images

    def shown(self) -> nn.Module:
        """The generator that draws samples and that files hold: the average where there is one."""
        return self.netg if self.ema is None else self.ema.net

    def fixed_noise(self, count: int = 64) -> Tensor:
        """The same noise [count, nz, 1, 1] for every grid of a run."""
        source = runtime.generator(self.config.seed, "fixed")
        return torch.randn(count, self.config.nz, 1, 1, generator=source)

    @property
    def compiled_nets(self) -> int:
        return len(self._compiled)

    def reseed(self, salt: int) -> None:
        """Draw batches, noise and views from another seed from here on: what a rollback wants."""
        self.salt = salt
        self.seed = self.config.seed + salt * 1_000_003
        self.batches.seed = self.seed
        self.view.seed = self.seed

    def pool(self) -> None:
        """Bring what the processes count each for itself to one mean: before it is read or kept."""
        self.ranks.share([self.meters.table, *self.view.counts()])

    def state_dict(self) -> dict[str, Any]:
        """All that changes while training."""
        return {
            "step": self.step,
            "salt": self.salt,
            "pieces": self.pieces,
            "netg": self.netg.state_dict(),
            "netd": self.netd.state_dict(),
            "optg": self.optg.state_dict(),
            "optd": self.optd.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "schedule": self.schedule.state_dict(),
            "view": self.view.state_dict(),
            "meters": self.meters.state_dict(),
            "rng": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, at the rates and in the pieces of this config."""
        self.step = state["step"]
        self.reseed(state["salt"])
        least = max(self.pieces, state["pieces"])  # more where memory ran out
        self.pieces = next((n for n in range(least, self.share) if self.share % n == 0), self.share)
        self.netg.load_state_dict(state["netg"])
        self.netd.load_state_dict(state["netd"])
        self.schedule.load_state_dict(state["schedule"])
        for optimizer, saved in ((self.optg, state["optg"]), (self.optd, state["optd"])):
            if saved["param_groups"][0].keys() != optimizer.param_groups[0].keys():
                continue  # of another kind of optimizer, by --allow-changes: this one starts fresh
            optimizer.load_state_dict(saved)  # its rates are set anew at each step
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"] or state["netg"])  # netg where ema is new
        self.view.load_state_dict(state["view"])
        self.meters.load_state_dict(state["meters"])
        torch.set_rng_state(state["rng"].cpu())
