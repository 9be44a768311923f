import pytest
import torch
from torch import nn

from animegan import models
from animegan.core.errors import UsageError
from animegan.models import Spec, dcgan
from animegan.models.dcgan import Shape, read_shapes, shape_of

SIZES = [8, 16, 28, 32, 48, 64, 80, 96, 112, 128, 192, 256]


def layers_of(net, kinds=(nn.Conv2d, nn.ConvTranspose2d)):
    """(in, out, kernel, stride, padding) of each convolution."""
    return [
        (one.in_channels, one.out_channels, one.kernel_size[0], one.stride[0], one.padding[0])
        for one in net.main
        if isinstance(one, kinds)
    ]


def test_the_generator_at_96_is_the_textbooks():
    net = dcgan.Generator(96, 3, 100, 64)
    assert layers_of(net) == [
        (100, 512, 4, 1, 0), (512, 256, 4, 2, 1), (256, 128, 4, 2, 1), (128, 64, 4, 2, 1),
        (64, 3, 5, 3, 1),
    ]  # fmt: skip
    kinds = [type(one).__name__ for one in net.main]
    assert kinds == ["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 4 + ["ConvTranspose2d", "Tanh"]
    assert all(one.bias is None for one in net.main if isinstance(one, nn.ConvTranspose2d))


def test_the_discriminator_at_96_mirrors_it():
    net = dcgan.Discriminator(96, 3, 64)
    assert layers_of(net) == [
        (3, 64, 5, 3, 1), (64, 128, 4, 2, 1), (128, 256, 4, 2, 1), (256, 512, 4, 2, 1),
        (512, 1, 4, 1, 0),
    ]  # fmt: skip
    kinds = [type(one).__name__ for one in net.main]
    assert kinds == ["Conv2d", "LeakyReLU", *["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3, "Conv2d"]
    assert {one.negative_slope for one in net.main if isinstance(one, nn.LeakyReLU)} == {0.2}
    assert all(one.bias is None for one in net.main if isinstance(one, nn.Conv2d))


def test_the_maps_grow_as_in_the_textbook():
    sides = []
    net = dcgan.Generator(96, 3, 4, 1)
    for one in net.main:
        if isinstance(one, nn.ConvTranspose2d):
            one.register_forward_hook(lambda module, args, out: sides.append(out.shape[-1]))
    net(torch.randn(2, 4, 1, 1))
    assert sides == [4, 8, 16, 32, 96]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_is_drawn_and_judged(size, channels):
    torch.manual_seed(0)
    spec = Spec(size, channels, nz=5, ngf=1, ndf=1)
    models.check(spec)
    images = models.build_netg(spec)(torch.randn(2, 5, 1, 1))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert models.build_netd(spec)(images).shape == (2,)


def test_a_batch_of_one_keeps_its_shape():
    netd = dcgan.Discriminator(16, 3, 2).eval()
    assert netd(torch.zeros(1, 3, 16, 16)).shape == (1,)


def test_logits_are_no_probabilities():
    torch.manual_seed(0)
    netd = dcgan.Discriminator(16, 3, 8)
    with torch.no_grad():
        netd.main[-1].weight.mul_(10)
    logits = netd(torch.randn(64, 3, 16, 16))
    assert logits.min() < 0
    assert logits.max() > 1


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (96, Shape(4, 3, 3)), (64, Shape(4, 3, 2)), (32, Shape(4, 2, 2)), (48, Shape(4, 2, 3)),
        (28, Shape(7, 1, 2)), (8, Shape(4, 0, 2)), (192, Shape(4, 4, 3)), (256, Shape(4, 5, 2)),
    ],
)  # fmt: skip
def test_shapes(size, shape):
    assert shape_of(size) == shape
    assert shape.image_size == size


@pytest.mark.parametrize("size", [1, 7, 9, 13, 31, 33, 65, 95, 97, 100, 130, 250])
def test_a_size_that_cannot_be_built_is_refused_with_near_ones_that_can(size):
    assert shape_of(size) is None
    with pytest.raises(UsageError, match=f"--image-size {size}: ") as caught:
        models.check(Spec(image_size=size))
    near = [int(word) for word in str(caught.value).rpartition(": ")[2].split(", ")]
    assert near == sorted(near)
    assert len(near) == 4
    assert all(shape_of(one) for one in near)
    # none that is left out is nearer
    furthest = max(abs(one - size) for one in near)
    between = [one for one in range(size - furthest + 1, size + furthest) if shape_of(one)]
    assert set(between) <= set(near)


def test_building_it_all_the_same_is_our_own_bug():
    with pytest.raises(ValueError, match="97"):
        dcgan.Generator(97, 3, 5, 2)


def test_widths_double_inwards_up_to_eight():
    assert Shape(4, 3, 3).widths == [8, 4, 2, 1]
    assert Shape(4, 5, 2).widths == [8, 8, 8, 4, 2, 1]
    assert Shape(7, 1, 2).widths == [2, 1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("nz", "ngf", "ndf"), [(100, 4, 3), (2, 2, 2), (1, 3, 1)])
def test_sizes_are_read_off_the_shapes(size, channels, nz, ngf, ndf):
    with torch.device("meta"):
        netg = dcgan.Generator(size, channels, nz, ngf).state_dict()
        netd = dcgan.Discriminator(size, channels, ndf).state_dict()
    common = {"image_size": size, "channels": channels}
    assert read_shapes(netg) == common | {"nz": nz, "ngf": ngf}
    assert read_shapes(netd) == common | {"ndf": ndf}


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"main.0.weight": torch.ones(2, 2, 4, 4)},
        {"fc.weight": torch.ones(3, 3), "fc.bias": torch.ones(3)},
        {"layer.0.weight": torch.ones(2, 2, 4, 4), "layer.1.weight": torch.ones(2, 2, 4, 4)},
        {"main.0.weight": torch.ones(4), "main.1.weight": torch.ones(4)},
    ],
)
def test_other_weights_have_no_sizes(weights):
    assert read_shapes(weights) is None


def test_layers_are_read_in_the_order_of_their_numbers():
    weights = dcgan.Generator(96, 3, 7, 2).state_dict()
    shuffled = dict(sorted(weights.items()))  # main.12 before main.3
    assert list(shuffled) != list(weights)
    assert read_shapes(shuffled) == {"image_size": 96, "channels": 3, "nz": 7, "ngf": 2}


def test_the_textbooks_counts_of_parameters():
    spec = Spec()
    # convolutions: in * out * kernel^2; BatchNorm: two a map
    expected_g = (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64) * 16 + 64 * 3 * 25 + 2 * 960
    expected_d = 3 * 64 * 25 + (64 * 128 + 128 * 256 + 256 * 512 + 512) * 16 + 2 * 896
    assert models.parameters_of(models.build_netg(spec)) == expected_g
    assert models.parameters_of(models.build_netd(spec)) == expected_d


def test_a_frozen_parameter_is_not_counted():
    net = nn.Linear(3, 2)
    net.bias.requires_grad_(False)
    assert models.parameters_of(net) == 6


def test_batch_norm_is_seen():
    assert models.has_batch_norm(dcgan.Generator(16, 3, 5, 2))
    assert not models.has_batch_norm(nn.Sequential(nn.Conv2d(3, 3, 1), nn.GroupNorm(1, 3)))


def test_a_spec_survives_the_file():
    spec = Spec(28, 1, 7, 3, 5)
    assert Spec.read(spec.as_dict()) == spec
    with pytest.raises(TypeError):
        Spec.read({"image_size": 28, "what": 1})
