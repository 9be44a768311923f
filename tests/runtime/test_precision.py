"""What bfloat16 may change: bounds from its unit roundoff, worst case, layer by layer."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from animegan.models import projected
from animegan.runtime.device import Runtime, full_precision
from animegan.training import agreement
from tests.support.said import heard
from tests.support.tiny import config_of, same_weights, trainer_of, weights_of

CPU, META = torch.device("cpu"), torch.device("meta")
LOWERED = Runtime(CPU, bf16=True)
U = 2.0**-8  # bf16 has 8 bits of significand: rounding moves x by at most U |x|
FLOAT = 2.0**-20  # float32's own rounding and the order of its sums, far below


def through(net, x, error):
    """(the float32 output of `net.main`, how far bf16's can be from it), elementwise.

    `error` bounds the input's own distance. An output of size |y| is rounded once: U (|y| + error).
    """
    for layer in net.main:
        y = layer(x)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            # inputs and weights are rounded, products added in float32
            size = type(layer).forward(_absolute(layer), x.abs() + error)
            moved = type(layer).forward(_absolute(layer), error)
            error = moved + ((1 + U) ** 2 - 1 + FLOAT) * size
            if layer.bias is not None:  # rounded too
                error = error + (U + FLOAT) * layer.bias.abs().view(-1, 1, 1)
        elif isinstance(layer, nn.BatchNorm2d):
            error = _normalised(layer, x, y, error)
        # ReLU, LeakyReLU and Tanh bring no two values further apart
        error = error + (U + FLOAT) * (y.abs() + error)
        x = y
    return x, error


def _absolute(layer):
    twin = type(layer)(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,
        bias=False,
    )  # fmt: skip
    twin.weight = nn.Parameter(layer.weight.abs())
    return twin


def _normalised(layer, x, y, error):
    """A deviation is a seminorm: it moves by no more than the root mean square of the error."""
    dims, shape = (0, 2, 3), (1, -1, 1, 1)
    deviation = (x.var(dims, correction=0) + layer.eps).sqrt()
    off = error.square().mean(dims).sqrt()
    assert (off < deviation).all(), "the bound says nothing"
    smallest = (deviation - off).view(shape)
    centred = (x - x.mean(dims, keepdim=True)).abs()
    moved = error + error.mean(dims, keepdim=True)
    scale = layer.weight.abs().view(shape)
    rounded = 2 * U * (scale * centred / smallest + layer.bias.abs().view(shape))
    return scale * (moved + centred * (off / deviation).view(shape)) / smallest + rounded


def test_logits_and_losses_are_within_the_bound_of_bf16():
    trainer = trainer_of(d_norm="none", batch_size=8, lr2=1e-2, seed=3)
    for _ in range(20):
        trainer.train_batch()
    with torch.no_grad():
        check_against_bounds(trainer)


def check_against_bounds(trainer):
    real, noise = trainer.inputs.images(99), trainer.inputs.noise("noise-d", 99)
    nets = {"netg": trainer.netg, "netd": trainer.netd}
    lowered = trainer_of(runtime=LOWERED, d_norm="none", batch_size=8, **nets)
    fake, off_fake = through(trainer.netg, noise, torch.zeros_like(noise))
    drawn = lowered.passes.generate(noise, None)
    assert ((drawn - fake).abs() <= off_fake).all()
    assert off_fake.mean() < 1  # of a range of 2
    losses, off = [], []
    for sign, images in ((-1, real), (1, fake)):
        logits, bound = through(trainer.netd, images, torch.zeros_like(images))
        logits, bound = logits.flatten(), bound.flatten()
        found = lowered.passes.decide(images, None)
        assert found.dtype == torch.float32
        assert not torch.equal(found, logits)
        assert ((found - logits).abs() <= bound).all()
        losses.append((softplus(sign * logits).mean(), softplus(sign * found).mean()))
        off.append(bound.mean())
        assert sign > 0 or bound.max() < 0.3 * logits.abs().mean()
    (real_32, real_16), (fake_32, fake_16) = losses
    assert abs(real_32 + fake_32 - real_16 - fake_16) <= sum(off)  # |softplus'| <= 1


def test_only_the_nets_are_lowered():
    trainer = trainer_of(runtime=LOWERED, r1=1, d_norm="none", ema=100)
    seen = []
    trainer.netd.register_forward_hook(lambda net, inputs, logits: seen.append(logits.dtype))
    trainer.train_batch()
    assert seen == [torch.bfloat16, torch.bfloat16, torch.float32, torch.bfloat16]  # third: R1
    state = trainer.state_dict()
    tensors = [*state["netg"].values(), *state["netd"].values(), *state["ema"].values()]
    tensors += [one for kind in ("optg", "optd") for of in state[kind]["state"].values()
                for one in of.values()]  # fmt: skip
    assert {one.dtype for one in tensors if one.is_floating_point()} == {torch.float32}
    assert trainer.meters.table.dtype == torch.float32
    assert trainer.sample(trainer.fixed_noise()).dtype == torch.float32


def tf32():
    """What CUDA would do: the flags are there without it."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


ON, OFF = (True, True), (False, False)


@pytest.mark.parametrize("runtime", [Runtime(CPU), LOWERED, Runtime(META)])
def test_tf32_is_for_training_passes(runtime):
    Runtime.start(gpu=False)
    assert tf32() == OFF
    with runtime.lowered():
        assert tf32() == ON
        with full_precision(runtime.device):
            assert tf32() == OFF
        assert tf32() == ON
    assert tf32() == OFF
    trainer = trainer_of(runtime=runtime, d_norm="none")
    with pytest.raises(RuntimeError, match="conv2d"):
        trainer.passes.decide(torch.zeros(1, 1, device=runtime.device), None)
    assert tf32() == OFF


def test_penalties_drawing_and_measuring_are_not_in_tf32():
    Runtime.start(gpu=False)
    trainer = trainer_of(r1=1, penalty_every=2, d_norm="none", ema=100)
    forward, backward = [], []
    trainer.netd.register_forward_hook(lambda *_: forward.append(tf32()))
    trainer.netg.register_forward_hook(lambda *_: forward.append(tf32()))
    next(trainer.netd.parameters()).register_hook(lambda _: backward.append(tf32()))
    trainer.train_batch()
    assert forward == [ON] * 4  # netg, the reals, the fakes, the fakes for netg
    assert set(backward) == {ON}
    forward.clear()
    backward.clear()
    trainer.train_batch()
    assert forward == [ON, ON, ON, OFF, ON]  # fourth: R1
    assert set(backward) == {OFF}  # with the gradient of R1 that of the loss
    forward.clear()
    trainer.weights()["netg"].register_forward_hook(lambda *_: forward.append(tf32()))
    trainer.probe()
    assert forward == [OFF] * 3


@pytest.mark.parametrize("options", [{}, {"net": "r3gan", "ngf": 8, "ndf": 8},
                                     {"net": "fastgan", "ngf": 8, "ndf": 8, "image_size": 32},
                                     {"net": "resnet"}, {"net": "mlp"}])  # fmt: skip
@pytest.mark.parametrize("device", [CPU, META])
def test_both_steps_run_in_bf16(device, options):
    trainer = trainer_of(runtime=Runtime(device, bf16=True), **options)
    trainer.step_d(0)
    trainer.step_g(0)
    assert trainer.meters.table.device.type == device.type
    if device == CPU:
        means, _ = trainer.meters.read(trainer.guard.bad_step)
        assert all(abs(value) < 100 for value in means.values())
        assert trainer.guard.bad_step == -1


def test_a_bf16_run_resumes_to_the_same_bits():
    straight, stopped, fresh = (trainer_of(runtime=LOWERED) for _ in range(3))
    for _ in range(2):
        straight.train_batch()
        stopped.train_batch()
    fresh.load_state_dict(stopped.state_dict())
    straight.train_batch()
    fresh.train_batch()
    assert same_weights(weights_of(straight.netg), weights_of(fresh.netg))
    assert same_weights(weights_of(straight.netd), weights_of(fresh.netd))


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_where_the_machine_has_it(monkeypatch, native, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert Runtime(CPU).precision("auto") == expected
    assert Runtime(CPU).precision("fp32") == "fp32"
    assert Runtime(CPU).precision("bf16") == "bf16"
    assert Runtime(torch.device("mps")).precision("auto") == "fp32"
    said = heard()
    runtime, config = agreement.settle_precision(Runtime(CPU), config_of())
    # options.json keeps what was decided
    assert (runtime.bf16, config.precision) == (native, expected)
    agreement.settle_precision(Runtime(CPU), config_of(precision="fp32"))
    assert not said
    agreement.settle_precision(Runtime(CPU), config_of(precision="bf16"))
    assert [line.split(":")[0] for line in said] == ["--precision bf16"] * (not native)


def test_a_set_stays_on_a_gpu_with_room(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4000, 8000))
    card = Runtime(torch.device("cuda"))
    assert card.has_room(1000)
    assert not card.has_room(1001)
    assert not Runtime(CPU).has_room(1)


def test_a_runtime_is_fp32_unless_told():
    assert not Runtime(CPU).bf16
    assert not Runtime.start(gpu=False).bf16
    assert dataclasses.replace(Runtime(CPU), bf16=True) == LOWERED


def test_the_power_iteration_of_spectral_normalisation_stays_float32(monkeypatch):
    """CUDA's autocast has `mv` on its list, the CPU's has not: this imitates it."""
    mv = torch.mv

    def lowering(*args):
        lowered = torch.is_autocast_enabled("cpu")
        return mv(*(one.bfloat16() for one in args)) if lowered else mv(*args)

    monkeypatch.setattr(torch, "mv", lowering)
    options = {"d_norm": "spectral", "batch_size": 4}
    lowered, whole = (trainer_of(runtime=runtime, **options) for runtime in (LOWERED, Runtime(CPU)))
    images = whole.batches.images(0)
    with torch.no_grad():
        assert not torch.equal(
            lowered.passes.decide(images, None), whole.passes.decide(images, None)
        )
    assert same_weights(dict(lowered.netd.named_buffers()), dict(whole.netd.named_buffers()))
    head = projected.Head(8, 6, 8)
    with LOWERED.lowered():
        assert head.last.weight.dtype == torch.float32
