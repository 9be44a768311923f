import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from animegan.models import Spec
from benchmarks.harness.plain import PlainLoop, loader_of
from benchmarks.speed import floor, spent
from benchmarks.speed.step import Case
from tests.support.tiny import face_set, same_weights, weights_of

TINY = Spec(image_size=16, nz=5, ngf=2, ndf=2)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "faces").mkdir()
    for number, pixels in enumerate(face_set(count=8, size=16).images):
        Image.fromarray(pixels).save(tmp_path / "faces" / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize(("d_every", "g_every"), [(1, 1), (1, 5)])
def test_the_plain_loop_updates_each_net_when_it_is_due(folder, d_every, g_every):
    loop = PlainLoop(loader_of(folder, 16, 4, workers=0), TINY, d_every, g_every)
    for count in range(1, 6):
        before = [weights_of(net) for net in (loop.netd, loop.netg)]
        loop.train_batch()
        assert not same_weights(before[0], weights_of(loop.netd))
        weights = "main.0.weight"  # statistics move whenever fakes are drawn
        moved = not torch.equal(before[1][weights], weights_of(loop.netg)[weights])
        assert moved == (count % g_every == 0)
    assert set(loop.losses) == {"loss_d", "loss_g"}
    assert all(np.isfinite(value) for value in loop.losses.values())


def test_the_plain_loop_sees_pictures_in_minus_1_to_1(folder):
    images, _ = next(iter(loader_of(folder, 16, 8, workers=0)))
    assert images.shape == (8, 3, 16, 16)
    assert -1 <= images.min() < -0.9
    assert 0.9 < images.max() <= 1


def test_operations_are_two_for_each_weight_and_place():
    net = nn.Conv2d(3, 5, 4, stride=2, padding=1, bias=False)
    forward = 2 * (3 * 4 * 4) * (5 * 8 * 8) * 7
    images = torch.randn(7, 3, 16, 16)
    assert floor.operations(lambda: net(images)) == forward
    assert floor.operations(lambda: net(images).sum().backward()) == 2 * forward  # weights alone
    (layer,) = floor.layers_of(net, images)
    for memory in floor.FORMATS.values():
        assert [floor.operations(one) for one in floor.passes(layer, memory)] == [forward] * 3


def test_a_transposed_convolution_takes_as_many_as_its_mirror_image():
    down = nn.Conv2d(3, 5, 4, stride=2, padding=1, bias=False)
    up = nn.ConvTranspose2d(5, 3, 4, stride=2, padding=1, bias=False)
    small = torch.randn(2, 5, 8, 8)
    large = up(small)
    assert floor.operations(lambda: up(small)) == floor.operations(lambda: down(large))


def test_our_step_computes_less_than_the_plain_one(folder):
    case = Case(folder, face_set(count=8, size=96), batch=4, d_every=1, g_every=1, threads=1)
    plain, ours = case.plain(workers=0).operations / 1e9, case.ours().operations / 1e9
    netg, netd = 0.2128, 0.2112  # forward, GFLOP a picture
    assert plain == pytest.approx(4 * netg + 9 * netd, rel=0.02)
    assert plain - ours == pytest.approx(netg + netd, rel=0.02)  # one forward, D's weights


def test_operations_of_the_profiler_have_a_group():
    known = {
        "aten::convolution_backward": spent.AROUND,
        "aten::native_batch_norm_backward": "batch norm",
        "aten::leaky_relu_": "activations",
        "aten::_fused_adam_": "optimizer",
        "aten::copy_": "copies",
        "aten::view": spent.OTHER,
    }
    assert {name: spent.group_of(name) for name in known} == known


def test_the_log_of_onednn_is_added_up():
    head = "onednn_verbose,v1,primitive,exec,cpu,"
    lines = (
        "onednn_verbose,v1,info,cpu,isa:Intel AVX2",
        head + "convolution,jit:avx2,backward_data,src:f32,,alg,mb64_ic3,20.5",
        head + "deconvolution,brg_deconv:avx2,forward_training,src:f32,,alg,mb64_ic3,10",
        head + "convolution,jit:avx2,forward_inference,src:f32,,alg,mb64_ic3,2",
        head + "reorder,jit:uni,undef,src:f32,,,64x3,1.5",
    )
    found = spent.by_primitive(iter(lines))
    assert found == pytest.approx({
        "convolution: gradient of inputs": 0.0205,
        "convolution: forward": 0.012,
        spent.LAYOUT: 0.0015,
    })  # fmt: skip


def test_a_profile_adds_up_to_the_time_of_the_work():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    images = torch.randn(4, 3, 32, 32)
    found = spent.spent(lambda: net(images).sum().backward(), times=2)
    assert set(found) == set(spent.ALL)
    assert found["batch norm"] > 0
    rows = list(spent.table({"before": found, "after": found}))
    assert len(rows) == 2 + len(spent.ALL) + 1
    assert rows[-1].count("(100%)") == 2
