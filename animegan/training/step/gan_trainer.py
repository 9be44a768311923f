"""The GAN training step: one update of the discriminator and one of the generator.

Nothing here copies a value from the device to the host; `training/loop.py` does so occasionally.
"""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from animegan.config.derived import planned_steps
from animegan.data.batches import Batches
from animegan.data.labels import Labels
from animegan.losses.objectives import Objective
from animegan.losses.penalties import clip_weights
from animegan.models import projected
from animegan.runtime import modes, seeds
from animegan.runtime.device import Runtime
from animegan.training.step import compiling
from animegan.training.step.conditioning import Conditions, Given
from animegan.training.step.ema import Ema
from animegan.training.step.guard import Guard
from animegan.training.step.meters import Meters
from animegan.training.step.optimizer_step import Updates
from animegan.training.step.pieces import Pieces
from animegan.training.step.regularization import Regularizer
from animegan.training.step.schedule import Schedule
from animegan.training.step.sync_norm import synchronise
from animegan.training.step.view import View

if TYPE_CHECKING:
    from animegan.config.config import Config


class Trainer:
    """Both nets, both optimizers, and the training steps.

    All random numbers depend on the seed and the step alone, so a resumed run needs only `step` to
    continue the random streams and the epoch. They are drawn for the whole batch and each process
    takes its rows, so several processes see the same numbers as one.
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
    ) -> None:
        self.config = config
        self.objective = objective
        self.batches = batches
        self.device = on.device
        self.ranks = on.ranks
        if on.ranks.size > 1:
            for net in (netg, netd):
                synchronise(net, on.ranks.mean_of, on.ranks.size)
        self.netg = netg.to(on.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.netd = netd.to(on.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for net in (self.netg, self.netd):
            on.ranks.copy_from_main([*net.parameters(), *net.buffers()])
        if config.clip:
            clip_weights(self.netd, config.clip)
        self.optg = self._optimizer(self.netg, config.lr1, on)
        self.optd = self._optimizer(self.netd, config.lr2, on)
        self.ema = Ema(self.netg, config.ema) if config.ema else None
        self.view = View(config, on)
        self.conditions = Conditions(config, labels, on)
        self.guard = Guard(on.device)
        self.schedule = Schedule(config, planned_steps(config, batches.steps_per_epoch))
        self.meters = Meters(on.device)
        self.pieces = Pieces(config, objective, (self.netg, self.netd), on.ranks)
        self.regularizer = Regularizer(config, objective, self.netd, on)
        self.passes = compiling.Passes(config, self.netg, self.netd, on)
        self.updates = Updates((self.netg, self.netd), self.guard, self.pieces, self.passes, on)
        self.step = 0  # completed batches
        self._fakes: list[Tensor] = []  # shared by the two updates of a batch
        self._seen: list[Tensor] = []  # a projected netd's features of them
        self._projected = isinstance(self.netd, projected.Discriminator)
        self.reseed(0)
        self._on = on

    def _optimizer(self, net: nn.Module, lr: float, on: Runtime) -> torch.optim.Optimizer:
        config = self.config
        weights = [one for one in net.parameters() if one.requires_grad]
        if config.optimizer == "rmsprop":
            return torch.optim.RMSprop(weights, lr=lr)
        betas = (config.beta1, config.beta2)
        return torch.optim.Adam(weights, lr=lr, betas=betas, fused=on.fused())

    # --- one batch

    def train_batch(self) -> None:
        """Process one batch: update netd every `d_every`-th batch, netg every `g_every`-th."""
        if self._due(self.step, self.config.d_every):
            self.updates.carry_out(self.step_d, self.step, self._forget)
        if self._due(self.step, self.config.g_every):
            self.updates.carry_out(self.step_g, self.step, self._forget)
        self.step += 1

    def _forget(self) -> None:
        """Drop the fakes and features shared by the two updates of a batch."""
        self._fakes, self._seen = [], []

    @staticmethod
    def _due(step: int, every: int) -> bool:
        return (step + 1) % every == 0

    def _shares(self, step: int) -> bool:
        """Whether both updates of this batch use the same fakes."""
        config = self.config
        both = self._due(step, config.d_every) and self._due(step, config.g_every)
        return config.share_fakes and both

    def _looks(self) -> bool:
        """Whether the frozen part of a projected netd can be called separately."""
        whole = self.conditions.names or self.netd in self.passes.compiled
        return self._projected and not whole

    def step_d(self, step: int) -> None:
        """Update netd on a batch of reals and of detached fakes.

        If `step_g` uses the same fakes and the batch is not split, netg's graph is kept for it,
        with the features of netd's frozen part, which this update does not change.
        """
        keep = self._shares(step) and self.pieces.count == 1
        self.schedule.set(self.optd, self.config.lr2, step)
        exact = self.regularizer.due(step)
        with self.updates.taking(self.netd, self.optd, step, exact) as add:
            logits = []
            pairs = zip(self._real(step), self._noise("noise-d", step), strict=True)
            of_real = self.conditions.of(self.batches.rows(step), self.pieces.count)
            of_fake = self.conditions.drawn(self.seed, "noise-d", step, self.pieces.count)
            for piece, (real, noise) in enumerate(pairs):
                with torch.set_grad_enabled(keep):
                    fake = self.passes(self.netg, noise, *of_fake[piece])
                if keep:
                    self._fakes.append(fake)
                rows = self.pieces.rows(piece)
                see_real, see_fake = (self.view.at(step, side, rows) for side in ("x", "z"))
                given = of_real[piece], of_fake[piece]
                real_logits, real_aux = self._judge(see_real(real), given[0])
                if keep and self._looks():
                    self._seen = self._look(see_fake(fake))
                fake = fake.detach()
                shown = [one.detach() for one in self._seen] or see_fake(fake)
                fake_logits, fake_aux = self._judge(shown, given[1])
                loss = self.objective.loss_d(real_logits, fake_logits, self.ranks.batch_mean)
                self.meters.add(
                    loss_d=loss,
                    d_x=self.objective.score(real_logits).mean(),
                    d_g_z=self.objective.score(fake_logits).mean(),
                )
                if exact:
                    see = see_real, see_fake
                    penalty = self.regularizer.penalty(step, rows, (real, fake), see, given)
                    self.meters.add(penalty=penalty)
                    weight = self.config.penalty_every * self.schedule.penalty(step)
                    loss = loss + penalty * weight
                if self.conditions.names:
                    self.meters.add(aux_x=real_aux, aux_g_z=fake_aux)
                add(loss + self.config.aux * (real_aux + fake_aux))
                logits.append((real_logits.detach(), fake_logits.detach()))
        if self.config.clip:
            clip_weights(self.netd, self.config.clip)
        for real_logits, fake_logits in logits if self.view.adapts else ():
            self.view.watch(real_logits, self._boundary(fake_logits))
        self.view.adapt(step // self.config.d_every, self.config.batch_size)

    def step_g(self, step: int) -> None:
        """Update netg to make netd judge its fakes real; netd's weights get no gradient."""
        kept, looked = self._fakes, self._seen
        self._forget()
        self.schedule.set(self.optg, self.config.lr1, step)
        with modes.frozen(self.netd), self.updates.taking(self.netg, self.optg, step) as add:
            # relativistic objectives use other reals than the discriminator's update just did
            reals = self._real(step + 1) if self.objective.needs_real else ()
            of_real = (
                self.conditions.of(self.batches.rows(step + 1), self.pieces.count) if reals else ()
            )
            shares = self._shares(step)
            stream = "noise-d" if shares else "noise-g"
            # the same view of shared fakes as in step_d, so results do not depend on `keep`
            side = "z" if shares and self._projected else "g-z"
            of_fake = self.conditions.drawn(self.seed, stream, step, self.pieces.count)
            pairs = zip(self._noise(stream, step), of_fake, strict=True)
            fakes = kept or (self.passes(self.netg, noise, *given) for noise, given in pairs)
            for piece, fake in enumerate(fakes):
                rows = self.pieces.rows(piece)
                see_real, see_fake = self.view.at(step, "g-x", rows), self.view.at(step, side, rows)
                fake_logits, aux = self._judge(looked or see_fake(fake), of_fake[piece])
                real_logits = (
                    self.passes(self.netd, see_real(reals[piece]), *of_real[piece])
                    if reals
                    else None
                )
                loss = self.objective.loss_g(fake_logits, real_logits, self.ranks.batch_mean)
                add(loss + self.config.aux * aux)
                self.meters.add(loss_g=loss)
        if self.ema is not None:
            seen = (step + 1) * self.config.batch_size
            self.ema.update(self.netg, seen, self.config.batch_size * self.config.g_every)

    def _boundary(self, fake_logits: Tensor) -> Tensor | float:
        """Return the logit at the boundary between reals and fakes, for `--augment auto`."""
        known = self.objective.boundary
        return self.ranks.batch_mean(fake_logits) if known is None else known

    # --- shared by the steps

    def _look(self, images: Tensor) -> list[Tensor]:
        """Return the features of a projected netd's frozen part, in the run's precision."""
        with self._on.lowered():
            return cast(projected.Discriminator, self.netd).look(images)

    def _judge(self, shown: Tensor | list[Tensor], given: Given) -> tuple[Tensor, Tensor]:
        """Return netd's logits and the AC-GAN loss (0 for other conditions).

        `shown` are images, or the features that `_look` returned for them.
        """
        if isinstance(shown, list):
            with self._on.lowered():
                logits = cast(projected.Discriminator, self.netd).decide(shown, *given).float()
        elif self.conditions.names:
            return self.conditions.judge(self.netd, shown, given)
        else:
            logits = self.passes(self.netd, shown, *given)
        return logits, logits.new_zeros(())

    def _noise(self, stream: str, step: int) -> tuple[Tensor, ...]:
        """Return this process's noise, split into pieces; see `noise_at`."""
        return self.noise_at(stream, step).chunk(self.pieces.count)

    def noise_at(self, stream: str, step: int) -> Tensor:
        """Return this process's noise [B / size, nz, 1, 1] ~ N(0, 1), drawn on the CPU."""
        source = seeds.generator(self.seed, stream, step)
        noise = torch.randn(self.config.batch_size, self.config.nz, 1, 1, generator=source)
        return self._on.place(noise[self.ranks.rows(self.config.batch_size)])

    def _real(self, step: int) -> tuple[Tensor, ...]:
        """Return this process's reals [B / size, C, S, S] in [-1, 1], split into pieces."""
        images: Tensor = self.batches.images(step)
        return images.chunk(self.pieces.count)

    # --- sampling and state

    def sample(self, noise: Tensor, given: Given = ()) -> Tensor:
        """Generate images in eval mode, changing no buffer and no random state.

        Args:
            noise: [B, nz, 1, 1] on any device.
            given: labels on the training device, if the generator takes them.

        Returns:
            Images [B, C, S, S]: in [-1, 1], unbounded for r3gan.
        """
        netg = self.shown()
        with modes.evaluating(netg):
            images: Tensor = netg(self._on.place(noise), *given)
        return images

    def shown(self) -> nn.Module:
        """Return the generator used for samples and weight files: the EMA's if there is one."""
        return self.netg if self.ema is None else self.ema.net

    def fixed_noise(self, count: int = 64) -> Tensor:
        """Return the noise [count, nz, 1, 1] that all grids of a run use."""
        source = seeds.generator(self.config.seed, "fixed")
        return torch.randn(count, self.config.nz, 1, 1, generator=source)

    def reseed(self, salt: int) -> None:
        """Switch to another seed for batches, noise and views, after a rollback."""
        self.salt = salt
        self.seed = self.config.seed + salt * 1_000_003
        self.batches.seed = self.seed
        self.view.seed = self.seed
        self.regularizer.seed = self.seed

    def pool(self) -> None:
        """Average the processes' own counts; call before they are read or saved."""
        self.ranks.share([self.meters.table, *self.view.counts()])

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes during training."""
        return {
            "step": self.step,
            "salt": self.salt,
            "pieces": self.pieces.count,
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
        """Restore a `state_dict`, with the learning rates and accumulation of this config."""
        self.step = state["step"]
        self.reseed(state["salt"])
        self.pieces.resume(state["pieces"])
        self.netg.load_state_dict(state["netg"])
        self.netd.load_state_dict(state["netd"])
        self.schedule.load_state_dict(state["schedule"])
        for optimizer, saved in ((self.optg, state["optg"]), (self.optd, state["optd"])):
            own = optimizer.param_groups[0]
            if saved["param_groups"][0].keys() != own.keys():
                continue  # another optimizer (--allow-changes): start with fresh moments
            # "fused" depends on the device; learning rates are set again at each step
            fused = {"fused": own["fused"]} if "fused" in own else {}
            groups = [{**group, **fused} for group in saved["param_groups"]]
            optimizer.load_state_dict({**saved, "param_groups": groups})
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"] or state["netg"])  # netg if the run had no EMA
        self.view.load_state_dict(state["view"])
        self.meters.load_state_dict(state["meters"])
        torch.set_rng_state(state["rng"].cpu())
