"""A training that watches itself: distances to held-out faces, the best state, alarms, rollback.

All decisions follow from steps and seeds, never from the clock, so a run that is stopped and
resumed decides as an uninterrupted one.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from animegan import images, runtime
from animegan.images import Draw
from animegan.trainer import Trainer

if TYPE_CHECKING:
    from config import Config

MEMORY = 5  # evaluations that a bad sign has to last
WON = 0.05  # a discriminator's loss below this share of its first is a win
DEAD = 0.01  # a generator's gradient below this share of its largest is dead
NARROW = 0.3  # a spread of the fixed pictures below this share of its largest is a collapse
UPTURN = 1.25  # a KID above this multiple of the best is on its way up


def probe(trainer: Trainer) -> dict[str, float]:
    """Both nets on the next batch, in eval mode, nothing updated: `probe_loss_d`, and the norm of
    the generator's loss gradient at its pictures, `probe_grad_g`. All processes call it.
    """
    step, netd, objective, ranks = trainer.step, trainer.netd, trainer.objective, trainer.ranks
    count = trainer.pieces.count  # a batch that had to be cut would not fit here either
    reals = trainer.batches.images(step).chunk(count)
    noises = trainer.noise_at("probe", step).chunk(count)
    of_real = trainer.conditions.of(trainer.batches.rows(step), count)
    of_fake = trainer.conditions.drawn(trainer.seed, "probe", step, count)
    found = torch.zeros(2, device=trainer.device)
    for piece in range(count):
        fake = trainer.sample(noises[piece], of_fake[piece])
        with runtime.evaluating(netd), runtime.frozen(netd), torch.enable_grad():
            fake = fake.requires_grad_()
            fake_logits = netd(fake, *of_fake[piece])
            real_logits = netd(reals[piece], *of_real[piece])
            loss_d = objective.loss_d(real_logits, fake_logits, ranks.batch_mean) / count
            loss_g = objective.loss_g(fake_logits, real_logits, ranks.batch_mean) / count
            (gradient,) = torch.autograd.grad(loss_g, fake)
        found += torch.stack([loss_d.detach(), gradient.square().sum()])
    ranks.share([found])
    loss, square = found.tolist()
    # a gradient of the whole batch's loss at local pictures is 1 / size of the local loss's
    return {"probe_loss_d": loss, "probe_grad_g": (square / ranks.size) ** 0.5}


class Yardstick(Protocol):
    """What `animegan.yardstick.TrainingYardstick` does."""

    n: int

    def score(self, draw: Draw) -> dict[str, float]:
        """`kid` and `fd` of pictures 0 .. n-1, uint8 [count, C, S, S] from draw(start, count)."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What one evaluation found."""

    values: dict[str, float]
    improved: bool  # the best KID so far
    alarms: tuple[str, ...] = ()  # lines that were not told before
    collapsed: bool = False  # some alarm is on
    out_of_patience: bool = False


@dataclass
class Watch:
    """Evaluates every `every` steps, on pictures of fixed noises drawn by the shown generator.

    Without a yardstick, as on all processes but the main one, it only knows when.
    """

    config: "Config"
    yardstick: Yardstick | None
    every: int
    seen: list[dict[str, float]] = field(default_factory=list)  # one entry an evaluation
    best_step: int = -1
    rollbacks: int = 0
    _on: set[str] = field(default_factory=set)  # alarms that are told already

    @property
    def best_kid(self) -> float:
        return min((one["kid"] for one in self.seen if one["step"] == self.best_step),
                   default=float("inf"))  # fmt: skip

    def due(self, step: int) -> bool:
        return step % self.every == 0

    def evaluate(self, trainer: Trainer, probed: dict[str, float]) -> Verdict:
        """Score the generator and look for bad signs; leaves the trainer as it was.

        `probed`: what `probe` has found on all processes.
        """
        assert self.yardstick is not None
        noise = trainer.fixed_noise(self.yardstick.n)
        given = trainer.conditions.fixed(self.yardstick.n)

        def draw(start: int, count: int) -> Tensor:
            rows = slice(start, start + count)
            labels = tuple(one[rows] for one in given)
            return images.to_uint8(trainer.sample(noise[rows], labels)).cpu()

        values = self.yardstick.score(draw)
        values["spread"] = spread_of(draw(0, min(64, self.yardstick.n)))
        values |= probed
        improved = values["kid"] < self.best_kid
        self.seen.append({"step": float(trainer.step), **values})
        if improved:
            self.best_step = trainer.step
        signs = self._signs()
        told = tuple(line for name, line in signs.items() if name not in self._on)
        self._on = set(signs)
        patience = self.config.patience
        since = sum(one["step"] > self.best_step for one in self.seen)
        return Verdict(values, improved, told, bool(signs), bool(patience and since >= patience))

    def _signs(self) -> dict[str, str]:
        """Bad signs that have lasted `MEMORY` evaluations, and the advice for each, by name."""
        recent = self.seen[-MEMORY:]
        if len(self.seen) <= MEMORY:
            return {}
        found = {}
        first = abs(self.seen[0]["probe_loss_d"])
        strongest = max(one["probe_grad_g"] for one in self.seen)
        if all(abs(one["probe_loss_d"]) < WON * first for one in recent):
            found["won"] = (
                "the discriminator wins outright: its loss is near 0 "
                f"({recent[-1]['probe_loss_d']:.2g}); try a lower --lr2, --d-every=2, --r1=1 or "
                "--augment=color,translation"
            )
        elif all(one["probe_grad_g"] < DEAD * strongest for one in recent):
            found["won"] = (
                "the generator's gradients are dying "
                f"({recent[-1]['probe_grad_g']:.2g}, once {strongest:.2g}); try --loss=bce, a "
                "lower --lr2 or --r1=1"
            )
        widest = max(one["spread"] for one in self.seen)
        if all(one["spread"] < NARROW * widest for one in recent):
            found["narrow"] = (
                "diversity collapses: the pictures of the fixed noises grow alike (spread "
                f"{recent[-1]['spread']:.1f}, once {widest:.1f}); try a lower --lr1, a larger "
                "--batch-size or --loss=ra-hinge"
            )
        best = self.best_kid
        if best > 0 and all(one["kid"] > UPTURN * best for one in recent):
            found["upturn"] = (
                f"KID turns upward: {recent[-1]['kid']:.3g}, at best {best:.3g} at step "
                f"{self.best_step}; try --augment=color,translation or more pictures, or take "
                "netg_best.pth"
            )
        return found

    def rolled_back(self) -> None:
        """Forget what came after the best; bad signs have to last anew."""
        self.rollbacks += 1
        self.seen = [one for one in self.seen if one["step"] <= self.best_step]
        self._on = set()

    def state_dict(self) -> dict[str, Any]:
        return {
            "seen": self.seen,
            "best_step": self.best_step,
            "rollbacks": self.rollbacks,
            "on": sorted(self._on),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = [dict(one) for one in state["seen"]]
        self.best_step = state["best_step"]
        self.rollbacks = state["rollbacks"]
        self._on = set(state["on"])


def interval(config: "Config", pictures: int) -> int:
    """Steps between evaluations: `eval_every`, or more where that would cost too large a share.

    An evaluation of so many `pictures` is counted as pictures / batch_size steps.
    """
    return max(config.eval_every, ceil(pictures / config.batch_size / config.eval_share))


def spread_of(pixels: Tensor) -> float:
    """Deviation over the pictures of uint8 [N, C, S, S], mean over positions, in grey levels."""
    return float(torch.std(pixels.float(), 0).mean())
