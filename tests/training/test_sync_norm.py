import copy

import pytest
import torch
from torch import nn

from animegan import models
from animegan.models import Spec
from animegan.runtime import modes
from animegan.runtime.distributed import ProcessGroup
from animegan.training.step.sync_norm import SyncNorm, synchronise
from tests.support.ranks_worker import together

SHAPES = [(6, 3, 4, 4), (6, 5)]
STEPS = 3


def alone(values):
    return values


def plain_of(shape):
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(shape[1]) if len(shape) == 4 else nn.BatchNorm1d(shape[1])
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm.double()


def batches_of(shape):
    torch.manual_seed(2)
    return [3 + 2 * torch.randn(shape, dtype=torch.double) for _ in range(STEPS)]


def twice(norm, batch, mean_of, rows):
    """Outputs, gradients at the inputs, and the weights' gradients of a gradient penalty."""
    batch = mean_of(batch.requires_grad_())  # replicated: its gradient is the mean of all
    mine = batch[rows]
    outputs = norm(mine)
    (slope,) = torch.autograd.grad(outputs.sin().mean(), mine, create_graph=True)
    slope.square().sum(tuple(range(1, slope.dim()))).mean().backward()
    return outputs.detach(), slope.detach(), norm.weight.grad.clone()


def all_steps(norm, shape, group):
    found = []
    for batch in batches_of(shape):
        norm.zero_grad()
        found.append(twice(norm, batch, group.mean_of, group.rows(shape[0])))
        for one in norm.parameters():
            group.all_reduce_mean_([one.grad])
        found[-1] = (*found[-1][:2], norm.weight.grad.clone())
    return found, norm.state_dict()


def checked_twice(norm, shape, group):
    """gradcheck and gradgradcheck, in which both processes turn the same knobs."""
    torch.manual_seed(3)
    inputs = torch.randn(shape, dtype=torch.double, requires_grad=True)

    def function(inputs, weight, bias):
        inputs, weight, bias = map(group.mean_of, (inputs, weight, bias))
        del norm.weight, norm.bias
        norm.weight, norm.bias = weight, bias
        return group.mean_of(norm(inputs[group.rows(shape[0])]).sin().sum())

    del norm._parameters["weight"], norm._parameters["bias"]
    norm.weight = norm.bias = None
    weight, bias = (torch.randn(shape[1], dtype=torch.double, requires_grad=True) for _ in "wb")
    return torch.autograd.gradcheck(function, (inputs, weight, bias)) and (
        torch.autograd.gradgradcheck(function, (inputs, weight, bias))
    )


def work(runtime, folder):
    found, group = {}, runtime.group
    for shape in SHAPES:
        plain = plain_of(shape)
        net = nn.Sequential(copy.deepcopy(plain))
        synchronise(net, group.mean_of, group.size)
        found[shape] = all_steps(net[0], shape, group)
        small = (4, 2, 2, 1) if len(shape) == 4 else (4, 2)
        found[shape, "checked"] = checked_twice(
            SyncNorm(plain_of(small), group.mean_of, group.size), small, group
        )
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return together(work, tmp_path_factory.mktemp("norm"))


@pytest.mark.parametrize("shape", SHAPES)
def test_two_processes_equal_one(found, shape):
    plain = plain_of(shape)
    steps, state = all_steps(plain, shape, ProcessGroup())
    for step, (outputs, slope, weights) in enumerate(steps):
        halves = [one[shape][0][step] for one in found]
        torch.testing.assert_close(torch.cat([half[0] for half in halves]), outputs)
        # a process's loss is the mean of its half: twice the share it has in the whole
        torch.testing.assert_close(torch.cat([half[1] for half in halves]) / 2, slope)
        for half in halves:
            torch.testing.assert_close(half[2] / 4, weights)
    for one in found:
        theirs = one[shape][1]
        assert theirs.keys() == state.keys()
        for name, value in state.items():
            torch.testing.assert_close(theirs[name], value)


@pytest.mark.parametrize("shape", SHAPES)
def test_first_and_second_derivatives_over_two_processes(found, shape):
    assert all(one[shape, "checked"] for one in found)


# --- alone


@pytest.mark.parametrize("offset", [0, 10])
def test_it_is_batch_norm_in_float32_and_its_memory_format(offset):
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(3)
    ours = SyncNorm(copy.deepcopy(plain), alone, 1)
    for _ in range(3):
        images = (offset + torch.randn(8, 3, 6, 6)).to(memory_format=torch.channels_last)
        made = ours(images)
        # the variance 1 is E[x²] - E[x]², which loses offset² · 2^-23; values reach 4 deviations
        bound = 4 * (2 + offset**2) * 2**-23
        torch.testing.assert_close(made, plain(images), rtol=0, atol=bound)
        assert made.is_contiguous(memory_format=torch.channels_last)
    assert ours.num_batches_tracked == 3
    torch.testing.assert_close(ours.running_mean, plain.running_mean)
    torch.testing.assert_close(ours.running_var, plain.running_var, rtol=0, atol=bound)
    ours.eval(), plain.eval()
    torch.testing.assert_close(ours(images), plain(images), rtol=1e-4, atol=bound)


def test_bf16_comes_back_as_bf16():
    norm = SyncNorm(nn.BatchNorm2d(3), alone, 1)
    images = torch.randn(8, 3, 6, 6)
    made = norm(images.bfloat16())
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(made.float(), norm(images), rtol=0, atol=0.05)


@pytest.mark.parametrize("net", ["dcgan", "mlp", "resnet", "fastgan"])
def test_nets_keep_their_names_and_tensors(net):
    netg = models.build_netg(Spec(image_size=32, nz=8, ngf=8, ndf=8, net=net))
    before = dict(netg.named_parameters()), netg.state_dict()
    had = models.has_batch_norm(netg)
    synchronise(netg, alone, 1)
    assert not any(type(one) in (nn.BatchNorm1d, nn.BatchNorm2d) for one in netg.modules())
    assert list(netg.state_dict()) == list(before[1])
    assert all(one is before[0][name] for name, one in netg.named_parameters())
    assert models.has_batch_norm(netg) == had
    copied = copy.deepcopy(netg)
    with modes.evaluating(copied):
        copied(torch.randn(2, 8, 1, 1))


def test_one_value_a_channel_is_refused():
    with pytest.raises(ValueError, match="more than one value"):
        SyncNorm(nn.BatchNorm1d(3), alone, 1)(torch.randn(1, 3))
