"""Every objective with every network: a batch on the meta device, or a line that says why not."""

import pytest
import torch

from animegan import models
from animegan.config.derived import penalised, spec_of
from animegan.core.errors import UsageError
from animegan.losses.objectives import OBJECTIVES
from animegan.models import FAMILIES
from tests.support.tiny import config_of, same_weights, trainer_of, weights_of

META = torch.device("meta")
PAIRS = [(loss, net) for loss in OBJECTIVES for net in FAMILIES if (loss, net) != ("wgan", "r3gan")]


@pytest.mark.parametrize("size", [32, 64, 96, 128])
@pytest.mark.parametrize(("loss", "net"), PAIRS)
def test_a_pair_trains_on_the_meta_device(loss, net, size):
    options = {"image_size": size, "ngf": 8, "ndf": 8, "nz": 8, "d_every": 1, "g_every": 1}
    trainer = trainer_of(device=META, loss=loss, net=net, **options)
    models.check(spec_of(trainer.config), penalised(trainer.config))
    trainer.train_batch()
    assert trainer.meters.table.device.type == "meta"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"loss": "wgan-gp", "d_norm": "batch"}, "--d-norm batch: a gradient penalty needs"),
        ({"r1": 1, "d_norm": "batch"}, "--d-norm batch: a gradient penalty needs"),
        ({"net": "r3gan", "d_norm": "spectral"}, r"--d-norm spectral: .*\(r3gan\) takes none"),
        ({"net": "r3gan", "ngf": 12, "ndf": 8}, "--ngf, --ndf: .*multiple of 8"),
        ({"net": "mlp", "up": "nearest"}, "--up nearest: mlp has no choice of upsampling"),
        ({"net": "resnet", "g_convs": 2}, r"--g-convs 2: resnet has no such choice; omit"),
        ({"d_features": "lite0", "d_norm": "layer"}, r"--d-norm layer: .*\(lite0\) takes spectral"),
    ],
)
def test_a_forbidden_pair_says_why(options, problem):
    config = config_of(**options)
    with pytest.raises(UsageError, match=problem):
        models.check(spec_of(config), penalised(config))


def test_clipping_weights_that_are_scaled_anyway_is_refused():
    for options in ({"d_features": "lite0"}, {"d_norm": "spectral"}):
        with pytest.raises(UsageError, match=r"--clip 0\.01: has no effect on weights"):
            config_of(loss="wgan", image_size=96, **options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"loss": "wgan", "net": "r3gan", "ngf": 8, "ndf": 8}, r"--clip 0\.01: leaves no signal"),
        ({"net": "fastgan", "clip": 0.05, "d_norm": "none"}, r"--clip 0\.05: leaves no signal"),
        ({"loss": "wgan-gp", "d_features": "lite0"}, "--loss wgan-gp with --d-features lite0"),
        ({"loss": "r3gan", "d_features": "lite0"}, "--loss r3gan with --d-features lite0"),
        ({"loss": "lsgan", "gp": 10}, "--gp 10: --loss lsgan has no such penalty"),
    ],
)
def test_what_could_not_learn_is_refused(options, problem):
    with pytest.raises(UsageError, match=problem):
        config_of(**{"image_size": 96, **options})


def test_weights_are_clipped_before_their_first_gradient():
    """Else RMSprop divides by that of far larger weights for hundreds of steps."""
    trainer = trainer_of(loss="wgan", clip=0.01, ngf=8, ndf=8)
    for _ in range(5):
        trainer.train_batch()
    ratios = [
        one.grad.abs().mean() / trainer.optimizers["optd"].state[one]["square_avg"].sqrt().mean()
        for one in trainer.netd.parameters()
        if one.dim() == 4
    ]
    assert min(ratios) > 0.5


def test_a_penalty_chooses_a_net_without_batch_norm():
    assert spec_of(config_of(r1=1)).d_norm == "none"
    assert spec_of(config_of()).d_norm is None


AIDS = {"ema": 100, "augment": "auto", "r1": 0.5, "penalty_every": 2,
        "flip": True, "loss": "ra-hinge", "optimizer": "rmsprop", "clip": 0.5}  # fmt: skip


def test_aids_resume_to_the_same_bits():
    straight, stopped = (trainer_of(objective="ra-hinge", **AIDS) for _ in range(2))
    for _ in range(5):
        straight.train_batch()
        stopped.train_batch()
    fresh = trainer_of(objective="ra-hinge", **AIDS)
    fresh.load_state_dict(stopped.state_dict())
    for _ in range(6):
        straight.train_batch()
        fresh.train_batch()
    for one, two in (
        (straight.netd, fresh.netd),
        (straight.weights()["netg"], fresh.weights()["netg"]),
    ):
        assert same_weights(weights_of(one), weights_of(two))
    assert straight.view.state_dict()["p"] == fresh.view.state_dict()["p"]
    assert not same_weights(weights_of(straight.netg), weights_of(straight.weights()["netg"]))


def test_aids_may_be_new_to_a_state():
    old = trainer_of(d_norm="none")
    old.train_batch()
    fresh = trainer_of(objective="ra-hinge", **AIDS)
    fresh.load_state_dict(old.state_dict())
    assert same_weights(weights_of(fresh.weights()["netg"]), weights_of(old.netg))
    fresh.train_batch()
    assert not same_weights(weights_of(fresh.netd), weights_of(old.netd))


def test_the_probability_follows_every_fourth_update_of_netd():
    trainer = trainer_of(augment="auto", d_every=2)
    moved = []
    for _ in range(24):
        before = trainer.view.state_dict()["signs"].clone()
        trainer.train_batch()
        if before[1] > trainer.view.state_dict()["signs"][1]:
            moved.append(trainer.step)
    assert moved == [8, 16, 24]


def test_clipping_bounds_the_weights():
    trainer = trainer_of(clip=0.01)
    trainer.step_d(0)
    assert max(one.abs().max() for one in trainer.netd.parameters()) <= 0.01


def test_lazy_penalties_come_every_so_many_updates():
    trainer = trainer_of(r1=1, penalty_every=3)
    seen = []
    for step in range(6):
        trainer.step_d(step)
        means, _ = trainer.meters.read()
        seen.append("penalty" in means)
    assert seen == [False, False, True, False, False, True]


def test_loss_brings_its_published_options_below_ones_own():
    config = config_of(loss="wgan-gp")
    assert (config.lr1, config.beta1, config.beta2, config.g_every, config.gp) == (
        1e-4,
        0,
        0.9,
        5,
        10,
    )
    assert config_of(loss="wgan-gp", lr1=3e-4).lr1 == 3e-4
    best = config_of(d_features="lite0", image_size=96)
    assert (best.net, best.g_convs) == ("fastgan", 2)
    assert config_of(d_features="lite0", net="resnet", image_size=96).g_convs is None
