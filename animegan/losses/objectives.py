"""The table of objectives: which losses, with the settings published with them.

The losses themselves are in adversarial.py. Torch-free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from animegan.losses.adversarial import (
    Mean,
    bce_d,
    bce_g,
    critic_d,
    critic_g,
    hinge_d,
    local_mean,
    lsgan_d,
    lsgan_g,
    minimax_g,
    r3gan_d,
    r3gan_g,
    ra_hinge_d,
    ra_hinge_g,
)

if TYPE_CHECKING:
    from torch import Tensor


class LossD(Protocol):
    """A discriminator loss: logits -> scalar."""

    def __call__(self, real: Tensor, fake: Tensor, mean: Mean = local_mean) -> Tensor: ...


class LossG(Protocol):
    """A generator loss: logits -> scalar; `real` is None unless `Objective.needs_real`."""

    def __call__(self, fake: Tensor, real: Tensor | None, mean: Mean = local_mean) -> Tensor: ...


_GAMMAS = ((32, 0.05), (64, 2.0), (256, 150.0))  # published: CIFAR-10, FFHQ at 64 and 256


def r3gan_gamma(image_size: int) -> float:
    """Return the initial weight of R1 and R2 for pictures of `image_size`.

    Interpolated by a power law between the two nearest published values, such as 7.1 at 96.
    """
    (low, at_low), (high, at_high) = _GAMMAS[:2] if image_size <= _GAMMAS[1][0] else _GAMMAS[1:]
    power = math.log(at_high / at_low) / math.log(high / low)
    return float(f"{at_low * (image_size / low) ** power:.2g}")


@dataclass(frozen=True)
class Objective:
    """An objective: a row of the table OBJECTIVES.

    source: the paper, and the equation or algorithm in it.
    defaults: published values by option name; options not listed keep Config's default.
    by_size: defaults that depend on the image size.
    penalty: "gp" or "dragan" (`animegan/losses/penalties.py`, weighted by `gp`), or None.
    needs_real: the generator's loss uses the logits of a real batch.
    mixes_batch: the loss or its penalty compares each picture with a mean of the batch, so that
    splitting the batch changes the result.
    shares_fakes: a batch that updates both nets may show both the same fakes.
    boundary: the logit that separates reals from fakes, for `--augment auto`. None if only
    differences of logits are meaningful; the mean of the fakes' logits is used then.
    probability: the sigmoid of a logit is the probability that the picture is real.
    """

    name: str
    loss_d: LossD
    loss_g: LossG
    source: str
    defaults: Mapping[str, object] = field(default_factory=dict)
    by_size: Mapping[str, Callable[[int], object]] = field(default_factory=dict)
    penalty: str | None = None
    needs_real: bool = False
    mixes_batch: bool = False
    shares_fakes: bool = True
    boundary: float | None = 0.0
    probability: bool = False

    def score(self, logits: Tensor) -> Tensor:
        """Return D(x) as the curves show it: a probability if it is one, else the logit itself."""
        return logits.sigmoid() if self.probability else logits

    def defaults_at(self, image_size: int) -> dict[str, object]:
        """Return all defaults for pictures of `image_size`."""
        return {**self.defaults, **{key: rule(image_size) for key, rule in self.by_size.items()}}


def _adam(
    lr1: float, lr2: float, beta1: float, beta2: float, g_every: int = 1
) -> dict[str, object]:
    """Return Adam's options; the generator (lr1) is updated every `g_every` batches."""
    rates: dict[str, object] = {"optimizer": "adam", "lr1": lr1, "lr2": lr2}
    return {**rates, "beta1": beta1, "beta2": beta2, "d_every": 1, "g_every": g_every}


_RMSPROP: dict[str, object] = {"optimizer": "rmsprop", "lr1": 5e-5, "lr2": 5e-5}

# fmt: off
OBJECTIVES: dict[str, Objective] = {row.name: row for row in (
    Objective("bce", bce_d, bce_g, "Goodfellow et al. 2014, section 3; settings of Radford et al.",
              _adam(2e-4, 2e-4, 0.5, 0.999), probability=True),
    Objective("minimax", bce_d, minimax_g, "Goodfellow et al. 2014, equation 1",
              _adam(2e-4, 2e-4, 0.5, 0.999), probability=True),
    Objective("lsgan", lsgan_d, lsgan_g, "Mao et al. 2017, equation 9",
              _adam(1e-3, 1e-3, 0.5, 0.999), boundary=0.5),
    Objective("wgan", critic_d, critic_g, "Arjovsky et al. 2017, algorithm 1",
              {**_RMSPROP, "clip": 0.01, "d_every": 1, "g_every": 5}, boundary=None),
    Objective("wgan-gp", critic_d, critic_g, "Gulrajani et al. 2017, algorithm 1",
              {**_adam(1e-4, 1e-4, 0.0, 0.9, g_every=5), "gp": 10.0, "d_norm": "none"},
              penalty="gp", boundary=None),
    Objective("dragan", bce_d, bce_g, "Kodali et al. 2017, algorithm 1",
              {**_adam(2e-4, 2e-4, 0.5, 0.999), "gp": 10.0, "d_norm": "none"}, penalty="dragan",
              mixes_batch=True, probability=True),
    Objective("hinge", hinge_d, critic_g, "Lim & Ye 2017; settings of Zhang et al. 2019 (SAGAN)",
              {**_adam(1e-4, 4e-4, 0.0, 0.9), "d_norm": "spectral"}),
    Objective("ra-hinge", ra_hinge_d, ra_hinge_g, "Jolicoeur-Martineau 2019, appendix",
              _adam(2e-4, 2e-4, 0.5, 0.999), needs_real=True, mixes_batch=True,
              boundary=None),
    Objective("r3gan", r3gan_d, r3gan_g, "Huang et al. 2024, equations 2 and 3",
              {**_adam(2e-4, 2e-4, 0.0, 0.9), "d_norm": "none", "ema": 500_000,
               "schedule": "lr=0.25,beta2=0.99,penalty=0.1,until=0.5"},
              by_size={"r1": r3gan_gamma, "r2": r3gan_gamma}, needs_real=True,
              boundary=None, shares_fakes=False),
)}
# fmt: on
