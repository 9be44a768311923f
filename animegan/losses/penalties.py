"""Gradient penalties on the discriminator's input, and weight clipping.

Penalties are unweighted scalars, twice differentiable, and computed in float32 or better whatever
the training precision. `critic` is any callable from images [B, C, H, W] to logits [B] or [B, H];
the logits of an image must depend on that image alone (no BatchNorm in the critic), otherwise
per-sample gradients are undefined. Random numbers are passed in as tensors. For lazy
regularisation (a penalty every k-th step), the caller multiplies the weight by k.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from animegan.losses.adversarial import local_mean
from animegan.runtime.device import full_precision

if TYPE_CHECKING:
    from animegan.losses.adversarial import Mean

Critic = Callable[[Tensor], Tensor]


@torch.no_grad()
def clip_weights(critic: nn.Module, bound: float) -> None:
    """Clamp every parameter to [-bound, bound] in place (Arjovsky et al. 2017, algorithm 1).

    Call it before the first update as well: the gradients of unclipped weights are about a hundred
    times larger, and RMSprop would divide by them for hundreds of steps.
    """
    for weight in critic.parameters():
        weight.clamp_(-bound, bound)


def _gradient(critic: Critic, images: Tensor) -> Tensor:
    """Return d sum(critic(images)) / d images, [B, C, H, W], itself differentiable."""
    images = images.detach().to(torch.promote_types(images.dtype, torch.float32))
    images.requires_grad_(True)
    with full_precision(images.device):
        logits = critic(images)
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient


def zero_centred(critic: Critic, images: Tensor) -> Tensor:
    """Return the mean over the batch of 1/2 |gradient|²: R1 on reals, R2 on fakes.

    Mescheder et al. 2018, equations 9 and 10, without gamma. Pass raw images and put augmentation
    inside `critic`, so that the gradient flows through it.
    """
    return 0.5 * _gradient(critic, images).square().sum((1, 2, 3)).mean()


def _one_centred(critic: Critic, images: Tensor) -> Tensor:
    """Return the mean over the batch of (|gradient| - 1)²."""
    norms = torch.linalg.vector_norm(_gradient(critic, images), dim=(1, 2, 3))
    penalty: Tensor = (norms - 1).square().mean()
    return penalty


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """Return the WGAN-GP penalty (Gulrajani et al. 2017, algorithm 1).

    It is taken at random interpolates of real and fake images; epsilon [B, 1, 1, 1] ~ U[0, 1) is
    the share of `real` in each.
    """
    return _one_centred(critic, epsilon * real + (1 - epsilon) * fake)


def dragan(
    critic: Critic, real: Tensor, noise: Tensor, alpha: Tensor, mean: Mean = local_mean
) -> Tensor:
    """Return DRAGAN's penalty around the reals (Kodali et al. 2017, algorithm 1).

    It is taken at x + alpha · 1/2 · std · noise, with noise [B, C, H, W] ~ U[0, 1), alpha
    [B, 1, 1, 1] ~ U[0, 1), and std the standard deviation over the whole batch. With several
    processes, `mean` must average over all of them.
    """
    real = real.detach()
    centre = mean(real.flatten())
    deviation = mean((real - centre).square().flatten()).sqrt()
    return _one_centred(critic, real + alpha * (0.5 * deviation * noise))
