"""Adversarial losses as pure functions of the discriminator's logits.

Logits are float32 of shape [B], or [B, H] from a discriminator with H heads. Each loss is a scalar
to minimise: the mean over the batch, summed over heads. `real` and `fake` are the logits of real
and of generated pictures; `real` may be None where a generator's loss does not use it.

With several processes, the mean over the local batch is correct, because gradients are averaged
afterwards. A mean inside a non-linear function, however, has to cover all processes; such a loss
takes it from its argument `mean` (reduces dim 0 to one value per head; differentiable).

torch is imported late, since `--help` reads the table of these functions (objectives.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Mean = Callable[["Tensor"], "Tensor"]


def local_mean(values: Tensor) -> Tensor:
    """Return the mean over dim 0, the default of `mean` for a single process."""
    return values.mean(0)


def _softplus(values: Tensor) -> Tensor:
    """log(1 + e^x), stable for large x."""
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
