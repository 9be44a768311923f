"""The time model's arithmetic; nothing is timed."""

import pytest
import torch

from animegan import models
from animegan.config.derived import spec_of
from animegan.runtime.device import Runtime
from benchmarks.harness.training import config_of
from benchmarks.speed import scale
from tests.support.processes import together

SMALL = {"preset": "scratch", "image_size": 16, "ngf": 4, "ndf": 4, "nz": 5, "batch_size": 4}


def test_an_exchange_costs_its_latency_and_its_share_of_the_ring():
    link = scale.Link(latency=0.5, bandwidth=100.0)
    assert link.time([100], 2) == pytest.approx(0.5 + 1)
    assert link.time([100, 300], 4) == pytest.approx(2 * 0.5 + 1.5 * 400 / 100)


def test_operations_are_those_of_a_hand_count():
    """A picture: netg forward and backward; netd on reals and fakes, and on the fakes for netg."""
    config = config_of({**SMALL, "net": "mlp"})
    netg, netd = models.build_netg(spec_of(config)), models.build_netd(spec_of(config))

    def pass_of(net, first):
        """Multiply-adds times two, forward; and of the first layer, whose input may need none."""
        layers = [one for one in net.modules() if isinstance(one, torch.nn.Linear)]
        costs = [2 * one.in_features * one.out_features for one in layers]
        return sum(costs), costs[0]

    (g, g_first), (d, d_first) = pass_of(netg, True), pass_of(netd, True)
    expected = 3 * g - g_first  # noise takes no gradient
    expected += 2 * (3 * d - d_first)  # pictures take none in netd's update
    expected += 2 * d  # netg's update: netd's weights take none, pictures do
    assert scale.operations({**SMALL, "net": "mlp"}) == pytest.approx(expected)


def work(on, folder):
    trainer = scale.trainer_on(on, {**SMALL, "ngf": 4})
    with scale.counted() as exchanges:
        trainer.train_batch()
    return exchanges


def test_the_exchanges_of_a_large_run_are_those_of_a_real_step(tmp_path):
    measured = sorted(together(work, tmp_path)[0])
    config = config_of(SMALL)
    assert sorted(scale.exchanges_of(config)) == pytest.approx(measured, abs=16)
    lines = list(scale.large_rows(SMALL, 1000, 2, 1e9, scale.Link(1e-4, 1e9)))
    assert any(line.startswith("| 2 |") for line in lines)


def test_a_trainer_apart_takes_its_share_of_the_batch():
    trainer = scale.trainer_on(Runtime(torch.device("cpu")), SMALL, apart=True)
    trainer.train_batch()
    assert trainer.config.batch_size == 4
