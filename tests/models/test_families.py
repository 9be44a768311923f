"""What every family of networks promises, at every size, on the meta device and on small ones."""

import copy
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from animegan.models import conditioning, dcgan, fastgan, mlp, r3gan, resnet
from animegan.models.layers import NORMS, UPS

FAMILIES = [mlp, resnet, fastgan, r3gan]
SIZES = [28, 32, 48, 64, 96, 128, 192, 256]


def name(family: object) -> str:
    return family.__name__.rpartition(".")[2] if isinstance(family, ModuleType) else str(family)


def each(choice: str) -> list[tuple[ModuleType, str]]:
    """Families with each of their own ups or norms."""
    return [(family, value) for family in FAMILIES for value in getattr(family.FAMILY, choice)]


def backward(loss: Tensor) -> None:
    loss.backward()


def all_have_gradients(net: nn.Module) -> bool:
    return all(one.grad is not None for one in net.parameters())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES, ids=name)
def test_forward_and_backward_at_every_size(family: ModuleType, size: int, channels: int) -> None:
    with torch.device("meta"):
        netg = family.Generator(image_size=size, channels=channels, nz=10, width=16)
        netd = family.Discriminator(image_size=size, channels=channels, width=16)
        images = netg(torch.randn(2, 10, 1, 1))
        assert images.shape == (2, channels, size, size)
        logits = netd(images)
    assert logits.shape == (2,)
    assert logits.dtype == torch.float32
    backward(logits.sum())
    assert all_have_gradients(netg)
    assert all_have_gradients(netd)


@pytest.mark.parametrize(("family", "up"), each("ups"), ids=name)
def test_every_upsampling(family: ModuleType, up: str) -> None:
    netg = family.Generator(image_size=32, channels=3, nz=10, width=8, up=up)
    images = netg(torch.randn(2, 10, 1, 1))
    assert images.shape == (2, 3, 32, 32)
    assert images.abs().max() <= 1
    backward(images.sum())
    assert all_have_gradients(netg)


