"""Losses against values worked out by hand, the textbook's layers, and derivatives in float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.losses.adversarial import auxiliary, bce_d
from animegan.losses.objectives import OBJECTIVES, r3gan_gamma

REAL = torch.tensor([2.0, -1.0, 0.5])
FAKE = torch.tensor([-0.5, 3.0, 0.0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def average(values: list[float]) -> float:
    return sum(values) / len(values)


BCE_D = average([softplus(-2), softplus(1), softplus(-0.5)]) + average(
    [softplus(-0.5), softplus(3), softplus(0)]
)
# real - mean(fake) = 7/6, -11/6, -1/3; fake - mean(real) = -1, 5/2, -1/2
EXPECTED = {
    "bce": (BCE_D, average([softplus(0.5), softplus(-3), softplus(0)])),
    "minimax": (BCE_D, -average([softplus(-0.5), softplus(3), softplus(0)])),
    "lsgan": (0.5 * (5.25 / 3 + 9.25 / 3), 0.5 * (2.25 + 4 + 1) / 3),
    "wgan": (2.5 / 3 - 0.5, -2.5 / 3),
    "wgan-gp": (2.5 / 3 - 0.5, -2.5 / 3),
    "dragan": (BCE_D, average([softplus(0.5), softplus(-3), softplus(0)])),
    "hinge": ((0 + 2 + 0.5) / 3 + (0.5 + 4 + 1) / 3, -2.5 / 3),
    "ra-hinge": (
        (0 + 17 / 6 + 4 / 3) / 3 + (0 + 3.5 + 0.5) / 3,
        (2 + 0 + 1.5) / 3 + (13 / 6 + 0 + 2 / 3) / 3,
    ),
    "r3gan": (
        average([softplus(-2.5), softplus(4), softplus(-0.5)]),
        average([softplus(2.5), softplus(-4), softplus(0.5)]),
    ),
}


def test_every_objective_has_a_worked_out_value() -> None:
    assert set(EXPECTED) == set(OBJECTIVES)
    assert all(name == row.name and row.source for name, row in OBJECTIVES.items())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_values(name: str) -> None:
    row = OBJECTIVES[name]
    expected_d, expected_g = EXPECTED[name]
    assert row.loss_d(REAL, FAKE).item() == pytest.approx(expected_d, rel=1e-6)
    real = REAL if row.needs_real else None
    assert row.loss_g(FAKE, real).item() == pytest.approx(expected_g, rel=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients(name: str) -> None:
    row = OBJECTIVES[name]
    generator = torch.Generator().manual_seed(3)
    real, fake = (
        torch.randn(5, dtype=torch.float64, generator=generator, requires_grad=True)
        for _ in range(2)
    )
    assert torch.autograd.gradcheck(lambda r, f: row.loss_d(r, f), (real, fake))
    assert torch.autograd.gradcheck(lambda r, f: row.loss_g(f, r), (real, fake))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_player_pushes_its_own_way(name: str) -> None:
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    row = OBJECTIVES[name]
    row.loss_d(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()
    if name != "lsgan":  # whose fakes' target is 0 itself
        assert (fake.grad > 0).all()
    fake = torch.zeros(4, requires_grad=True)
    row.loss_g(fake, real.detach()).backward()
    assert fake.grad is not None
    assert (fake.grad < 0).all()


def test_bce_equals_the_textbooks_two_backward_passes() -> None:
    """Sigmoid + BCELoss with labels 1 and 0, a backward pass for each half, on equal weights."""
    torch.manual_seed(0)
    netd = nn.Sequential(nn.Linear(6, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1))
    real, fake = torch.randn(7, 6), torch.randn(7, 6)
    criterion = nn.BCELoss()
    for images, label in ((real, 1.0), (fake, 0.0)):
        output = torch.sigmoid(netd(images).view(-1))
        criterion(output, torch.full((7,), label)).backward()
    textbook = [p.grad.clone() for p in netd.parameters() if p.grad is not None]
    netd.zero_grad()
    OBJECTIVES["bce"].loss_d(netd(real).view(-1), netd(fake).view(-1)).backward()
    for parameter, expected in zip(netd.parameters(), textbook, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-5, atol=1e-7)
    expected_g = criterion(torch.sigmoid(netd(fake).view(-1)), torch.ones(7))
    torch.testing.assert_close(OBJECTIVES["bce"].loss_g(netd(fake).view(-1), None), expected_g)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_logits_far_out_stay_finite(name: str) -> None:
    row = OBJECTIVES[name]
    real, fake = torch.tensor([-1e4, 1e4]), torch.tensor([1e4, -1e4])
    assert row.loss_d(real, fake).isfinite()
    assert row.loss_g(fake, real).isfinite()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_heads_add_up(name: str) -> None:
    row = OBJECTIVES[name]
    real, fake = torch.randn(6, 3), torch.randn(6, 3)
    one_by_one = sum(row.loss_d(real[:, i], fake[:, i]) for i in range(3))
    torch.testing.assert_close(row.loss_d(real, fake), one_by_one)
    one_by_one = sum(row.loss_g(fake[:, i], real[:, i]) for i in range(3))
    torch.testing.assert_close(row.loss_g(fake, real), one_by_one)


def test_ra_hinge_with_a_global_mean_equals_one_process() -> None:
    """Two halves of a batch, each with the whole batch's mean, averaged."""
    real, fake = torch.randn(8), torch.randn(8)
    row = OBJECTIVES["ra-hinge"]
    whole = row.loss_d(real, fake)

    def halves(half: slice) -> Tensor:
        means = iter((fake.mean(), real.mean()))
        return row.loss_d(real[half], fake[half], mean=lambda _: next(means))

    torch.testing.assert_close((halves(slice(0, 4)) + halves(slice(4, 8))) / 2, whole)


def test_defaults() -> None:
    bce = OBJECTIVES["bce"].defaults_at(96)
    assert (bce["optimizer"], bce["lr1"], bce["lr2"], bce["beta1"]) == ("adam", 2e-4, 2e-4, 0.5)
    wgan = OBJECTIVES["wgan"].defaults_at(96)
    assert (wgan["optimizer"], wgan["lr2"], wgan["clip"], wgan["g_every"]) == (
        "rmsprop",
        5e-5,
        0.01,
        5,
    )
    sizes = (32, 64, 96, 256)
    assert [r3gan_gamma(size) for size in sizes] == [0.05, 2, 7.1, 150]
    r3gan = OBJECTIVES["r3gan"].defaults_at(96)
    assert r3gan["r1"] == r3gan["r2"] == 7.1


def test_auxiliary_loss_sums_attributes_and_skips_unknown_labels() -> None:
    logits = torch.randn(4, 5)
    labels = torch.tensor([[0, 2], [1, -1], [1, 0], [-1, -1]])
    total = F.cross_entropy(logits[:3, :2], labels[:3, 0], reduction="sum") + F.cross_entropy(
        logits[[0, 2], 2:], labels[[0, 2], 1], reduction="sum"
    )
    expected = total / 4  # over the batch, so that pieces of it add up
    torch.testing.assert_close(auxiliary(logits, labels, (2, 3)), expected)
    nothing = auxiliary(logits, torch.full((4, 2), -1), (2, 3))
    assert nothing.item() == 0


def test_the_probability_of_being_real_is_that_of_cross_entropy() -> None:
    shown = {name for name, row in OBJECTIVES.items() if row.probability}
    assert shown == {name for name, row in OBJECTIVES.items() if row.loss_d is bce_d}
