import warnings
from typing import Any, cast

import pytest
import torch
from torch import nn

from animegan.core.errors import UsageError
from animegan.runtime import memory, modes, seeds
from animegan.runtime.device import Runtime

CUDA = torch.cuda.is_available()


def test_false_means_the_cpu_even_where_there_is_more(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert Runtime.start(gpu=False).device == torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "device"),
    [(True, True, "cuda:0"), (False, True, "mps"), (False, False, "cpu")],
)
def test_left_out_the_best_device_is_taken(monkeypatch, cuda, mps, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert Runtime.start().device == torch.device(device)


@pytest.mark.skipif(CUDA, reason="there is a CUDA device")
@pytest.mark.parametrize("mps", [True, False])
def test_gpu_without_cuda_is_an_error_and_no_fallback(monkeypatch, mps):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    with pytest.raises(UsageError, match="--gpu: torch finds no CUDA"):
        Runtime.start(gpu=True)


@pytest.mark.parametrize(
    "name", ["warp", "cuda:-1", "cuda:99", "hpu", "privateuseone", "mkldnn", "vulkan", "meta"]
)
def test_a_device_that_cannot_be_used_is_named_in_one_line(name):
    with warnings.catch_warnings(), pytest.raises(UsageError) as caught:
        Runtime.start(device=name)
    (problem,) = caught.value.problems
    assert problem.startswith(f"--device {name}: ")
    assert "\n" not in problem


def test_a_device_is_named_outright():
    assert Runtime.start(device="cpu") == Runtime(torch.device("cpu"))


def test_threads_are_set():
    before = torch.get_num_threads()
    try:
        Runtime.start(gpu=False, threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("kind", "fused"), [("cuda", True), ("cpu", True), ("mps", False), ("meta", False)]
)
def test_fused_optimizers_are_used_where_they_can_skip_a_step(kind, fused):
    assert Runtime(torch.device(kind)).fused() is fused


def test_place_moves_to_the_device():
    assert Runtime(torch.device("meta")).place(torch.ones(2)).device.type == "meta"
    there = torch.ones(2, device="meta")
    assert Runtime(torch.device("meta")).place(there).device.type == "meta"


def test_only_cpu_tensors_are_pinned():
    pinned = []

    class Fake:
        def __init__(self, device):
            self.device = torch.device(device)

        def pin_memory(self):
            pinned.append(self.device.type)
            return self

        def to(self, device, non_blocking=False):
            return Fake(device)

    runtime = Runtime(torch.device("cuda"))
    assert runtime.place(cast(Any, Fake("cuda"))).device.type == "cuda"
    assert pinned == []
    assert runtime.place(cast(Any, Fake("cpu"))).device.type == "cuda"
    assert pinned == ["cpu"]


def test_a_generator_depends_on_its_key_alone():
    draws = {
        key: torch.randn(4, generator=seeds.generator(*key)).tolist()
        for key in [(0, "noise", 0), (0, "noise", 1), (1, "noise", 0), (0, "order", 0)]
    }
    assert len({tuple(draw) for draw in draws.values()}) == len(draws)
    torch.randn(100)
    again = torch.randn(4, generator=seeds.generator(0, "noise", 1)).tolist()
    assert again == draws[0, "noise", 1]


def test_a_generator_leaves_the_global_one_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    torch.randn(4, generator=seeds.generator(0, "noise", 0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generators_stream_is_part_of_what_a_seed_means():
    # a change of these numbers makes every earlier seed draw other pictures
    drawn = torch.randint(0, 10**6, (3,), generator=seeds.generator(7, "candidates", 2))
    assert drawn.tolist() == [596044, 404450, 407842]


def test_seeding_makes_initial_weights_repeatable():
    seeds.seed_everything(5)
    one = nn.Linear(3, 3).weight
    seeds.seed_everything(5)
    assert torch.equal(nn.Linear(3, 3).weight, one)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("[enforce fail at x.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_errors(error, expected):
    assert memory.is_out_of_memory(error) is expected


def test_a_real_lack_of_memory_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55, dtype=torch.uint8)
    assert memory.is_out_of_memory(caught.value)


def test_memory_of_the_cpu_needs_no_freeing():
    memory.free_memory(torch.device("cpu"))


def test_evaluating_gives_each_modules_own_mode_back():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5), nn.Linear(2, 2))
    other = nn.BatchNorm1d(2).eval()
    net[1].eval()  # frozen on purpose
    inputs = torch.randn(8, 2)
    norm = cast(nn.BatchNorm1d, net[0])
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    with modes.evaluating(net, other):
        assert not any(one.training for one in net.modules())
        assert not net(inputs).requires_grad
    assert [one.training for one in net] == [True, False, True]
    with pytest.raises(RuntimeError), modes.evaluating(net, other):
        net(torch.randn(8, 3))
    assert [one.training for one in net] == [True, False, True]
    assert not other.training
    assert torch.equal(norm.running_mean, before)
    assert net(inputs).requires_grad
