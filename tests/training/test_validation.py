"""Each alarm is provoked, and a run with rollbacks resumes to the same bits."""

from typing import Any, cast

import pytest
import torch

from animegan.config.derived import spec_of
from animegan.core.signals import Stop
from animegan.monitor.base import NullMonitor
from animegan.runs.folder import Run
from animegan.training.loop import Loop
from animegan.training.outputs import Outputs
from animegan.training.state import States
from animegan.training.step.gan_trainer import GanTrainer
from animegan.training.validation import Validation, interval, spread_of
from tests.support.ranks_worker import together
from tests.support.said import heard
from tests.support.tiny import config_of, same_weights, trainer_of, weights_of


class Scripted:
    """An evaluator that says what it is told, by the number of times it is asked."""

    n = 4

    def __init__(self, kids):
        self.kids = kids

    def score(self, draw):
        draw(0, self.n)
        return {"kid": self.kids.pop(0), "fd": 1.0}


class ByWeights:
    """KID from the weights alone, as a real evaluator's would be: low at first, then high."""

    n = 4

    def __init__(self, trainer):
        self.trainer = trainer

    def score(self, draw):
        return {"kid": 1.0 if self.trainer.step <= 4 else 5.0, "fd": 1.0}


class Acting:
    """Stands in for a trainer: what the validation sees of it is set from outside."""

    def __init__(self, loss_d=1.0, grad_g=1.0, spread=50):
        self.step, self.loss_d, self.grad_g, self.spread = 0, loss_d, grad_g, spread

    def measured_images(self, count):
        def draw(start, count):
            images = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
            images[::2] = self.spread
            return images

        return draw

    def probed(self):
        return {"probe_loss_d": self.loss_d, "probe_grad_g": self.grad_g}


def alarms(kids, act, **options):
    """What is told at each of the evaluations, `act(k, trainer)` before the k-th."""
    trainer, validation = Acting(), Validation(config_of(**options), Scripted(list(kids)), every=1)
    told = []
    for k in range(len(kids)):
        trainer.step += 1
        act(k, trainer)
        told.append(validation.evaluate(cast(Any, trainer), trainer.probed()))
    return told


def test_the_discriminator_winning_is_told_once():
    told = alarms([1.0] * 9, lambda k, t: setattr(t, "loss_d", 1.0 if k < 2 else 0.01))
    lines = [line for verdict in told for line in verdict.alarms]
    assert len(lines) == 1
    assert "discriminator is winning" in lines[0]
    assert "--lr2" in lines[0]
    assert [verdict.collapsed for verdict in told] == [False] * 6 + [True] * 3


def test_dying_gradients_are_told():
    told = alarms([1.0] * 8, lambda k, t: setattr(t, "grad_g", 1.0 if k < 2 else 0.001))
    assert "gradients are vanishing" in told[6].alarms[0]


def test_pictures_growing_alike_are_told():
    told = alarms([1.0] * 8, lambda k, t: setattr(t, "spread", 50 if k < 2 else 5))
    assert "mode collapse" in told[6].alarms[0]


def test_kid_turning_upward_for_long_is_told():
    told = alarms([3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0], lambda k, t: None)
    (line,) = told[6].alarms
    assert line.startswith("KID x 1000 is rising: 2000, best was 1000 at step 2")
    assert not any(verdict.alarms for verdict in told[:6])


@pytest.mark.parametrize("kids", [[1.0] * 12, list(range(12, 0, -1)), [1.0, 2.0] * 6])
def test_a_sound_run_is_not_alarmed(kids):
    assert not any(verdict.collapsed for verdict in alarms(kids, lambda k, t: None))


def test_the_best_and_the_patience():
    told = alarms([3.0, 2.0, 2.5, 1.0, 1.5, 1.2], lambda k, t: None, patience=2)
    assert [v.improved for v in told] == [True, True, False, True, False, False]
    assert [v.out_of_patience for v in told] == [False] * 5 + [True]


def test_measuring_costs_no_more_than_its_share():
    few = config_of(batch_size=10, eval_every=5)
    assert interval(few, 100) == 100  # 100 pictures are 10 steps, a tenth of 100
    assert interval(few, 20) == 20
    assert interval(config_of(batch_size=10, eval_every=500), 100) == 500


def test_spread_is_the_deviation_over_pictures():
    assert spread_of(torch.tensor([0, 2], dtype=torch.uint8).view(2, 1, 1, 1)) == pytest.approx(
        2**0.5
    )


def test_an_evaluation_leaves_the_trainer_as_it_was():
    watched, alone = trainer_of(), trainer_of()
    validation = Validation(watched.config, Scripted([1.0] * 9), every=1)
    for _ in range(4):
        watched.train_batch()
        validation.evaluate(watched, watched.probe())
        alone.train_batch()
    for one, two in ((watched.netg, alone.netg), (watched.netd, alone.netd)):
        assert same_weights(weights_of(one), weights_of(two))


