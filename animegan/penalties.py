"""What bounds a discriminator: penalties on its input gradient, and weight clipping.

Penalties are unweighted scalars, differentiable twice, and always at least float32, whatever
precision the training runs in. `critic` is any callable from images [B, C, H, W] to logits [B] or
[B, H]; the logits of a picture must depend on that picture alone (no BatchNorm in the critic),
else the per-picture gradients mean nothing. Random numbers come in as tensors. A penalty taken
only every k-th step is weighted k times by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from animegan import runtime
from animegan.losses import local_mean

if TYPE_CHECKING:
    from animegan.losses import Mean

Critic = Callable[[Tensor], Tensor]


@torch.no_grad()
def clip_weights(critic: nn.Module, bound: float) -> None:
    """Keep every weight within ±bound (Arjovsky et al. 2017, algorithm 1).

    Before the first gradient too: at larger weights it is a hundred times as large, and RMSprop
    would divide by it for hundreds of steps.
    """
    for one in critic.parameters():
        one.clamp_(-bound, bound)


def _gradient(critic: Critic, images: Tensor) -> Tensor:
    """d sum(critic(images)) / d images: [B, C, H, W], itself differentiable."""
    images = images.detach().to(torch.promote_types(images.dtype, torch.float32))
    images.requires_grad_(True)
    with runtime.full(images.device):
        logits = critic(images)
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient


def zero_centred(critic: Critic, images: Tensor) -> Tensor:
    """1/2 |gradient|², summed over pixels, mean over the batch: R1 on reals, R2 on fakes.

    Mescheder et al. 2018, equations 9 and 10 without gamma. The images are raw; augmentation
    belongs inside `critic`, so that the gradient runs through it.
    """
    return 0.5 * _gradient(critic, images).square().sum((1, 2, 3)).mean()


def _one_centred(critic: Critic, images: Tensor) -> Tensor:
    """(|gradient| - 1)², mean over the batch."""
    norms = torch.linalg.vector_norm(_gradient(critic, images), dim=(1, 2, 3))
    penalty: Tensor = (norms - 1).square().mean()
    return penalty


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """WGAN-GP's penalty on the lines between real and fake (Gulrajani et al. 2017, algorithm 1).

    epsilon [B, 1, 1, 1] ~ U[0, 1): the share of `real` in each mixture.
    """
    return _one_centred(critic, epsilon * real + (1 - epsilon) * fake)


def dragan(
    critic: Critic, real: Tensor, noise: Tensor, alpha: Tensor, mean: Mean = local_mean
) -> Tensor:
    """DRAGAN's penalty around the reals (Kodali et al. 2017, algorithm 1).

    At x + alpha · 1/2 · std · noise: noise [B, C, H, W] ~ U[0, 1), alpha [B, 1, 1, 1] ~ U[0, 1),
    std the deviation of all values of the batch. Over several processes `mean` has to cover all.
    """
    real = real.detach()
    centre = mean(real.flatten())
    deviation = mean((real - centre).square().flatten()).sqrt()
    return _one_centred(critic, real + alpha * (0.5 * deviation * noise))
