"""Penalties against linear and quadratic critics worked out by hand, and their derivatives."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from animegan.losses.penalties import dragan, gradient_penalty, zero_centred

SHAPE = (2, 1, 2, 2)
WEIGHT = torch.tensor([[[1.0, 2.0], [2.0, 4.0]]])  # norm 5


def linear(images: Tensor) -> Tensor:
    return (images * WEIGHT).sum((1, 2, 3)) + 7


def square(images: Tensor) -> Tensor:
    """1/2 |x|²: its gradient is x itself."""
    return 0.5 * images.square().sum((1, 2, 3))


def uniform(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(5))


def test_linear_critic() -> None:
    """Its gradient is the weight everywhere: (5 - 1)² and 25 / 2."""
    real, fake = torch.randn(SHAPE), torch.randn(SHAPE)
    epsilon = uniform(2, 1, 1, 1)
    assert gradient_penalty(linear, real, fake, epsilon).item() == pytest.approx(16)
    assert dragan(linear, real, uniform(*SHAPE), epsilon).item() == pytest.approx(16)
    assert zero_centred(linear, real).item() == pytest.approx(12.5)


def test_where_the_gradient_is_taken() -> None:
    real, fake = torch.full(SHAPE, 2.0), torch.full(SHAPE, -2.0)
    epsilon = torch.tensor([1.0, 0.25]).view(2, 1, 1, 1)
    # at 2 and at 0.25 · 2 - 0.75 · 2 = -1: norms of four equal values 4 and 2
    assert gradient_penalty(square, real, fake, epsilon).item() == pytest.approx((9 + 1) / 2)
    assert zero_centred(square, real).item() == pytest.approx(0.5 * 16)


def test_dragan_moves_by_half_the_deviation() -> None:
    real = torch.tensor([0.0, 4.0]).view(2, 1, 1, 1).expand(SHAPE)  # deviation 2
    noise, alpha = torch.ones(SHAPE), torch.tensor([1.0, 0.5]).view(2, 1, 1, 1)
    # at 0 + 1 · 1 and 4 + 0.5 · 1: norms 2 and 9
    assert dragan(square, real, noise, alpha).item() == pytest.approx((1 + 64) / 2)
    whole = dragan(square, real, noise, alpha, mean=lambda values: values.mean(0) + 0)
    assert whole.item() == pytest.approx(32.5)
    # another process's share of the batch counts through `mean` alone
    means = iter((torch.tensor(2.0), torch.tensor(16.0)))
    wide = dragan(square, real, noise, alpha, mean=lambda _: next(means))
    assert wide.item() == pytest.approx((9 + 81) / 2)  # at 2 and 5


def penalties() -> dict[str, Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]]:
    dtype = torch.float64
    return {
        "zero_centred": zero_centred,
        "gradient_penalty": lambda critic, real: gradient_penalty(
            critic, real, -real, uniform(2, 1, 1, 1, dtype=dtype)
        ),
        "dragan": lambda critic, real: dragan(
            critic, real, uniform(*SHAPE, dtype=dtype), uniform(2, 1, 1, 1, dtype=dtype)
        ),
    }


@pytest.mark.parametrize("name", penalties())
def test_first_and_second_derivatives(name: str) -> None:
    """With respect to the critic's weights, in float64, through a smooth non-linear critic."""
    generator = torch.Generator().manual_seed(1)
    real = torch.randn(SHAPE, dtype=torch.float64, generator=generator)
    weight = torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    head = torch.randn(3, dtype=torch.float64, generator=generator, requires_grad=True)

    def penalty(weight: Tensor, head: Tensor) -> Tensor:
        return penalties()[name](lambda x: torch.tanh(x.flatten(1) @ weight.t()) @ head, real)

    assert torch.autograd.gradcheck(penalty, (weight, head))
    assert torch.autograd.gradgradcheck(penalty, (weight, head))


@pytest.mark.parametrize("name", penalties())
def test_flat_critic_gives_finite_gradients(name: str) -> None:
    weight = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    real = torch.randn(SHAPE, dtype=torch.float64)
    penalty = penalties()[name](lambda x: x.flatten(1) @ weight, real)
    assert penalty.item() == pytest.approx(0 if name == "zero_centred" else 1)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient.isfinite().all()


def test_float32_under_autocast() -> None:
    netd = nn.Linear(4, 1)
    images = torch.randn(SHAPE)
    seen = []

    def critic(x: Tensor) -> Tensor:
        logits = netd(x.flatten(1)).view(-1)
        seen.append(logits.dtype)
        return logits

    expected = 0.5 * netd.weight.square().sum()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = zero_centred(critic, images.bfloat16())
    assert seen == [torch.float32]
    assert penalty.dtype == torch.float32
    torch.testing.assert_close(penalty, expected)


def test_gradient_runs_through_an_augmentation_inside_the_critic() -> None:
    real = torch.randn(SHAPE)
    assert zero_centred(lambda x: linear(3 * x), real).item() == pytest.approx(9 * 12.5)


def test_inputs_keep_no_gradient() -> None:
    fake = torch.randn(SHAPE, requires_grad=True)
    weight = torch.randn(4, requires_grad=True)
    zero_centred(lambda x: (x.flatten(1) @ weight).square(), fake).backward()
    assert fake.grad is None
    assert weight.grad is not None


def test_meta_device() -> None:
    real = torch.randn(SHAPE, device="meta")
    assert math.prod(zero_centred(square, real).shape) == 1
