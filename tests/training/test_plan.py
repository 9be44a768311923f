import re

import pytest
import torch

from animegan import models
from animegan.losses.objectives import OBJECTIVES
from animegan.models import Spec
from animegan.runtime import seeds
from animegan.training import plan
from tests.support.tiny import config_of

CPU = torch.device("cpu")


def describe(pictures=24, sources=None, **options):
    config = config_of(**options)
    return plan.describe(config, sources or {}, pictures, CPU, "checkpoints/my run")


def value_of(text, label):
    return re.search(rf"^  {label}  +(.*)$", text, re.MULTILINE)[1]


def test_every_option_is_shown_with_its_source():
    text = describe(sources={"batch_size": "flag", "lr1": "preset book"}, batch_size=6, lr1=1e-3)
    assert value_of(text, "batch_size").split() == ["6", "flag"]
    assert value_of(text, "lr1").split() == ["0.001", "preset", "book"]
    assert value_of(describe(), "lr1").split() == ["0.0002", "default"]
    assert text.index("plan:") < text.index("options:")


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"max_epoch": 3}, "6 per epoch, 18 in total"),
        ({"max_epoch": 3, "max_steps": 10}, "6 per epoch, 10 in total"),
        ({"max_epoch": 1, "max_steps": 10}, "6 per epoch, 6 in total"),
        ({"max_epoch": 2, "batch_size": 7}, "3 per epoch, 6 in total"),  # the rest is dropped
    ],
)
def test_steps_are_counted(options, steps):
    assert value_of(describe(**options), "steps") == steps


def test_what_will_be_done_is_told():
    text = describe(pictures=20000, channels=1)
    assert value_of(text, "pictures").startswith("20,000")
    assert "16x16" in text
    assert "grey" in text
    spec = Spec(16, 1, 5, 2, 2)
    assert value_of(text, "netg") == f"{models.parameters_of(models.build_netg(spec)):,} parameters"
    assert value_of(text, "netd") == f"{models.parameters_of(models.build_netd(spec)):,} parameters"
    assert value_of(text, "device").startswith("cpu, ")
    assert value_of(text, "run folder") == "checkpoints/my run"


def test_describing_draws_no_random_number():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    describe()
    assert torch.equal(torch.get_rng_state(), before)


def test_memory_grows_with_the_batch_but_for_the_weights():
    spec = Spec(16, 3, 5, 8, 8)
    one, two, three = (plan.estimate_memory(spec, batch) for batch in (4, 8, 12))
    assert two - one == three - two > 0
    weights = sum(
        models.parameters_of(build(spec)) for build in (models.build_netg, models.build_netd)
    )
    assert one - (two - one) == 16 * weights  # itself, its gradient, two moments: 4 bytes each
    average = plan.estimate_memory(spec, 4, averaged=True) - one
    assert average == 4 * models.parameters_of(models.build_netg(spec))


def test_pieces_of_a_batch_take_less():
    sizes = {"batch_size": 256, "image_size": 64, "ngf": 32, "ndf": 32}
    shown = [value_of(describe(**sizes, accumulate=pieces), "memory") for pieces in (1, 4)]
    for text, batch, keeps in zip(shown, (256, 64), (True, False), strict=True):
        memory = plan.estimate_memory(Spec(64, 3, 5, 32, 32), batch, keeps=keeps)
        assert text.startswith(f"about {memory / 2**30:.2f} GiB")
    assert shown[0] != shown[1]


def test_the_estimate_is_of_the_right_size():
    """Against the bytes that torch's autograd keeps for the backward passes of a step."""
    spec, batch = Spec(32, 3, 8, 16, 16), 8
    seeds.seed_everything(0)
    netg, netd = models.build_netg(spec), models.build_netd(spec)
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    loss = OBJECTIVES["bce"].loss_g
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        fakes = netg(torch.randn(batch, 8, 1, 1))
        loss(netd(fakes), None)
    weights = 4 * sum(one.numel() for net in (netg, netd) for one in net.parameters())
    measured = sum(kept.values()) + 3 * weights  # kept holds the weights themselves
    assert measured / 2 < plan.estimate_memory(spec, batch) < 2 * measured


def test_the_estimate_of_the_defaults_is_plausible():
    assert 0.2 < plan.estimate_memory(Spec(), 64) / 2**30 < 2


def test_schedules_are_told_where_something_moves():
    text = describe(pictures=20000, schedule="lr=0.25,beta2=0.9,until=0.5", max_epoch=2)
    assert value_of(text, "schedule") == (
        "lr1 0.0002 -> 5e-05, lr2 0.0002 -> 5e-05, beta2 0.999 -> 0.9, until step 5,000"
    )
    assert value_of(describe(), "schedule").split() == ["none", "default"]  # of the options