@pytest.mark.parametrize(("family", "norm"), each("norms"), ids=name)
def test_every_norm(family: ModuleType, norm: str) -> None:
    options = {} if family is r3gan else {"norm": norm}
    netd = family.Discriminator(image_size=32, channels=3, width=8, **options)
    logits = netd(torch.randn(3, 3, 32, 32))
    assert logits.shape == (3,)
    backward(logits.sum())
    assert all_have_gradients(netd)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
    kinds = {type(one) for one in netd.modules() if isinstance(one, norms)}
    assert (norm == "batch") == bool(kinds & {nn.BatchNorm1d, nn.BatchNorm2d})
    assert (norm == "layer") == bool(kinds & {nn.LayerNorm, nn.GroupNorm})
    layers_ = [m for m in netd.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(hasattr(one, "parametrizations") == (norm == "spectral") for one in layers_)


@pytest.mark.parametrize(
    ("family", "norm"), [*each("norms"), *((dcgan, norm) for norm in dcgan.NORMS)], ids=name
)
def test_a_new_discriminator_has_something_to_say(family: ModuleType, norm: str) -> None:
    """The gradient of a mean logit at the pictures: else nothing is learned from it for long."""
    options = {} if family is r3gan else {"norm": norm}
    netd = family.Discriminator(image_size=32, channels=3, width=8, **options)
    images = (torch.rand(8, 3, 32, 32) * 2 - 1).requires_grad_()
    (gradient,) = torch.autograd.grad(netd(images).mean() * 8, images)
    assert gradient.flatten(1).norm(dim=1).mean().item() > 1e-3


@pytest.mark.parametrize(
    ("family", "norm"), [*each("norms"), *((dcgan, norm) for norm in dcgan.NORMS)], ids=name
)
def test_plain_grey_can_be_given_any_logit(family: ModuleType, norm: str) -> None:
    """Where D(0) is 0 for good, a generator whose fakes are worth less turns grey."""
    options = {} if family is r3gan else {"norm": norm}
    netd = family.Discriminator(image_size=16, channels=3, width=8, **options)
    optimizer = torch.optim.Adam(netd.parameters(), lr=0.01)
    images = torch.cat((torch.zeros(2, 3, 16, 16), torch.randn(2, 3, 16, 16)))
    for _ in range(200):
        optimizer.zero_grad()
        grey, other = netd(images).chunk(2)
        backward(((grey + 1).square() + (other - 1).square()).mean())
        optimizer.step()
    assert grey.mean().item() < -0.5


@pytest.mark.parametrize(
    ("family", "norm"), [pair for pair in each("norms") if pair[1] != "batch"], ids=name
)
def test_a_logit_depends_on_its_own_picture_alone(family: ModuleType, norm: str) -> None:
    """What penalties per sample stand on; BatchNorm alone breaks it."""
    options = {} if family is r3gan else {"norm": norm}
    netd = family.Discriminator(image_size=28, channels=1, width=8, **options).eval()
    images = torch.randn(3, 1, 28, 28)
    alone = netd(images[:1])
    torch.testing.assert_close(netd(images)[:1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES, ids=name)
def test_a_picture_depends_on_its_noise(family: ModuleType) -> None:
    netg = family.Generator(image_size=28, channels=1, nz=10, width=8).eval()
    noise = torch.randn(2, 10, 1, 1)
    images = netg(noise)
    assert (images[0] - images[1]).abs().max() > 0
    torch.testing.assert_close(netg(noise[:1]), images[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("condition", conditioning.CONDITIONS)
@pytest.mark.parametrize("family", FAMILIES, ids=name)
def test_labels(family: ModuleType, condition: str) -> None:
    classes = (3, 4)
    netg = family.Generator(image_size=28, channels=1, nz=10, width=8, classes=classes)
    netd = family.Discriminator(
        image_size=28, channels=1, width=8, classes=classes, condition=condition
    )
    noise = torch.randn(4, 10, 1, 1)
    labels = torch.tensor([[0, 3], [2, 0], [1, -1], [-1, -1]])
    images = netg(noise, labels)
    if condition == "projection":
        logits = netd(images, labels)
    else:
        logits, class_logits = netd.judge(images)
        assert class_logits.shape == (4, 7)
        logits = logits + class_logits.sum(1)
    assert logits.shape == (4,)
    backward(logits.sum())
    assert all_have_gradients(netg)
    assert all_have_gradients(netd)

    netg.eval()
    other = torch.tensor([[1, 3], [2, 1], [0, -1], [-1, -1]])
    one, two = netg(noise, labels), netg(noise, other)
    assert all((one[i] - two[i]).abs().max() > 0 for i in range(3))
    torch.testing.assert_close(one[3], two[3])
    torch.testing.assert_close(netg(noise), netg(noise, torch.full((4, 2), -1)))


@pytest.mark.parametrize("family", FAMILIES, ids=name)
def test_projection_tells_labels_apart_once_trained(family: ModuleType) -> None:
    netd = family.Discriminator(image_size=28, channels=1, width=8, classes=(3,))
    images = torch.randn(2, 1, 28, 28)
    netd.eval()
    with torch.no_grad():
        blank = netd(images)
        torch.testing.assert_close(netd(images, torch.tensor([0, 1])), blank)
        for parameter in netd.project.parameters():
            parameter[1:] = torch.randn_like(parameter[1:])
        assert (netd(images, torch.tensor([0, 1])) - netd(images, torch.tensor([2, 2]))).any()
        torch.testing.assert_close(netd(images, torch.tensor([-1, -1])), blank)


@pytest.mark.parametrize("family", FAMILIES, ids=name)
def test_weights_load_into_a_new_net(family: ModuleType) -> None:
    make = lambda: family.Generator(image_size=28, channels=1, nz=10, width=8)  # noqa: E731
    netg = make().eval()
    other = make().eval()
    other.load_state_dict(netg.state_dict())
    noise = torch.randn(2, 10, 1, 1)
    assert torch.equal(other(noise), netg(noise))
    assert torch.equal(copy.deepcopy(netg)(noise), netg(noise))


@pytest.mark.parametrize("family", [resnet, fastgan, r3gan], ids=name)
def test_a_size_that_does_not_factor_names_near_ones(family: ModuleType) -> None:
    with pytest.raises(ValueError, match="nearest supported: 80, 96, 112"):
        family.Generator(image_size=97, channels=3, nz=10, width=8)
    with pytest.raises(ValueError, match="nearest supported: 80, 96, 112"):
        family.Discriminator(image_size=97, channels=3, width=8)


def test_the_perceptron_takes_any_size() -> None:
    assert mlp.Generator(97, 3, 10, 4)(torch.randn(2, 10, 1, 1)).shape == (2, 3, 97, 97)


@pytest.mark.parametrize("family", FAMILIES, ids=name)
def test_choices_have_known_names(family: ModuleType) -> None:
    assert set(family.FAMILY.norms) <= set(NORMS)
    assert set(family.FAMILY.ups) <= set(UPS)
