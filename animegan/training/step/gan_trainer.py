"""The GAN training step: one update of the discriminator and one of the generator.

Nothing here copies a value from the device to the host; `training/loop.py` does so occasionally.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from animegan.config.derived import planned_steps
from animegan.core import images
from animegan.core.images import Draw
from animegan.data.batches import Batches
from animegan.data.labels import Labels
from animegan.losses.objectives import Objective
from animegan.losses.penalties import clip_weights
from animegan.runtime import modes
from animegan.runtime.device import Runtime
from animegan.training.step.augment import View
from animegan.training.step.compiling import Passes
from animegan.training.step.conditioning import Conditions
from animegan.training.step.ema import Ema
from animegan.training.step.inputs import Inputs, Shown
from animegan.training.step.meters import Meters
from animegan.training.step.optimizer_step import (
    Guard,
    Piece,
    Pieces,
    Updates,
    restore_moments,
)
from animegan.training.step.regularization import Regularizer
from animegan.training.step.schedule import Schedule
from animegan.training.step.sync_norm import synchronise

if TYPE_CHECKING:
    from animegan.config.config import Config

GRID = 64  # pictures in a grid


class GanTrainer:
    """A generator `netg` and a discriminator `netd`, trained in turn; a `base.Trainer`.

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
        runtime: Runtime,
        labels: Labels | None = None,
    ) -> None:
        self.config = config
        self.objective = objective
        self.runtime = runtime
        self.group = runtime.group
        self.batches = batches
        self.streams = batches.streams  # the one seed of all that is random here
        self.nets = {"netg": self._placed(netg), "netd": self._placed(netd)}
        if config.clip:
            clip_weights(self.netd, config.clip)
        self.optimizers = {
            "optg": self._optimizer(self.netg, config.lr1),
            "optd": self._optimizer(self.netd, config.lr2),
        }
        self.ema = Ema(self.netg, config.ema) if config.ema else None
        self.view = View(config, self.streams, runtime)
        self.conditions = Conditions(config, labels, runtime)
        self.guard = Guard(runtime.device)
        self.schedule = Schedule(config, planned_steps(config, batches.steps_per_epoch))
        self.meters = Meters(runtime.device)
        self.pieces = Pieces(config, objective, (self.netg, self.netd), self.group)
        self.regularizer = Regularizer(config, objective, self.nets, self.streams, runtime)
        self.passes = Passes(config, self.nets, runtime)
        self.updates = Updates(
            (self.netg, self.netd), self.guard, self.pieces, self.passes, runtime
        )
        self.inputs = Inputs(
            config, self.nets, batches, self.conditions, self.view, self.passes, self.streams,
            runtime,
        )  # fmt: skip
        self.step = 0

    def _placed(self, net: nn.Module) -> nn.Module:
        """Return the net on the device, with the main process's weights."""
        if self.group.size > 1:
            synchronise(net, self.group.mean_of, self.group.size)
        net = net.to(self.runtime.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.group.copy_from_main([*net.parameters(), *net.buffers()])
        return net

    def _optimizer(self, net: nn.Module, lr: float) -> torch.optim.Optimizer:
        config = self.config
        weights = [weight for weight in net.parameters() if weight.requires_grad]
        if config.optimizer == "rmsprop":
            return torch.optim.RMSprop(weights, lr=lr)
        betas = (config.beta1, config.beta2)
        return torch.optim.Adam(weights, lr=lr, betas=betas, fused=self.runtime.fused())

    @property
    def netg(self) -> nn.Module:
        return self.nets["netg"]

    @property
    def netd(self) -> nn.Module:
        return self.nets["netd"]

    @property
    def steps_per_epoch(self) -> int:
        return self.batches.steps_per_epoch

    @property
    def bad_step(self) -> Tensor:
        return self.guard.bad_step

    # --- one batch

    def train_batch(self) -> None:
        """Process one batch: update netd every `d_every`-th batch, netg every `g_every`-th."""
        config, step = self.config, self.step
        if (step + 1) % config.d_every == 0:
            self.updates.carry_out(self.step_d, step, self.inputs.forget)
        if (step + 1) % config.g_every == 0:
            self.updates.carry_out(self.step_g, step, self.inputs.forget)
        self.step += 1
        self.inputs.forget(before=self.step)

    def step_d(self, step: int) -> None:
        """Update netd to tell a batch of reals from as many fakes; netg gets no gradient."""
        config, objective = self.config, self.objective
        penalised = self.regularizer.due(step)
        logits: list[tuple[Tensor, Tensor]] = []

        def loss_of(piece: Piece) -> Tensor:
            real = self.inputs.reals(step, "x", piece)
            fake = self.inputs.fakes_for_d(step, piece)
            real_logits, real_aux = self._judge(real)
            fake_logits, fake_aux = self._judge(fake)
            loss = objective.loss_d(real_logits, fake_logits, self.group.batch_mean)
            self.meters.add(
                loss_d=loss,
                d_x=objective.score(real_logits).mean(),
                d_g_z=objective.score(fake_logits).mean(),
            )
            logits.append((real_logits.detach(), fake_logits.detach()))
            if penalised:
                penalty = self.regularizer.penalty(step, piece.rows, real, fake)
                self.meters.add(penalty=penalty)
                loss = loss + penalty * (config.penalty_every * self.schedule.penalty(step))
            if real_aux is not None and fake_aux is not None:
                self.meters.add(aux_x=real_aux, aux_g_z=fake_aux)
                loss = loss + config.aux * (real_aux + fake_aux)
            return loss

        optd = self.optimizers["optd"]
        self.schedule.set(optd, config.lr2, step)
        self.updates.take(self.netd, optd, step, loss_of, exact=penalised)
        if config.clip:
            clip_weights(self.netd, config.clip)
        if self.view.adapts:
            for real_logits, fake_logits in logits:
                self.view.watch(real_logits, self._boundary(fake_logits))
            self.view.adapt(step // config.d_every)

    def step_g(self, step: int) -> None:
        """Update netg to make netd judge its fakes real; netd's weights get no gradient."""
        config, objective = self.config, self.objective

        def loss_of(piece: Piece) -> Tensor:
            fake_logits, aux = self._judge(self.inputs.fakes_for_g(step, piece))
            real_logits = None
            if objective.needs_real:  # other reals than netd has just learnt
                real_logits = self._decide(self.inputs.reals(step, "g-x", piece, ahead=1))
            loss = objective.loss_g(fake_logits, real_logits, self.group.batch_mean)
            self.meters.add(loss_g=loss)
            return loss if aux is None else loss + config.aux * aux

        optg = self.optimizers["optg"]
        self.schedule.set(optg, config.lr1, step)
        with modes.frozen(self.netd):
            self.updates.take(self.netg, optg, step, loss_of)
        if self.ema is not None:
            seen = (step + 1) * config.batch_size
            self.ema.update(self.netg, seen, config.batch_size * config.g_every)

    def _judge(self, shown: Shown) -> tuple[Tensor, Tensor | None]:
        """Return netd's logits, and the AC-GAN loss of what it is shown (None without it)."""
        if not self.conditions.classifies:
            return self._decide(shown), None
        assert shown.labels is not None
        logits, class_logits = self.passes.judge(self._features(shown))
        return logits, self.conditions.class_loss(class_logits, shown.labels)

    def _decide(self, shown: Shown) -> Tensor:
        return self.passes.decide(self._features(shown), shown.labels)

    def _features(self, shown: Shown) -> Any:
        if shown.features is not None:
            return shown.features
        return self.passes.look(shown.see(shown.images))

    def _boundary(self, fake_logits: Tensor) -> Tensor | float:
        """Return the logit at the boundary between reals and fakes, for `--augment auto`."""
        known = self.objective.boundary
        return self.group.batch_mean(fake_logits) if known is None else known

    # --- once in a while

    def probe(self) -> dict[str, float]:
        """Evaluate both nets on the next batch without updating them.

        Returns:
            `probe_loss_d`, the discriminator's loss in eval mode, and `probe_grad_g`, the L2 norm
            of the gradient of the generator's loss with respect to its images.
        """
        netd, objective, mean = self.netd, self.objective, self.group.batch_mean
        inputs, step = self.inputs, self.step
        sums = torch.zeros(2, device=self.runtime.device)
        for piece in self.pieces:  # a batch that had to be split would not fit here either
            labels = piece.of(inputs.drawn_labels("probe", step))
            fake = self.sample(piece.of(inputs.noise("probe", step)), labels)
            with modes.evaluating(netd), modes.frozen(netd), torch.enable_grad():
                fake = fake.requires_grad_()
                fake_logits = netd(fake, labels)
                real_logits = netd(piece.of(inputs.images(step)), piece.of(inputs.labels(step)))
                loss_d = objective.loss_d(real_logits, fake_logits, mean) / self.pieces.count
                loss_g = objective.loss_g(fake_logits, real_logits, mean) / self.pieces.count
                (gradient,) = torch.autograd.grad(loss_g, fake)
            sums += torch.stack([loss_d.detach(), gradient.square().sum()])
        self.group.all_reduce_mean_([sums])
        loss, square = sums.tolist()
        # the loss of the whole batch is a mean over processes: its local gradient is 1 / size
        return {"probe_loss_d": loss, "probe_grad_g": (square / self.group.size) ** 0.5}

    def pool(self) -> None:
        self.group.all_reduce_mean_([self.meters.table, *self.view.counts()])

    def reseed(self, salt: int) -> None:
        self.streams.reseed(salt)
        self.inputs.forget()

    # --- pictures

    def sample(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate images in eval mode, changing no buffer and no random state.

        Args:
            noise: [B, nz, 1, 1] on any device.
            labels: int64 [B, A] on the training device, if the generator takes them.

        Returns:
            Images [B, C, S, S]: in [-1, 1], unbounded for r3gan.
        """
        netg = self.weights()["netg"]
        with modes.evaluating(netg):
            drawn: Tensor = netg(self.runtime.place(noise), labels)
        return drawn

    def fixed_noise(self, count: int = GRID) -> Tensor:
        """Return the noise [count, nz, 1, 1] that all grids of a run use."""
        source = self.streams.fixed("fixed")
        return torch.randn(count, self.config.nz, 1, 1, generator=source)

    def grid_images(self) -> Tensor:
        return self.sample(self.fixed_noise(), self.conditions.sheet(GRID))

    def real_images(self, count: int = GRID) -> Tensor:
        return self.batches.images(max(0, self.step - 1))[:count]

    def measured_images(self, count: int) -> Draw:
        noise = self.fixed_noise(count)
        labels = self.conditions.fixed(self.streams, count)

        def draw(start: int, count: int) -> Tensor:
            rows = slice(start, start + count)
            drawn = self.sample(noise[rows], None if labels is None else labels[rows])
            return images.to_uint8(drawn).cpu()

        return draw

    # --- files and states

    def weights(self) -> dict[str, nn.Module]:
        return {"netg": self.netg if self.ema is None else self.ema.net, "netd": self.netd}

    def about(self) -> dict[str, Any]:
        return self.conditions.about()

    def labels_state(self) -> dict[str, Any] | None:
        return self.conditions.state_dict()

    def compare_labels(self, saved: dict[str, Any] | None) -> str:
        return self.conditions.compare(saved)

    def circumstances(self) -> dict[str, Any]:
        faces = self.batches.faces
        return {
            "torch": str(torch.__version__),
            "threads": torch.get_num_threads(),
            "device": self.runtime.device.type,
            "processes": self.group.size,
            "compiled nets": len(self.passes.compiled),
            "pictures": len(faces),
            "picture files (names and sizes)": faces.digest,
        }

    def state_dict(self) -> dict[str, Any]:
        trained: dict[str, Any] = {**self.nets, **self.optimizers}
        return {
            "step": self.step,
            "salt": self.streams.salt,
            "pieces": self.pieces.count,
            **{name: part.state_dict() for name, part in trained.items()},
            "ema": None if self.ema is None else self.ema.state_dict(),
            "schedule": self.schedule.state_dict(),
            "view": self.view.state_dict(),
            "meters": self.meters.state_dict(),
            "rng": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.reseed(state["salt"])
        self.pieces.resume(state["pieces"])
        for name, net in self.nets.items():
            net.load_state_dict(state[name])
        self.schedule.load_state_dict(state["schedule"])
        for name, optimizer in self.optimizers.items():
            saved, own = state[name], optimizer.param_groups[0]
            if saved["param_groups"][0].keys() != own.keys():
                continue  # another optimizer (--allow-changes): start with fresh moments
            restore_moments(optimizer, saved)
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"] or state["netg"])  # netg if the run had no EMA
        self.view.load_state_dict(state["view"])
        self.meters.load_state_dict(state["meters"])
        torch.set_rng_state(state["rng"].cpu())
