"""What a step shows the discriminator, and the gradients it computes, against those worked out
apart: with nets whose pictures tell where they come from.
"""

import dataclasses

import pytest
import torch
from torch import nn

from animegan.losses.adversarial import auxiliary
from animegan.losses.objectives import OBJECTIVES
from tests.support.tiny import GIVEN, ROWS, TWO, trainer_of

WHOLE = slice(0, 4)


class Telling(nn.Module):
    """A generator whose pictures show their labels and their noise, one in each channel."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, noise, labels):
        told = [labels[:, 0], labels[:, 1], noise[:, 0, 0, 0]]
        return self.scale * torch.stack(told, 1)[:, :, None, None].expand(-1, -1, 16, 16)


class Judge(nn.Module):
    """A discriminator that keeps what it is shown: pictures, and the labels with them."""

    def __init__(self):
        super().__init__()
        source = torch.Generator().manual_seed(1)
        self.first = nn.Parameter(torch.randn(768, 8, generator=source) / 20)
        self.second = nn.Parameter(torch.randn(8, generator=source))
        self.of_labels = nn.Parameter(torch.randn(4, 8, generator=source))
        self.classes = nn.Parameter(torch.randn(8, 5, generator=source))
        self.shown = []

    def features(self, images):
        return (images.flatten(1) @ self.first).tanh()

    def forward(self, images, labels):
        self.shown.append((images.detach(), labels))
        return (self.features(images) * (self.second + self.of_labels[labels[:, 0] + 1])).sum(1)

    def judge(self, images):
        features = self.features(images)
        return features @ self.second, features @ self.classes


def labelled(objective="bce", condition="projection", **options):
    return trainer_of(
        netg=Telling(), netd=Judge(), objective=objective, given=GIVEN, condition=condition,
        **options,
    )  # fmt: skip


def told_by(fakes):
    """The labels that Telling's pictures were drawn with."""
    return fakes[:, :2, 0, 0].round().long()


def numbers_of(trainer, reals):
    """Which pictures of the set these are."""
    known = torch.from_numpy(trainer.batches.faces.images).permute(0, 3, 1, 2)
    pixels = ((reals + 1) * 127.5).round().to(torch.uint8)
    return [int((known == one).flatten(1).all(1).nonzero()) for one in pixels]


def joined(shown):
    """What was shown in pieces, as a batch."""
    images, labels = zip(*shown, strict=True)
    return torch.cat(images), torch.cat(labels)


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("objective", ["bce", "ra-hinge", "r3gan"])
def test_each_picture_is_judged_with_its_own_labels(objective, shared, pieces, monkeypatch):
    row = dataclasses.replace(OBJECTIVES[objective], shares_fakes=shared)
    monkeypatch.setitem(OBJECTIVES, objective, row)
    trainer = labelled(objective, accumulate=pieces)
    netd, step = trainer.netd, 3

    def checked(shown, step):
        """The reals are those of a step, and have their labels."""
        reals, labels = joined(shown)
        rows = numbers_of(trainer, reals)
        assert rows == trainer.batches.rows(step).tolist()
        assert torch.equal(labels, ROWS[rows])

    trainer.step_d(step)
    reals, fakes = netd.shown[::2], netd.shown[1::2]
    checked(reals, step)
    first, labels = joined(fakes)
    assert torch.equal(labels, told_by(first))
    netd.shown.clear()
    trainer.step_g(step)
    relativistic = OBJECTIVES[objective].needs_real
    fakes = netd.shown[::2] if relativistic else netd.shown
    assert len(fakes) == pieces
    second, labels = joined(fakes)
    assert torch.equal(labels, told_by(second))
    assert torch.equal(first, second) is shared
    if relativistic:  # with other reals than netd just had
        checked(netd.shown[1::2], step + 1)


def gradients(net):
    return [one.grad for one in net.parameters()]


def assert_all_close(ours, expected):
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_acgans_loss_is_added_for_reals_and_fakes_in_both_steps(monkeypatch):
    row = dataclasses.replace(OBJECTIVES["bce"], shares_fakes=False)
    monkeypatch.setitem(OBJECTIVES, "bce", row)
    trainer = labelled(condition="acgan", aux=3)
    netg, netd, step = trainer.netg, trainer.netd, 1

    def judged(images, labels):
        logits, classes = netd.judge(images)
        return logits, auxiliary(classes, labels, TWO.sizes)

    def drawn(stream):
        noise = trainer.inputs.noise(stream, step)
        labels = trainer.inputs.drawn_labels(stream, step)
        return netg(noise, labels), labels

    real = trainer.inputs.images(step)
    logits_x, aux_x = judged(real, ROWS[trainer.batches.rows(step)])
    logits_z, aux_z = judged(*drawn("noise-d"))
    loss = trainer.objective.loss_d(logits_x, logits_z) + 3 * (aux_x + aux_z)
    used = [netd.first, netd.second, netd.classes]
    expected = torch.autograd.grad(loss, used)
    trainer.step_d(step)
    assert_all_close([one.grad for one in used], expected)

    logits, aux = judged(*drawn("noise-g"))
    expected = torch.autograd.grad(trainer.objective.loss_g(logits, None) + 3 * aux, netg.scale)
    trainer.step_g(step)
    assert_all_close(gradients(netg), expected)


