import math

import pytest
import torch
from torch import nn

from animegan.training.step.optimizer_step import Guard, restore_moments

CPU = torch.device("cpu")


def setup(kind, fused):
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    if kind == "adam":
        return net, torch.optim.Adam(net.parameters(), lr=0.1, fused=fused), Guard(CPU)
    return net, torch.optim.RMSprop(net.parameters(), lr=0.1), Guard(CPU)


def step(net, optimizer, guard, number, poison=None, watched=()):
    """One update; `poison` makes the loss, or a single gradient, not finite."""
    optimizer.zero_grad()
    loss = net(torch.ones(1, 3)).square().sum()
    loss.backward()
    if poison == "loss":
        loss = loss * math.nan
    elif poison is not None:
        net.bias.grad[0] = poison
    guard.update(optimizer, list(net.parameters()), loss.detach(), number, watched)


def moments(optimizer):
    return [
        {name: value.clone() for name, value in one.items()}
        for one in optimizer.state_dict()["state"].values()
    ]


def weights(net):
    return [one.detach().clone() for one in net.parameters()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


KINDS = [("adam", True), ("adam", False), ("rmsprop", False)]


@pytest.mark.parametrize(("kind", "fused"), KINDS)
def test_a_good_step_is_the_optimizers_own(kind, fused):
    net, optimizer, guard = setup(kind, fused)
    twin, plain, _ = setup(kind, fused)
    for number in range(3):
        step(net, optimizer, guard, number)
        plain.zero_grad()
        twin(torch.ones(1, 3)).square().sum().backward()
        plain.step()
    assert equal(weights(net), weights(twin))
    assert guard.bad_step.item() == -1


@pytest.mark.parametrize(("kind", "fused"), KINDS)
@pytest.mark.parametrize("poison", ["loss", math.nan, math.inf, -math.inf])
def test_what_is_not_finite_reaches_no_weight_and_no_moment(kind, fused, poison):
    net, optimizer, guard = setup(kind, fused)
    for number in range(4):
        step(net, optimizer, guard, number, poison if number in (1, 2) else None)
    assert all(one.isfinite().all() for one in weights(net))
    assert all(value.isfinite().all() for one in moments(optimizer) for value in one.values())
    assert guard.bad_step.item() == 1  # the first of them


@pytest.mark.parametrize("poison", ["loss", math.nan, math.inf])
def test_fused_a_bad_step_changes_nothing_at_all(poison):
    net, optimizer, guard = setup("adam", True)
    step(net, optimizer, guard, 0)
    before, before_moments = weights(net), moments(optimizer)
    step(net, optimizer, guard, 1, poison)
    assert equal(weights(net), before)
    for one, other in zip(moments(optimizer), before_moments, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)  # `step` among them


def test_a_bad_first_step_leaves_fresh_weights_alone():
    for kind, fused in KINDS:
        net, optimizer, guard = setup(kind, fused)
        before = weights(net)
        step(net, optimizer, guard, 0, math.nan)
        assert equal(weights(net), before)
        assert guard.bad_step.item() == 0


@pytest.mark.parametrize(("kind", "fused"), KINDS)
def test_watched_buffers_are_put_back_after_a_bad_step_alone(kind, fused):
    net, optimizer, guard = setup(kind, fused)
    buffer, before = torch.tensor([5.0, math.nan]), torch.tensor([1.0, 2.0])
    step(net, optimizer, guard, 0, watched=[(torch.tensor([5.0]), torch.tensor([1.0]))])
    step(net, optimizer, guard, 1, math.inf, [(buffer, before)])
    assert buffer.tolist() == [1, 2]
    kept = torch.tensor([5.0])
    step(net, optimizer, guard, 2, watched=[(kept, torch.tensor([1.0]))])
    assert kept.item() == 5


@pytest.mark.parametrize("fused", [True, False])
def test_parameters_without_a_gradient_are_passed_over(fused):
    net, optimizer, guard = setup("adam", fused)
    before = weights(net)
    optimizer.zero_grad(set_to_none=True)
    guard.update(optimizer, list(net.parameters()), torch.tensor(1.0), 0)
    assert equal(weights(net), before)
    assert guard.bad_step.item() == -1


def test_nothing_is_read_back_to_the_host():
    meta = torch.device("meta")
    net = nn.Linear(3, 2, device=meta)
    guard = Guard(meta)
    optimizer = torch.optim.RMSprop(net.parameters())
    loss = net(torch.ones(1, 3, device=meta)).sum()
    loss.backward()
    guard.update(optimizer, list(net.parameters()), loss.detach(), 0)
    assert guard.bad_step.device.type == "meta"


def stepped(kind):
    net, optimizer, guard = setup(kind, fused=False)
    step(net, optimizer, guard, 0)
    return optimizer


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
def test_moments_are_restored_and_rates_are_not(kind):
    saved = stepped(kind).state_dict()
    _, optimizer, _ = setup(kind, fused=False)
    optimizer.param_groups[0]["lr"] = 0.5
    restore_moments(optimizer, saved)
    assert optimizer.param_groups[0]["lr"] == 0.5
    for own, old in zip(moments(optimizer), saved["state"].values(), strict=True):
        assert all(torch.equal(own[name], old[name]) for name in old)


@pytest.mark.parametrize(
    "edit",
    [
        lambda state: state[0].pop("exp_avg"),
        lambda state: state[0].update(exp_avg=None),
        lambda state: state[1].update(exp_avg_sq=torch.zeros(5)),
        lambda state: state[1].update(exp_avg=torch.zeros(2, dtype=torch.int8)),
        lambda state: state[0].update(step=torch.zeros(3)),
        lambda state: state[0]["exp_avg"].fill_(math.nan),
        lambda state: state[0].update(more=1),
    ],
)
def test_moments_that_are_not_those_of_the_weights_are_refused(edit):
    saved = stepped("adam").state_dict()
    edit(saved["state"])
    _, optimizer, _ = setup("adam", fused=False)
    with pytest.raises(ValueError, match="moments"):
        restore_moments(optimizer, saved)
