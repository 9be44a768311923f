"""Schedules: their values worked out by hand, what the optimizers get, and that they resume."""

import pytest

from animegan.config.derived import planned_steps
from animegan.config.values import Ends, parse_schedule
from animegan.training.step.schedule import Schedule
from tests.support.tiny import config_of, same_weights, trainer_of, weights_of

R3GAN = {"loss": "r3gan", "net": "r3gan", "ngf": 8, "ndf": 8}
MOVING = {"schedule": "lr=0.25,beta2=0.99,penalty=0.1,until=0.5", "beta2": 0.9, "d_norm": "none",
          "r1": 2, "max_steps": 16}  # fmt: skip


def test_values_follow_a_cosine_to_the_end_of_the_burn_in_and_stay():
    schedule = Schedule(config_of(**MOVING), 16)
    assert [schedule.rate(2e-4, step) for step in (0, 8, 15)] == pytest.approx([2e-4, 5e-5, 5e-5])
    assert schedule.rate(2e-4, 4) == pytest.approx((2e-4 + 5e-5) / 2)
    assert schedule.remaining(2) == pytest.approx(0.8535534)  # (1 + cos(pi / 4)) / 2
    assert [schedule.beta2(step) for step in (0, 4, 8)] == pytest.approx([0.9, 0.945, 0.99])
    assert [schedule.penalty(step) for step in (0, 4, 100)] == pytest.approx([1, 0.55, 0.1])


def test_nothing_moves_unless_it_has_an_end():
    config = config_of()
    schedule = Schedule(config, 10)
    assert {schedule.rate(config.lr1, step) for step in range(20)} == {config.lr1}
    assert {schedule.beta2(step) for step in range(20)} == {config.beta2}
    assert {schedule.penalty(step) for step in range(20)} == {1.0}


def test_the_plan_is_the_epochs_or_the_steps_whichever_ends_first():
    assert planned_steps(config_of(max_epoch=3), 7) == 21
    assert planned_steps(config_of(max_epoch=3, max_steps=5), 7) == 5
    assert planned_steps(config_of(max_epoch=3, max_steps=50), 7) == 21


def test_both_optimizers_get_the_values_of_the_step():
    trainer = trainer_of(lr1=1e-3, lr2=2e-3, **MOVING)
    for step in range(10):
        trainer.train_batch()
        for optimizer, lr in (
            (trainer.optimizers["optg"], 1e-3),
            (trainer.optimizers["optd"], 2e-3),
        ):
            group = optimizer.param_groups[0]
            assert group["lr"] == trainer.schedule.rate(lr, step)
            assert group["betas"] == (0.5, trainer.schedule.beta2(step))


def test_a_rate_that_falls_to_nothing_leaves_the_weights():
    trainer = trainer_of(schedule="lr=0,until=0.5", max_steps=4)
    for _ in range(2):
        trainer.train_batch()
    before = weights_of(trainer.netg)
    trainer.train_batch()
    after = weights_of(trainer.netg)
    names = [name for name, _ in trainer.netg.named_parameters()]
    assert all(before[name].equal(after[name]) for name in names)


def test_penalties_are_weighted_as_they_fall():
    first, last = (
        trainer_of(schedule="penalty=0.25", r1=1, max_steps=4, d_norm="none") for _ in "ab"
    )
    last.schedule.planned = 1  # over by step 1
    for trainer in (first, last):
        trainer.step_d(0)
    assert same_weights(weights_of(first.netd), weights_of(last.netd))
    first.step_d(1), last.step_d(1)
    assert not same_weights(weights_of(first.netd), weights_of(last.netd))


def test_a_run_resumes_to_the_same_bits_and_keeps_its_plan_when_prolonged():
    straight, stopped = (trainer_of(objective="r3gan", max_steps=8, **R3GAN) for _ in range(2))
    for _ in range(3):
        straight.train_batch()
        stopped.train_batch()
    fresh = trainer_of(objective="r3gan", max_steps=80, **R3GAN)
    fresh.load_state_dict(stopped.state_dict())
    for _ in range(4):
        straight.train_batch()
        fresh.train_batch()
    assert fresh.schedule.planned == 8
    assert fresh.optimizers["optd"].param_groups[0]["lr"] == pytest.approx(5e-5)
    assert same_weights(weights_of(straight.netd), weights_of(fresh.netd))
    assert same_weights(weights_of(straight.weights()["netg"]), weights_of(fresh.weights()["netg"]))


def test_r3gan_brings_its_schedules():
    config = config_of(**R3GAN)
    assert config.beta2 == 0.9
    assert parse_schedule(config.schedule) == Ends(0.25, 0.99, 0.1, 0.5)
    assert config_of(**R3GAN, schedule="none").schedule == "none"
