"""Two processes train as one with the same total batch does."""

from typing import Any

import pytest
import torch
from torch import nn

from animegan import models
from animegan.config.derived import spec_of
from animegan.data.labels import sizes_of
from animegan.runtime import seeds
from animegan.runtime.device import Runtime
from tests.support.ranks_worker import together
from tests.support.tiny import CPU, GIVEN, config_of, trainer_of
from tests.training.test_trainer import plain_nets

STEPS = 5
# Only the order of sums differs. Adam and RMSprop divide by the gradient's size, so its relative
# error is the weight's; where a gradient nearly cancels, that error is large. In float64 1e-13 lets
# 500 roundings through and no mistake; in float32 the same would be 5e-5: of 1e-13 · 2^29.
BOUNDS = {True: 1e-13, False: 2e-5}
AIDS = {"augment": "auto", "r1": 0.5, "penalty_every": 2, "ema": 100,
        "flip": True, "clip": 0.5, "optimizer": "rmsprop"}  # fmt: skip
CASES: dict[str, Any] = {  # without BatchNorm: R3GAN's nets
    **{loss: {"loss": loss, "net": "r3gan", "ngf": 8, "ndf": 8, "g_every": 1}
       for loss in ("bce", "ra-hinge", "dragan", "r3gan", "wgan-gp")},
    "aids": {"loss": "ra-hinge", "net": "r3gan", "ngf": 8, "ndf": 8, **AIDS, "lr1": 1e-5,
             "lr2": 1e-5},
    "pieces": {"loss": "r3gan", "net": "r3gan", "ngf": 8, "ndf": 8, "batch_size": 8,
               "accumulate": 2, "augment": "color,translation,cutout"},
    "dcgan bce": {"loss": "bce", "ngf": 4, "ndf": 4},
    "dcgan ra-hinge": {"loss": "ra-hinge", "ngf": 4, "ndf": 4, **AIDS, "r1": 0, "penalty_every": 1},
    "dcgan dragan": {"loss": "dragan", "ngf": 4, "ndf": 4},
    "dcgan wgan-gp": {"loss": "wgan-gp", "ngf": 4, "ndf": 4, "g_every": 1},
    "projection": {"loss": "bce", "net": "r3gan", "ngf": 8, "ndf": 8, "condition": "projection",
                   "labels": "folders"},
    "acgan": {"loss": "r3gan", "net": "r3gan", "ngf": 8, "ndf": 8, "condition": "acgan",
              "labels": "folders"},
    "mlp bce": {"loss": "bce", "net": "mlp"},
}  # fmt: skip


class Double(nn.Module):
    """A net in float64, from float32 inputs."""

    def __init__(self, net):
        super().__init__()
        self.net = net.double()

    def forward(self, inputs, *given):
        return self.net(inputs.double(), *given)

    def judge(self, images):
        return self.net.judge(images.double())


def prepared(runtime, case, precise):
    options = {"batch_size": 4, **CASES[case]}
    config = config_of(**options)
    seeds.seed_everything(config.seed)
    given = GIVEN if "condition" in CASES[case] else None
    spec = spec_of(config, sizes_of(given))
    nets: dict[str, nn.Module] = {"netg": models.build_netg(spec), "netd": models.build_netd(spec)}
    if precise:
        nets = {name: Double(net) for name, net in nets.items()}
    return trainer_of(runtime=runtime, given=given, **nets, **options)


def trained(trainer, steps=STEPS):
    for _ in range(steps):
        trainer.train_batch()
    trainer.pool()
    means, (bad,) = trainer.meters.read(trainer.guard.bad_step)
    assert bad == -1
    return {"means": means, "weights": weights_of(trainer), "view": trainer.view.state_dict()}


def weights_of(trainer):
    nets: dict[str, nn.Module] = {
        "netg": trainer.netg,
        "netd": trainer.netd,
        "shown": trainer.weights()["netg"],
    }
    return {
        f"{kind}.{name}": tensor.detach().clone()
        for kind, net in nets.items()
        for name, tensor in net.state_dict().items()
    }


def furthest(one, other):
    assert one.keys() == other.keys()
    return max((one[name].double() - other[name].double()).abs().max().item() for name in one)


def work(runtime, folder):
    found = {}
    for case in CASES:
        for precise in (True, False):
            found[case, precise] = trained(prepared(runtime, case, precise))
    found["resumed"] = resumed(runtime, folder)
    found["poisoned"] = poisoned(runtime)
    found["short"] = short_of_memory(runtime)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    trainer = prepared(Runtime(CPU), "dcgan bce", True)
    trained(trainer, 3)
    torch.save(trainer.state_dict(), folder / "state.pt")
    return together(work, folder)


@pytest.mark.parametrize("precise", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_two_processes_equal_one(found, case, precise):
    alone = trained(prepared(Runtime(CPU), case, precise))
    one, other = (process[case, precise] for process in found)
    assert furthest(one["weights"], other["weights"]) == 0
    assert furthest(alone["weights"], one["weights"]) < BOUNDS[precise]
    assert one["means"] == pytest.approx(alone["means"], rel=1e-5, abs=1e-6)
    if alone["view"]:
        assert one["view"]["p"] == alone["view"]["p"]
        ratio = alone["view"]["signs"] / one["view"]["signs"]
        assert ratio.tolist() == [2, 2]  # a mean over processes instead of a sum


# --- states


def resumed(runtime, folder):
    trainer = prepared(runtime, "dcgan bce", True)
    trainer.load_state_dict(torch.load(folder / "state.pt"))
    return trained(trainer, 3)["weights"]


def test_a_state_of_one_process_goes_on_with_two(found):
    straight = trained(prepared(Runtime(CPU), "dcgan bce", True), 6)["weights"]
    assert all(furthest(one["resumed"], straight) < BOUNDS[True] for one in found)


def test_a_state_cut_into_more_pieces_than_there_are_rows():
    trainer = trainer_of(batch_size=4)
    trainer.load_state_dict({**trainer.state_dict(), "pieces": 8})
    assert trainer.pieces.count == 4


# --- what only one process meets


def poisoned(runtime):
    trainer = prepared(runtime, "dcgan bce", False)
    trainer.train_batch()
    before = weights_of(trainer)
    images = trainer.batches.images
    trainer.batches.images = lambda step: images(step) * (float("nan") if runtime.group.rank else 1)
    trainer.step_d(1)
    return furthest(before, weights_of(trainer)), trainer.guard.bad_step.item()


def test_a_loss_that_is_not_finite_on_one_process_is_kept_from_all(found):
    assert [one["poisoned"] for one in found] == [(0, 1), (0, 1)]


def short_of_memory(runtime):
    trainer = trainer_of(
        runtime=runtime, batch_size=8, **plain_nets(1 if runtime.group.rank else 99)
    )
    return trained(trainer, 2)["weights"], trainer.pieces.count


def test_out_of_memory_on_one_process_cuts_the_batch_on_all(found):
    alone = trained(trainer_of(batch_size=8, **plain_nets(99)), 2)["weights"]
    for weights, pieces in (one["short"] for one in found):
        assert pieces == 4
        assert furthest(alone, weights) < BOUNDS[False]
