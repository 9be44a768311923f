"""The moving average against its formula."""

import pytest
import torch
from torch import nn

from animegan.training.step.ema import Ema, decay_at


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_decay() -> None:
    assert decay_at(0, 64) == 0
    assert decay_at(10**9, 64, half_life=640) == pytest.approx(0.5**0.1)
    assert decay_at(1000, 50, half_life=10_000, warm_up=0.05) == pytest.approx(0.5)
    assert decay_at(200_000, 10_000, half_life=10_000, warm_up=0.05) == pytest.approx(0.5)
    assert decay_at(100_000, 10_000, half_life=10_000, warm_up=0.05) == pytest.approx(0.25)


def test_equals_its_formula() -> None:
    torch.manual_seed(0)
    live = net()
    ema = Ema(live, half_life=300, warm_up=0.5)
    expected = {key: value.clone().double() for key, value in live.state_dict().items()}
    seen = 0
    for _ in range(12):
        seen += 40
        for one in [*live.parameters(), *live.buffers()]:
            if one.is_floating_point():
                one.data += torch.randn_like(one)
            else:
                one += 1
        ema.update(live, seen, 40)
        kept = 0.5 ** (40 / min(300, 0.5 * seen))
        for key, value in live.state_dict().items():
            if value.is_floating_point():
                expected[key] = kept * expected[key] + (1 - kept) * value
    ours = ema.state_dict()
    for key, value in live.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(ours[key].double(), expected[key], rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(ours[key], value)  # the counter is copied


def test_the_first_update_forgets_the_start() -> None:
    """Half of the first noise is gone at once: the half-life is a share of the pictures seen."""
    live = net()
    ema = Ema(live)
    before = live[0].weight.clone()
    live[0].weight.data += 1
    ema.update(live, 64, 64)  # half-life 3.2 pictures: 2^-20 is kept
    torch.testing.assert_close(ema.net[0].weight, before + 1)


def test_neither_net_disturbs_the_other() -> None:
    live = net()
    ema = Ema(live)
    assert not ema.net.training
    assert not any(one.requires_grad for one in ema.net.parameters())
    assert all(one.requires_grad for one in live.parameters())
    live_before = {key: value.clone() for key, value in live.state_dict().items()}
    ema.update(live, 1000, 10)
    assert all(torch.equal(live.state_dict()[key], value) for key, value in live_before.items())
    mean = ema.net[1].running_mean.clone()
    live(torch.randn(8, 3))
    assert torch.equal(ema.net[1].running_mean, mean)


def test_state_goes_round() -> None:
    live = net()
    ema, other = Ema(live), Ema(net())
    live[0].weight.data += 1
    ema.update(live, 100_000, 64)
    other.load_state_dict(ema.state_dict())
    for one in (ema, other):
        one.update(live, 100_064, 64)
    assert all(torch.equal(other.state_dict()[k], v) for k, v in ema.state_dict().items())