@pytest.mark.parametrize("loss", ["bce", "hinge"])
def test_a_batch_in_pieces_is_probed_in_pieces(loss):
    """What is found is the same, and no more of it is at once in netd than in training."""
    whole, cut = (trainer_of(loss=loss, accumulate=n) for n in (1, 2))
    seen = []
    cut.netd.register_forward_pre_hook(lambda net, given: seen.append(len(given[0])))
    one, two = whole.probe(), cut.probe()
    assert seen == [2, 2, 2, 2]  # of batches of 4
    assert one["probe_loss_d"] == pytest.approx(two["probe_loss_d"], rel=1e-5)
    assert one["probe_grad_g"] == pytest.approx(two["probe_grad_g"], rel=1e-5)


# --- through the loop


def loop_of(folder, steps, **options):
    given = {"max_steps": steps, "eval_every": 1, "eval_num": 10, "keep": 9}
    trainer: GanTrainer = trainer_of(**(given | options))
    run = Run(folder)
    validation = Validation(trainer.config, ByWeights(trainer), every=1)
    said = heard()
    spec = spec_of(trainer.config)
    outputs = Outputs(trainer.config, trainer, run, spec, {})
    return Loop(trainer.config, trainer, outputs, States(outputs, validation), NullMonitor()), said


def fit(loop):
    with Stop() as stop:
        return loop.fit(stop)


def test_rollback_returns_to_the_best_with_other_randomness_and_then_stops(tmp_path):
    loop, said = loop_of(tmp_path / "run", 50, on_collapse="rollback")
    assert not fit(loop)
    backs = [line for line in said if line.startswith("rolled back to step")]
    assert backs == [
        f"rolled back to step 1 with new random numbers, {k} of 3 times" for k in (1, 2, 3)
    ]  # fmt: skip
    assert "3 rollbacks did not help" in said[-1]
    assert loop.trainer.streams.seed != loop.config.seed
    assert (tmp_path / "run" / "netg_best.pth").exists()
    steps = [line["step"] for line in loop.run.history()]
    assert steps == sorted(steps)


def test_a_rollback_leaves_a_state_whenever_it_is_killed(tmp_path, monkeypatch):
    loop, _ = loop_of(tmp_path / "run", 50, on_collapse="rollback")
    left = []
    monkeypatch.setattr(Run, "forget_after", lambda run, step: left.append(run.state_files()))
    fit(loop)
    assert left
    assert all(states[-1].name == "state_00000001.pt" for states in left)


def test_a_run_with_rollbacks_resumes_to_the_same_bits(tmp_path):
    options = {"on_collapse": "rollback"}
    straight, _ = loop_of(tmp_path / "straight", 50, **options)
    fit(straight)
    for _ in range(90):
        loop, _ = loop_of(tmp_path / "stopped", 50, **options)
        states = loop.run.state_files()
        if states:
            loop.states.load(torch.load(states[0], weights_only=True))
            loop.run.forget_after(loop.trainer.step)
        loop.last_step = loop.trainer.step + 2
        fit(loop)
        if loop.validation.rollbacks == 3 and loop.trainer.step >= straight.trainer.step:
            break
    assert loop.validation.rollbacks == straight.validation.rollbacks == 3
    assert loop.trainer.step == straight.trainer.step
    assert same_weights(weights_of(loop.trainer.netg), weights_of(straight.trainer.netg))


def test_on_collapse_stop_and_tell(tmp_path):
    loop, said = loop_of(tmp_path / "stop", 50, on_collapse="stop")
    assert not fit(loop)
    assert "stopping; netg_best.pth is from step 1" in said[-1]
    loop, said = loop_of(tmp_path / "tell", 20)
    assert fit(loop)
    assert sum("is rising" in line for line in said) == 1


# --- over two processes


def over_two(runtime, folder):
    trainer = trainer_of(runtime=runtime, max_steps=50, on_collapse="rollback", keep=9)
    main = runtime.group.is_main
    validation = Validation(trainer.config, ByWeights(trainer) if main else None, every=1)
    said, spec = heard(), spec_of(trainer.config)
    outputs = Outputs(trainer.config, trainer, Run(folder / "run"), spec, {})
    loop = Loop(trainer.config, trainer, outputs, States(outputs, validation), NullMonitor())
    probes = {loss: trainer_of(runtime=runtime, loss=loss).probe() for loss in ("bce", "ra-hinge")}
    done = fit(loop)
    return {
        "done": done, "said": said if main else [], "step": trainer.step,
        "seed": trainer.streams.seed,
        "probes": probes,
        "rollbacks": validation.rollbacks, "weights": weights_of(trainer.netg),
    }  # fmt: skip


def test_two_processes_roll_back_together_as_one_does(tmp_path):
    alone, _ = loop_of(tmp_path / "alone", 50, on_collapse="rollback")
    fit(alone)
    one, other = together(over_two, tmp_path)
    assert same_weights(one["weights"], other["weights"])
    for found in (one, other):
        assert not found["done"]
        assert found["step"] == alone.trainer.step
        assert found["seed"] == alone.trainer.streams.seed
        assert found["rollbacks"] == 3
        for loss, probed in found["probes"].items():
            whole = trainer_of(loss=loss).probe()
            assert probed == pytest.approx(whole, rel=1e-4)
    assert sum(line.startswith("rolled back to step 1") for line in one["said"]) == 3
    steps = [line["step"] for line in Run(tmp_path / "run").history()]
    assert steps == [line["step"] for line in alone.run.history()]
