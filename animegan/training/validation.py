"""Evaluation during training: distances to held-out faces, best state, alarms, rollback.

Decisions depend on steps and seeds, never on the clock, so a resumed run decides like an
uninterrupted one.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from animegan.core.images import Draw
from animegan.training.step.base import Trainer

if TYPE_CHECKING:
    from animegan.config.config import Config

MEMORY = 5  # consecutive evaluations that a sign must last to raise an alarm
WON = 0.05  # the discriminator wins below this share of its first loss
DEAD = 0.01  # the generator's gradient vanishes below this share of its maximum
NARROW = 0.3  # diversity collapses below this share of the maximum spread
ROLLBACKS = 3  # at most, in a run
SHARE = 0.1  # largest share of the training to spend on measuring
UPTURN = 1.25  # KID rises above this multiple of the best


class Evaluator(Protocol):
    """Interface of `animegan.evaluation.online.OnlineEvaluator`."""

    n: int

    def score(self, draw: Draw) -> dict[str, float]:
        """Return `kid` and `fd` of `n` images; draw(start, count) gives uint8 [count, C, S, S]."""
        ...


@dataclass(frozen=True)
class Verdict:
    """The result of one evaluation."""

    values: dict[str, float]
    improved: bool  # KID is the best so far
    alarms: tuple[str, ...] = ()  # new alarm messages
    collapsed: bool = False  # any alarm is active
    out_of_patience: bool = False


@dataclass
class Validation:
    """Evaluates images of fixed noise every `every` steps, drawn by the trainer.

    On processes other than the main one there is no evaluator, and `evaluate` must not be called.
    """

    config: "Config"
    evaluator: Evaluator | None
    every: int
    history: list[dict[str, float]] = field(default_factory=list)  # one entry per evaluation
    best_step: int = -1
    rollbacks: int = 0
    _active: set[str] = field(default_factory=set)  # active alarms, already reported

    @property
    def best_kid(self) -> float:
        """The lowest KID so far, or infinity."""
        return min((row["kid"] for row in self.history if row["step"] == self.best_step),
                   default=float("inf"))  # fmt: skip

    def due(self, step: int) -> bool:
        """Whether an evaluation is due at this step."""
        return step % self.every == 0

    def evaluate(self, trainer: Trainer, probed: dict[str, float]) -> Verdict:
        """Score the generator and check for alarms, without changing the trainer.

        Args:
            trainer: the trainer.
            probed: the result of its `probe`.
        """
        assert self.evaluator is not None
        draw = trainer.measured_images(self.evaluator.n)
        values = self.evaluator.score(draw)
        values["spread"] = spread_of(draw(0, min(64, self.evaluator.n)))
        values |= probed
        improved = values["kid"] < self.best_kid
        self.history.append({"step": float(trainer.step), **values})
        if improved:
            self.best_step = trainer.step
        signs = self._signs()
        new = tuple(line for name, line in signs.items() if name not in self._active)
        self._active = set(signs)
        patience = self.config.patience
        since = sum(row["step"] > self.best_step for row in self.history)
        return Verdict(values, improved, new, bool(signs), bool(patience and since >= patience))

    def _signs(self) -> dict[str, str]:
        """Return the alarms that have lasted `MEMORY` evaluations: name -> message with advice."""
        recent = self.history[-MEMORY:]
        if len(self.history) <= MEMORY:
            return {}
        signs = {}
        first = abs(self.history[0]["probe_loss_d"])
        strongest = max(row["probe_grad_g"] for row in self.history)
        if all(abs(row["probe_loss_d"]) < WON * first for row in recent):
            signs["won"] = (
                "the discriminator is winning: its loss is near 0 "
                f"({recent[-1]['probe_loss_d']:.2g}); try a lower --lr2, --d-every=2, --r1=1 or "
                "--augment=color,translation"
            )
        elif all(row["probe_grad_g"] < DEAD * strongest for row in recent):
            signs["won"] = (
                "the generator's gradients are vanishing "
                f"({recent[-1]['probe_grad_g']:.2g}, was {strongest:.2g}); try --loss=bce, a "
                "lower --lr2 or --r1=1"
            )
        widest = max(row["spread"] for row in self.history)
        if all(row["spread"] < NARROW * widest for row in recent):
            signs["narrow"] = (
                "mode collapse: the pictures of the fixed noise are becoming alike (spread "
                f"{recent[-1]['spread']:.1f}, was {widest:.1f}); try a lower --lr1, a larger "
                "--batch-size or --loss=ra-hinge"
            )
        best = self.best_kid
        if best > 0 and all(row["kid"] > UPTURN * best for row in recent):
            signs["upturn"] = (
                f"KID x 1000 is rising: {1000 * recent[-1]['kid']:.0f}, best was {1000 * best:.0f} "
                f"at step {self.best_step}; try --augment=color,translation or more pictures, or "
                "use netg_best.pth"
            )
        return signs

    def rolled_back(self) -> None:
        """Drop evaluations after the best one, so that alarms have to last again."""
        self.rollbacks += 1
        self.history = [row for row in self.history if row["step"] <= self.best_step]
        self._active = set()

    def state_dict(self) -> dict[str, Any]:
        return {
            "seen": self.history,
            "best_step": self.best_step,
            "rollbacks": self.rollbacks,
            "on": sorted(self._active),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history = [dict(row) for row in state["seen"]]
        self.best_step = state["best_step"]
        self.rollbacks = state["rollbacks"]
        self._active = set(state["on"])


def interval(config: "Config", pictures: int) -> int:
    """Return the steps between evaluations: `eval_every`, or more to respect `SHARE`.

    An evaluation of `pictures` images is assumed to cost as much as pictures / batch_size steps.
    """
    return max(config.eval_every, ceil(pictures / config.batch_size / SHARE))


def spread_of(pixels: Tensor) -> float:
    """Return the std over images uint8 [N, C, S, S], averaged over pixels, in grey levels."""
    return float(torch.std(pixels.float(), 0).mean())
