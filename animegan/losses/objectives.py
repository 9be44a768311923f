"""Objectives: losses as pure functions of the discriminator's logits, and the table of them.

Logits are float32 of shape [B], or [B, H] from a discriminator with H heads. Each loss is a scalar
to minimise: the mean over the batch, summed over heads. `real` and `fake` are the logits of real
and of generated pictures.

With several processes, the mean over the local batch is correct, because gradients are averaged
afterwards. A mean inside a non-linear function, however, has to cover all processes; such a loss
takes it from its argument `mean` (reduces dim 0 to one value per head; differentiable).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Mean = Callable[["Tensor"], "Tensor"]


def local_mean(values: Tensor) -> Tensor:
    """Return the mean over dim 0, the default of `mean` for a single process."""
    return values.mean(0)


class LossD(Protocol):
    """A discriminator loss: logits -> scalar."""

    def __call__(self, real: Tensor, fake: Tensor, mean: Mean = local_mean) -> Tensor: ...


class LossG(Protocol):
    """A generator loss: logits -> scalar; `real` is None unless `Objective.needs_real`."""

    def __call__(self, fake: Tensor, real: Tensor | None, mean: Mean = local_mean) -> Tensor: ...


def _softplus(values: Tensor) -> Tensor:
    """log(1 + e^x), stable for large x. Imports torch late, since `--help` needs this module."""
    from torch.nn.functional import softplus

    return softplus(values)


def _average(values: Tensor) -> Tensor:
    """Reduce [B] or [B, H] to a scalar: the mean over the batch, summed over heads."""
    return values.mean(0).sum()


def bce_d(real: Tensor, fake: Tensor, mean: Mean = local_mean) -> Tensor:
    """-log D(x) - log(1 - D(G(z))), D = sigmoid of the logit."""
    return _average(_softplus(-real)) + _average(_softplus(fake))


def bce_g(fake: Tensor, real: Tensor | None, mean: Mean = local_mean) -> Tensor:
    """-log D(G(z)): the non-saturating loss."""
    return _average(_softplus(-fake))


def minimax_g(fake: Tensor, real: Tensor | None, mean: Mean = local_mean) -> Tensor:
    """log(1 - D(G(z))): the saturating loss; its gradient vanishes if the discriminator wins."""
    return -_average(_softplus(fake))


def lsgan_d(real: Tensor, fake: Tensor, mean: Mean = local_mean) -> Tensor:
    """1/2 (D(x) - 1)² + 1/2 D(G(z))²: the paper's 0-1 coding."""
    return 0.5 * (_average((real - 1).square()) + _average(fake.square()))


def lsgan_g(fake: Tensor, real: Tensor | None, mean: Mean = local_mean) -> Tensor:
    """1/2 (D(G(z)) - 1)²."""
    return 0.5 * _average((fake - 1).square())


def critic_d(real: Tensor, fake: Tensor, mean: Mean = local_mean) -> Tensor:
    """D(G(z)) - D(x): the negative estimate of the Wasserstein distance."""
    return _average(fake) - _average(real)


def critic_g(fake: Tensor, real: Tensor | None, mean: Mean = local_mean) -> Tensor:
    """-D(G(z))."""
    return -_average(fake)


def hinge_d(real: Tensor, fake: Tensor, mean: Mean = local_mean) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z)))."""
    return _average((1 - real).relu()) + _average((1 + fake).relu())


def ra_hinge_d(real: Tensor, fake: Tensor, mean: Mean = local_mean) -> Tensor:
    """Hinge loss on each logit minus the mean logit of the other side."""
    return hinge_d(real - mean(fake), fake - mean(real))


def ra_hinge_g(fake: Tensor, real: Tensor | None, mean: Mean = local_mean) -> Tensor:
    """The discriminator's loss with reals and fakes swapped."""
    assert real is not None
    return ra_hinge_d(fake, real, mean)


def r3gan_d(real: Tensor, fake: Tensor, mean: Mean = local_mean) -> Tensor:
    """softplus(-(D(x) - D(G(z)))), pairing the i-th real with the i-th fake; equal batch sizes."""
    return _average(_softplus(fake - real))


def r3gan_g(fake: Tensor, real: Tensor | None, mean: Mean = local_mean) -> Tensor:
    """softplus(-(D(G(z)) - D(x)))."""
    assert real is not None
    return r3gan_d(fake, real)


_GAMMAS = ((32, 0.05), (64, 2.0), (256, 150.0))  # published: CIFAR-10, FFHQ at 64 and 256


def r3gan_gamma(image_size: int) -> float:
    """Return the initial weight of R1 and R2 for pictures of `image_size`.

    Interpolated by a power law between the two nearest published values, such as 7.1 at 96.
    """
    (low, one), (high, two) = _GAMMAS[:2] if image_size <= _GAMMAS[1][0] else _GAMMAS[1:]
    power = math.log(two / one) / math.log(high / low)
    return float(f"{one * (image_size / low) ** power:.2g}")


@dataclass(frozen=True)
class Objective:
    """An objective: a row of the table OBJECTIVES.

    source: the paper, and the equation or algorithm in it.
    defaults: published values by option name; options not listed keep Config's default.
    by_size: defaults that depend on the image size.
    penalty: "gp" or "dragan" (`animegan/losses/penalties.py`, weighted by `gp`), or None.
    needs_real: the generator's loss uses the logits of a real batch.
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
              probability=True),
    Objective("hinge", hinge_d, critic_g, "Lim & Ye 2017; settings of Zhang et al. 2019 (SAGAN)",
              {**_adam(1e-4, 4e-4, 0.0, 0.9), "d_norm": "spectral"}),
    Objective("ra-hinge", ra_hinge_d, ra_hinge_g, "Jolicoeur-Martineau 2019, appendix",
              _adam(2e-4, 2e-4, 0.5, 0.999), needs_real=True, boundary=None),
    Objective("r3gan", r3gan_d, r3gan_g, "Huang et al. 2024, equations 2 and 3",
              {**_adam(2e-4, 2e-4, 0.0, 0.9), "d_norm": "none", "ema": 500_000,
               "schedule": "lr=0.25,beta2=0.99,penalty=0.1,until=0.5", "share_fakes": False},
              by_size={"r1": r3gan_gamma, "r2": r3gan_gamma}, needs_real=True,
              boundary=None),
)}
# fmt: on


def auxiliary(class_logits: Tensor, labels: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """AC-GAN's loss: cross-entropy of the discriminator's class logits, summed over attributes.

    class_logits: [B, sum(sizes)], the logits of all attributes concatenated.
    labels: int64 [B, len(sizes)]; an unknown label, -1, contributes nothing. The mean is always
    over all B pictures, so that the pieces of a batch average to the batch's loss.

    The discriminator minimises it over reals and fakes and the generator over its fakes, with
    weight 1 relative to the objective, as in Odena et al. 2017, where the two maximise L_S + L_C
    and L_C - L_S. Several attributes as in Jin et al. 2017 (make.girls.moe), where the adversarial
    loss has 34 times the weight of this one, and there are 34 tags. Neither paper was at hand: the
    first is cited from secondary sources that agree, the weight from a reimplementation.
    """
    from torch.nn.functional import cross_entropy

    total = class_logits.new_zeros(())
    for logits, label in zip(
        class_logits.split_with_sizes(list(sizes), 1), labels.unbind(1), strict=True
    ):
        losses = cross_entropy(logits, label, ignore_index=-1, reduction="none")
        total = total + losses.mean()
    return total