@pytest.mark.parametrize("weights", [{"r1": 2}, {"r2": 2}, {"r1": 1, "r2": 3}])
def test_a_lazy_penalty_counts_for_the_steps_it_is_left_out(weights):
    """Its gradient is at the raw pictures, through the view that the loss has of them."""
    trainer = labelled(penalty_every=3, augment="color,translation,cutout", **weights)
    netd, step = trainer.netd, 2
    noise = trainer.inputs.noise("noise-d", step)
    of_fake = trainer.inputs.drawn_labels("noise-d", step)
    sides = {
        "x": (trainer.inputs.images(step), ROWS[trainer.batches.rows(step)], weights.get("r1", 0)),
        "z": (trainer.netg(noise, of_fake).detach(), of_fake, weights.get("r2", 0)),
    }
    logits, penalty = [], 0
    for side, (images, labels, weight) in sides.items():
        raw = images.clone().requires_grad_()
        logits.append(netd(trainer.view.at(step, side, WHOLE)(raw), labels))
        (slope,) = torch.autograd.grad(logits[-1].sum(), raw, create_graph=True)
        penalty = penalty + weight / 2 * slope.square().sum((1, 2, 3)).mean()
    loss = trainer.objective.loss_d(*logits) + 3 * penalty
    parameters = [netd.first, netd.second, netd.of_labels]
    expected = torch.autograd.grad(loss, parameters)
    trainer.step_d(step)
    assert_all_close([one.grad for one in parameters], expected)


@pytest.mark.parametrize("options", [{}, {"r1": 1, "r2": 1}, {"condition": "acgan"}])
def test_the_gradients_of_a_batch_are_those_of_its_pieces(options):
    """Before Adam, which would divide what all of them have too much."""
    whole, cut = (labelled(accumulate=pieces, **options) for pieces in (1, 2))
    for trainer in (whole, cut):
        trainer.step_d(0)
    for name, one in whole.netd.named_parameters():
        other = dict(cut.netd.named_parameters())[name].grad
        assert (one.grad is None) == (other is None)
        if other is not None:
            torch.testing.assert_close(one.grad, other, rtol=1e-4, atol=1e-6)
    for trainer in (whole, cut):
        trainer.netd.load_state_dict(Judge().state_dict())
        trainer.step_g(0)
    assert_all_close(gradients(cut.netg), gradients(whole.netg))


@pytest.mark.parametrize("start", [101, 201])
def test_the_average_is_in_pictures_whatever_the_batches_between_updates(start):
    """A half-life of 30 pictures, but of a twentieth of those seen: 20 from the first start."""
    trainer = trainer_of(ema=30, g_every=2, lr1=0.01)
    trainer.step = start
    expected = [one.detach().clone() for one in trainer.weights()["netg"].parameters()]
    for step in range(start, start + 6):
        trainer.train_batch()
        if step % 2:  # an update of netg, of the 8 pictures since the last
            kept = 0.5 ** (8 / min(30, 0.05 * 4 * (step + 1)))
            now = trainer.netg.parameters()
            expected = [
                kept * one + (1 - kept) * new.detach()
                for one, new in zip(expected, now, strict=True)
            ]
    for one, other in zip(trainer.weights()["netg"].parameters(), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "reals", "fakes"),
    [
        ("bce", [-0.1, 0.1, 2.0, -3.0], [5.0] * 4),
        ("lsgan", [0.4, 0.6, 0.9, 0.1], [5.0] * 4),  # trained towards 1 and 0
        ("r3gan", [7.0, 8.0, 3.0, 5.5], [4.0, 5.0, 6.0, 9.0]),  # 6 in the middle
        ("wgan", [7.0, 8.0, 3.0, 5.5], [4.0, 5.0, 6.0, 9.0]),
    ],
)
def test_auto_counts_reals_on_either_side_of_the_objectives_boundary(objective, reals, fakes):
    trainer = trainer_of(objective=objective, augment="auto")
    logits = iter((torch.tensor(reals), torch.tensor(fakes)))
    trainer.nets["netd"] = nn.Linear(1, 1)
    trainer.netd.forward = lambda images: trainer.netd.bias * 0 + next(logits)
    trainer.step_d(0)
    assert trainer.view.state_dict()["signs"].tolist() == [0, 4]  # two on each side
