"""Augmentation: differentiable, the identity at 0, each part by its definition, ADA's rule."""

from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from animegan.config import values
from animegan.config.values import POLICIES
from animegan.losses.objectives import OBJECTIVES
from animegan.training.step.augment import AdaptiveAugment, Augment, draw


def numbers(**chosen: list[float]) -> Tensor:
    """Two pictures' numbers: gates open, nothing changed but what is chosen, by column name."""
    names = ("g1", "g2", "g3", "brightness", "saturation", "contrast", "y", "x", "hole_y", "hole_x")
    neutral = [0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    table = torch.tensor([neutral, neutral])
    for name, numbers in chosen.items():
        table[:, names.index(name)] = torch.tensor(numbers)
    return table


def some(count: int = 2, channels: int = 3, side: int = 16) -> Tensor:
    images = torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))
    return (images * 2 - 1).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("p", [0.0, torch.tensor(0.0)])
def test_identity_at_probability_0(p: float | Tensor) -> None:
    images = some(32)
    assert torch.equal(Augment()(images, draw(32, torch.Generator().manual_seed(1)), p), images)


def test_probability_is_a_share_of_the_pictures() -> None:
    images = some(400, 1, 8)
    for part in POLICIES:
        source = torch.Generator().manual_seed(1)
        changed = Augment((part,))(images, draw(400, source), torch.tensor(0.25)) != images
        share = changed.flatten(1).any(1).float().mean().item()
        assert 0.15 < share < 0.33, part
        changed = Augment((part,))(images, draw(400, source), 1.0) != images
        assert changed.flatten(1).any(1).float().mean().item() > 0.6, part


def test_each_part_has_a_gate_of_its_own() -> None:
    images, table = some(1000, 3, 16) + 3, draw(1000, torch.Generator().manual_seed(1))
    changed = {
        part: (Augment((part,))(images, table, 0.5) != images).flatten(1).any(1).float()
        for part in POLICIES
    }
    for one, other in combinations(POLICIES, 2):
        both = (changed[one] * changed[other]).mean()
        assert abs(both - changed[one].mean() * changed[other].mean()) < 0.05, (one, other)


def test_same_numbers_same_augmentation_and_shape_and_format() -> None:
    images, table = some(), draw(2, torch.Generator().manual_seed(2))
    out = Augment()(images, table)
    assert torch.equal(out, Augment()(images, table))
    assert out.shape == images.shape
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(out, images)


def test_brightness_saturation_contrast() -> None:
    images = some()
    part = Augment(("color",))
    bright = part(images, numbers(brightness=[1.0, 0.0]))
    torch.testing.assert_close(bright, images + torch.tensor([0.5, -0.5]).view(2, 1, 1, 1))
    saturated = part(images, numbers(saturation=[0.0, 1.0]))
    grey = images.mean(1, keepdim=True)
    torch.testing.assert_close(saturated[0], grey[0].expand(3, -1, -1))
    torch.testing.assert_close(saturated[1], grey[1] + 2 * (images[1] - grey[1]))
    contrast = part(images, numbers(contrast=[0.0, 1.0]))
    level = images.mean((1, 2, 3), keepdim=True)
    for i, factor in ((0, 0.5), (1, 1.5)):
        torch.testing.assert_close(contrast[i], level[i] + factor * (images[i] - level[i]))


def test_colour_equals_its_three_parts_in_turn() -> None:
    images, part = some(), Augment(("color",))
    at_once = part(images, numbers(brightness=[0.9, 0.2], saturation=[0.1, 0.8], contrast=[0, 1.0]))
    in_turn = part(images, numbers(brightness=[0.9, 0.2]))
    in_turn = part(in_turn, numbers(saturation=[0.1, 0.8]))
    in_turn = part(in_turn, numbers(contrast=[0, 1.0]))
    torch.testing.assert_close(at_once, in_turn)


def test_translation() -> None:
    images = some()  # 16 pixels: up to 2 either way
    moved = Augment(("translation",))(images, numbers(y=[0.99, 0.5], x=[0.5, 0.0]))
    assert torch.equal(moved[0, :, 2:], images[0, :, :-2])
    assert not moved[0, :, :2].any()
    assert torch.equal(moved[1, :, :, :-2], images[1, :, :, 2:])
    assert not moved[1, :, :, -2:].any()


