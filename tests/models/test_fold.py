import pytest
import torch
from torch import nn

from animegan import models
from animegan.models import Spec
from animegan.models.fold import folded
from animegan.models.layers import NearestConv

NETS = [
    Spec(image_size=16, nz=5, ngf=4, ndf=4),
    Spec(image_size=16, nz=5, ngf=4, ndf=4, up="nearest", d_norm="spectral"),
    Spec(image_size=32, nz=5, ngf=4, ndf=4, net="resnet"),
    Spec(image_size=32, nz=5, ngf=4, ndf=4, net="fastgan"),
    Spec(image_size=16, nz=5, ngf=4, ndf=4, net="mlp"),
]


def seen(spec):
    """Nets whose BatchNorm has running statistics, factors and offsets of its own."""
    torch.manual_seed(0)
    netg, netd = models.build_netg(spec), models.build_netd(spec)
    with torch.no_grad():
        for _ in range(5):
            netd(netg(torch.randn(16, spec.nz, 1, 1) + 1))
        for one in (*netg.modules(), *netd.modules()):
            if isinstance(one, nn.BatchNorm2d):
                one.weight.uniform_(0.5, 2)
                one.bias.uniform_(-1, 1)
    return netg, netd


@pytest.mark.parametrize("spec", NETS, ids=lambda spec: f"{spec.net}-{spec.d_norm}")
def test_the_same_is_computed_to_rounding_and_the_net_is_left_alone(spec):
    netg, netd = (net.double() for net in seen(spec))  # rounds at 1e-16, far below the bound
    before = {name: one.clone() for name, one in netg.state_dict().items()}
    drawing, scoring = folded(netg), folded(netd)
    assert netg.training
    assert not drawing.training
    noise = torch.randn(8, spec.nz, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        pictures = netg.eval()(noise)
        torch.testing.assert_close(drawing(noise), pictures, rtol=1e-10, atol=1e-10)
        scores = netd.eval()(pictures)
        torch.testing.assert_close(scoring(pictures), scores, rtol=1e-10, atol=1e-10)
    assert all(torch.equal(one, before[name]) for name, one in netg.state_dict().items())


def test_no_batch_norm_is_left_of_a_dcgan():
    for net in seen(NETS[0]):
        assert models.has_batch_norm(net)
        assert not models.has_batch_norm(folded(net))


def test_the_kernels_of_nearest_upsampling_are_computed_once():
    netg, _ = seen(NETS[3])
    kinds = {type(module) for module in folded(netg).modules()}
    assert NearestConv in {type(module) for module in netg.modules()}
    assert NearestConv not in kinds
    assert not models.has_batch_norm(folded(netg))


def test_a_norm_without_a_convolution_before_it_stays():
    chain = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1)).eval()
    pictures = torch.randn(2, 3, 4, 4)
    assert models.has_batch_norm(folded(chain))
    torch.testing.assert_close(folded(chain)(pictures), chain(pictures))
