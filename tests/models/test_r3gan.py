"""R3GAN against its published parameter counts, initial scale and filter."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from animegan.models import r3gan


def count(net: nn.Module) -> int:
    return sum(one.numel() for one in net.parameters())


def test_published_parameter_counts() -> None:
    """Widths 768, 768, 768, 768, 384, 192, 96 from 4x4 to 256x256, noise 64."""
    with torch.device("meta"):
        netg = r3gan.Generator(image_size=256, channels=3, nz=64, width=96)
        netd = r3gan.Discriminator(image_size=256, channels=3, width=96)
    assert netg.basis.shape == (768, 4, 4)
    assert count(netg) == 23_057_952  # 23.06 M
    assert count(netd) == 23_009_568  # 23.01 M


def test_96_starts_from_6x6() -> None:
    netg = r3gan.Generator(image_size=96, channels=3, nz=64, width=8)
    assert netg.basis.shape == (64, 6, 6)


def test_blocks_start_as_the_identity_with_the_right_scale() -> None:
    torch.manual_seed(0)
    blocks = 10
    block = r3gan._Block(64, blocks)
    x = torch.randn(1, 64, 8, 8)
    assert torch.equal(block(x), x)
    widen, grouped, narrow = (one for one in block.body if isinstance(one, nn.Conv2d))
    gain = math.sqrt(2 / 1.04) * blocks**-0.25
    assert widen.weight.std().item() == pytest.approx(gain / math.sqrt(64), rel=0.03)
    assert grouped.weight.shape == (128, 16, 3, 3)
    assert grouped.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.03)
    assert not narrow.weight.any()


def test_no_biases_but_those_of_the_blocks_and_no_norm() -> None:
    net = r3gan.Discriminator(image_size=32, channels=3, width=8)
    for module in net.modules():
        assert not isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm)
    biased = [name for name, _ in net.named_parameters() if name.endswith("bias")]
    blocks = [name for name, one in net.named_modules() if isinstance(one, r3gan._Block)]
    assert biased == [f"{block}.body.{i}.bias" for block in blocks for i in (0, 2)]


def test_filter_keeps_a_flat_picture_and_the_mean() -> None:
    up, down = r3gan._Resample(up=True), r3gan._Resample(up=False)
    flat = torch.ones(1, 2, 8, 8)
    torch.testing.assert_close(up(flat)[..., 1:-1, 1:-1], torch.ones(1, 2, 14, 14))
    torch.testing.assert_close(down(flat)[..., 1:-1, 1:-1], torch.ones(1, 2, 2, 2))
    x = torch.randn(1, 2, 4, 4)
    # zeros between the values, then the filter with gain 4
    spread = torch.zeros(1, 2, 8, 8)
    spread[..., ::2, ::2] = x
    line = torch.tensor([1.0, 3, 3, 1]) / 8
    kernel = 4 * line.outer(line).expand(2, 1, 4, 4)
    expected = F.conv2d(F.pad(spread, (2, 1, 2, 1)), kernel, groups=2)
    torch.testing.assert_close(up(x), expected)


def test_the_generator_may_leave_the_range() -> None:
    torch.manual_seed(0)
    netg = r3gan.Generator(image_size=32, channels=3, nz=16, width=8)
    assert netg(10 * torch.randn(4, 16, 1, 1)).abs().max() > 1


def test_width_must_fill_the_groups() -> None:
    with pytest.raises(ValueError, match="multiple of 8; got 20, try 16"):
        r3gan.Generator(image_size=32, channels=3, nz=16, width=20)


def test_second_derivatives_run_through_the_discriminator() -> None:
    netd = r3gan.Discriminator(image_size=16, channels=1, width=8)
    images = torch.randn(2, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(netd(images).sum(), images, create_graph=True)
    second = torch.autograd.grad(
        gradient.square().sum(), list(netd.parameters()), allow_unused=True
    )
    assert sum(one is not None for one in second) >= len(list(netd.parameters())) // 2