def test_every_shift_is_as_likely() -> None:
    images = torch.zeros(4000, 1, 16, 16)
    images[:, :, 8, 8] = 1
    moved = Augment(("translation",))(images, draw(4000, torch.Generator().manual_seed(3)))
    counts = moved.sum((0, 1))
    assert counts.sum() == 4000
    assert ((counts[6:11, 6:11] - 160).abs() < 60).all()


def test_cutout() -> None:
    images = some() + 3  # nowhere 0
    cut = Augment(("cutout",))(images, numbers(hole_y=[0.5, 0.0], hole_x=[0.5, 0.99]))
    assert not cut[0, :, 4:12, 4:12].any()
    assert (cut[0] == 0).sum() == 3 * 64
    assert not cut[1, :, :4, 12:].any()
    assert (cut[1] == 0).sum() == 3 * 16
    assert torch.equal(cut[0][cut[0] != 0], images[0][cut[0] != 0])


def test_differentiable_twice() -> None:
    images = some(2, 2, 8).double().requires_grad_()
    table = draw(2, torch.Generator().manual_seed(4)).double()
    assert torch.autograd.gradcheck(lambda x: Augment()(x, table), (images,))
    assert torch.autograd.gradgradcheck(lambda x: Augment()(x, table).square(), (images,))


def test_policy_names() -> None:
    assert values.parse("color, cutout") == ("color", "cutout")
    assert values.parse("none") == ()
    assert values.parse("auto") == POLICIES
    for wrong in ("colour,cutout", "color,", "none,color"):
        with pytest.raises(ValueError, match="it takes none, auto, or some of"):
            values.parse(wrong)


def test_grey_pictures_and_the_meta_device() -> None:
    assert Augment()(some(2, 1), draw(2, torch.Generator())).shape == (2, 1, 16, 16)
    out = Augment()(torch.empty(2, 3, 16, 16, device="meta"), torch.empty(2, 10, device="meta"))
    assert out.shape == (2, 3, 16, 16)


def test_adaptive_probability() -> None:
    ada = AdaptiveAugment(target=0.6, ramp=1000)
    ada.watch(torch.tensor([3.0, 1.0, 2.0]))
    ada.watch(torch.tensor([0.5, 1.0, -1.0]))  # r = 4 / 6
    ada.adapt(100)
    assert ada.p.item() == pytest.approx(0.1)
    ada.adapt(50)  # nothing seen: r = 0
    assert ada.p.item() == pytest.approx(0.05)
    ada.watch(torch.tensor([1.0, -1.0]))
    ada.adapt(100)
    assert ada.p.item() == 0
    for _ in range(20):
        ada.watch(torch.ones(4, 2))
        ada.adapt(100)
    assert ada.p.item() == 1


def test_adaptive_boundary_and_processes() -> None:
    ada = AdaptiveAugment(ramp=1000)
    ada.watch(torch.tensor([5.0, 6.0]), boundary=torch.tensor(5.5))  # r = 0
    ada.adapt(100, total=lambda signs: signs + torch.tensor([8.0, 8.0]))  # r = 0.8 over all
    assert ada.p.item() == pytest.approx(0.1)
    assert OBJECTIVES["lsgan"].boundary == 0.5
    assert OBJECTIVES["r3gan"].boundary is None


class FromTheHost(TorchDispatchMode):
    """Notes what is copied to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.copied: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = [one.device for one in args if isinstance(one, Tensor)]
        if isinstance(out, Tensor) and given and out.device not in given:
            self.copied.append(str(func))
        return out


def test_watching_copies_nothing_to_the_gpu() -> None:
    """A copy from the host would make it wait for the GPU; seen with tensors that hold no data."""
    with FakeTensorMode(), torch.device("cuda"):
        ada, logits = AdaptiveAugment().cuda(), torch.ones(4, 2)
        with FromTheHost() as seen:
            ada.watch(logits, torch.ones(2))
            assert seen.copied == []
            logits.new_tensor(8.0)  # what it must not do is noticed
    assert ada.signs.device.type == "cuda"
    assert len(seen.copied) == 1


def test_adaptive_state_is_saved_whole() -> None:
    ada = AdaptiveAugment(ramp=1000)
    ada.watch(torch.ones(3))
    ada.adapt(300)
    ada.watch(torch.ones(3))
    other = AdaptiveAugment(ramp=1000)
    other.load_state_dict(ada.state_dict())
    for one in (ada, other):
        one.adapt(100)
    assert other.p.item() == ada.p.item() == pytest.approx(0.4)
