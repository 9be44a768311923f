"""The layers that families share."""

import pytest
import torch
import torch.nn.functional as F

from animegan.models.conditioning import LabelEmbedding, LabelledNoise
from animegan.models.layers import (
    NearestConv,
    norm_layer,
    pyramid,
    sizes,
    up_conv,
)


def test_sizes() -> None:
    assert {28, 32, 48, 64, 96, 128, 192, 256} <= set(sizes())
    assert all(pyramid(size).sides[-1] == size for size in sizes())
    assert pyramid(96).sides == (6, 12, 24, 48, 96)
    assert pyramid(28).sides == (7, 14, 28)
    for size in (0, 1, 8, 9, 33, 36, 97):
        with pytest.raises(ValueError, match="near"):
            pyramid(size)


def test_nearest_conv_equals_upsampling_then_convolving() -> None:
    layer = NearestConv(3, 5).double()
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(F.interpolate(x, scale_factor=2.0), layer.weight, padding=1)
    assert expected.shape == (2, 5, 8, 12)
    torch.testing.assert_close(layer(x), expected)
    weights = torch.randn_like(expected)
    ours = torch.autograd.grad((layer(x) * weights).sum(), (x, layer.weight))
    plain = torch.autograd.grad((expected * weights).sum(), (x, layer.weight))
    torch.testing.assert_close(ours, plain)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="nearest, transposed, bilinear"):
        up_conv(1, 1, "cubic")
    with pytest.raises(ValueError, match="none, batch, spectral, layer"):
        norm_layer("group", 1)


def test_embeddings_add_up_and_unknown_adds_nothing() -> None:
    embed = LabelEmbedding((2, 3), 4)
    first, second = (table.weight for table in embed.tables)
    rows = embed(torch.tensor([[1, 2], [0, -1], [-1, -1]]))
    torch.testing.assert_close(rows[0], first[2] + second[3])
    torch.testing.assert_close(rows[1], first[1])
    assert not rows[2].any()
    torch.testing.assert_close(
        LabelEmbedding((2,), 4)(torch.tensor([0, -1])).shape, torch.Size([2, 4])
    )


def test_labelled_noise() -> None:
    noise = torch.randn(2, 10, 1, 1)
    plain = LabelledNoise(10, ())
    assert plain.width == 10
    assert torch.equal(plain(noise), noise.flatten(1))
    labelled = LabelledNoise(10, (3,))
    joined = labelled(noise, torch.tensor([0, -1]))
    assert joined.shape == (2, labelled.width) == (2, 20)
    assert torch.equal(joined[:, :10], noise.flatten(1))
    assert joined[0, 10:].any()
    assert not joined[1, 10:].any()
    many = LabelledNoise(100, (500,))(torch.zeros(500, 100), torch.arange(500))
    assert 0.9 < many[:, 100:].norm(dim=1).mean() < 1.1
