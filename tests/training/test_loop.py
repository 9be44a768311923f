import builtins
import dataclasses
import io
import json
import math
import pdb
import shutil
import sys

import pytest
import torch
from PIL import Image
from torch import nn

from animegan.config.derived import spec_of
from animegan.core import images
from animegan.core.errors import TrainingStopped, UsageError
from animegan.runs import checkpoint, samples
from animegan.runs.folder import Run
from animegan.training import loop
from animegan.training.loop import Loop
from animegan.training.outputs import Outputs
from animegan.training.state import States
from tests.support.said import heard
from tests.support.tiny import same_weights, trainer_of, weights_of

EPOCH = 6  # batches: 24 pictures in batches of 4


class Watching:
    """A monitor that remembers what it was shown."""

    def __init__(self):
        self.shown = []

    def scalars(self, step, values):
        self.shown.append((step, dict(values)))

    def images(self, name, step, pixels):
        self.shown.append((step, name, pixels))

    def text(self, name, content):
        pass

    def close(self):
        pass


class Asked:
    """In the place of signals.Stop: asks once the trainer has come to a step."""

    def __init__(self, trainer=None, at=math.inf):
        self.trainer, self.at = trainer, at

    @property
    def asked(self):
        return int(self.trainer is not None and self.trainer.step >= self.at)


class Clock:
    """A minute goes by with every batch."""

    def __init__(self, trainer):
        self.now = 1000.0
        plain = trainer.train_batch

        def slow():
            plain()
            self.now += 60

        trainer.train_batch = slow

    def monotonic(self):
        return self.now


def loop_of(folder, trainer=None, finish=False, **options):
    """A loop in folder/run; what it says is in `loop.said`."""
    options = {"debug_file": folder / "debug", "max_epoch": 2} | options
    trainer = trainer or trainer_of(**options)
    config, said = trainer.config, heard()
    run = Run(folder / "run")
    run.path.mkdir(parents=True, exist_ok=True)  # as its lock does
    options = dataclasses.asdict(config)
    outputs = Outputs(config, trainer, run, spec_of(config), options)
    one = Loop(config, trainer, outputs, States(outputs), Watching())
    one.said = said
    if not finish:
        outputs.finish = lambda: None  # matplotlib is slow
    return one


def resumed(folder, **options):
    """The loop of a later call, as `train --resume` makes it."""
    one = loop_of(folder, **options)
    one.states.load(checkpoint.load_first(one.run.state_files(), "--resume"))
    one.run.forget_after(one.trainer.step)
    samples.forget_after(one.outputs.samples, one.trainer.step)
    return one


def steps_of(paths):
    return sorted(int(path.stem.rpartition("_")[2].lstrip("s")) for path in paths)


def poison(trainer, step):
    real = trainer.batches.images
    trainer.batches.images = lambda at: real(at) * (math.nan if at == step else 1)


# --- what is recorded and shown


def test_every_look_is_recorded_and_shown(tmp_path):
    one = loop_of(tmp_path, max_steps=10, plot_every=4)
    assert one.fit(Asked()) is True
    records = list(one.run.history())
    assert [record["step"] for record in records] == [4, 8, 10]  # the last is of the two left over
    assert [record["epoch"] for record in records] == pytest.approx(
        [4 / 6, 8 / 6, 10 / 6], abs=1e-3
    )
    for record in records:
        assert {"loss_d", "loss_g", "d_x", "d_g_z", "images_per_second", "seconds"} <= set(record)
    scalars = [shown for shown in one.monitor.shown if len(shown) == 2]
    assert [step for step, _ in scalars] == [4, 8, 10]
    for (_, values), record in zip(scalars, records, strict=True):
        assert values.items() <= record.items()
    assert [shown[:2] for shown in one.monitor.shown if len(shown) > 2] == [
        (step, name) for step in (4, 8, 10) for name in ("fake", "real")
    ]


def test_sheets_for_the_monitor_are_bytes_on_the_cpu(tmp_path):
    one = loop_of(tmp_path, max_steps=1, plot_every=1)
    one.fit(Asked())
    fake, real = (shown[2] for shown in one.monitor.shown if len(shown) > 2)
    assert {(sheet.dtype, sheet.device.type) for sheet in (fake, real)} == {(torch.uint8, "cpu")}
    assert fake.shape == (3, 8 * 18 + 2, 8 * 18 + 2)
    assert torch.equal(fake, one.outputs.draw_grid())
    batch = one.trainer.batches.images(0)  # the batch just trained on
    assert torch.equal(real, images.grid(images.to_uint8(batch)))


def test_the_record_holds_the_means_since_the_last_look(tmp_path):
    one, twin = loop_of(tmp_path, max_steps=6, plot_every=3), trainer_of()
    one.fit(Asked())
    losses = []
    for _ in range(6):
        twin.train_batch()
        losses.append(twin.meters.read()[0]["loss_d"])
    recorded = [record["loss_d"] for record in one.run.history()]
    assert recorded == pytest.approx([sum(losses[:3]) / 3, sum(losses[3:]) / 3], rel=1e-5)


def test_time_and_speed(tmp_path, monkeypatch):
    one = loop_of(tmp_path, max_steps=4, plot_every=2)
    monkeypatch.setattr(loop, "time", Clock(one.trainer))
    one.fit(Asked())
    assert [(line["seconds"], line["images_per_second"]) for line in one.run.history()] == [
        (120, round(8 / 120, 2)), (240, round(8 / 120, 2))
    ]  # fmt: skip


def test_looking_saving_and_drawing_change_no_weight(tmp_path, monkeypatch):
    busy = loop_of(tmp_path / "busy", plot_every=1, save_every=1, state_every_minutes=0.5)
    monkeypatch.setattr(loop, "time", Clock(busy.trainer))
    busy.fit(Asked())
    still = loop_of(tmp_path / "still", plot_every=1000, save_every=1000, state_every_minutes=1e6)
    still.fit(Asked())
    assert busy.trainer.step == still.trainer.step == 2 * EPOCH
    assert same_weights(weights_of(busy.trainer.netg), weights_of(still.trainer.netg))
    assert same_weights(weights_of(busy.trainer.netd), weights_of(still.trainer.netd))


# --- what is kept


def test_grids_and_weights_come_after_their_epochs(tmp_path):
    one = loop_of(tmp_path, max_epoch=11, save_every=5, finish=True)
    one.fit(Asked())
    grids = [(sheet.epoch, sheet.step) for sheet in samples.sheets(one.run.path / "samples")]
    assert grids == [(epoch, epoch * EPOCH) for epoch in (1, 5, 10, 11)]  # 1 and 10 for the strip
    names = {path.name for path in one.run.path.glob("*.pth")}
    assert names == {f"net{kind}_{tag}.pth" for kind in "gd" for tag in ("5", "10", "last")}


def test_weight_files_describe_themselves(tmp_path):
    one = loop_of(tmp_path, max_epoch=1, save_every=1)
    one.fit(Asked())
    kinds: tuple[checkpoint.Kind, ...] = ("netg", "netd")
    for kind, net in zip(kinds, (one.trainer.netg, one.trainer.netd), strict=True):
        for tag in ("1", "last"):
            loaded = checkpoint.load_net(one.run.path / f"{kind}_{tag}.pth", kind)
            assert loaded.spec == one.outputs.spec
            assert (loaded.about["step"], loaded.about["epoch"]) == (EPOCH, 1)
            assert loaded.about["options"]["nz"] == 5
            assert same_weights(weights_of(loaded.net), weights_of(net))


def test_grids_show_the_same_noises(tmp_path):
    one = loop_of(tmp_path, max_steps=1)
    first = one.outputs.draw_grid()
    again = loop_of(tmp_path, max_steps=1)
    again.trainer.netg.load_state_dict(one.trainer.netg.state_dict())
    torch.randn(5)
    assert torch.equal(first, again.outputs.draw_grid())
    one.trainer.train_batch()
    assert not torch.equal(first, one.outputs.draw_grid())


def test_save_path_moves_the_grids_alone(tmp_path):
    elsewhere = tmp_path / "some where" / "else"
    one = loop_of(tmp_path, max_epoch=1, save_path=elsewhere, finish=True)
    one.fit(Asked())
    assert [sheet.step for sheet in samples.sheets(elsewhere / "run")] == [EPOCH]
    assert not (one.run.path / "samples").exists()
    assert (one.run.path / "strip.png").exists()


def test_a_save_path_that_cannot_be_written_is_told_first(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"--save-path .*file.run: cannot be written"):
        loop_of(tmp_path, save_path=tmp_path / "file")
    (tmp_path / "run" / "samples").write_bytes(b"")
    with pytest.raises(UsageError, match=r"--runs-path .*samples: cannot be written"):
        loop_of(tmp_path)


def test_at_the_end_there_are_curves_strip_and_timelapse(tmp_path):
    one = loop_of(tmp_path, max_epoch=2, plot_every=2, save_every=1, finish=True)
    one.fit(Asked())
    for name in ("curves.png", "strip.png", "timelapse.webp"):
        with Image.open(one.run.path / name) as picture:
            picture.load()
    left = {path.name for path in one.run.path.rglob("*") if path.name.startswith(".")}
    assert left == set()


def test_states_and_grids_come_by_the_clock_and_old_states_go(tmp_path, monkeypatch):
    one = loop_of(tmp_path, max_steps=11, state_every_minutes=2.5, keep=2)
    monkeypatch.setattr(loop, "time", Clock(one.trainer))
    one.fit(Asked())
    assert steps_of(one.run.state_files()) == [9, 11]  # of 3, 6, 9 and the end
    assert [sheet.step for sheet in samples.sheets(one.outputs.samples)] == [3, 6, 9]
    assert checkpoint.load_net(one.run.path / "netg_last.pth", "netg").about["step"] == 11


def test_the_weights_beside_a_state_are_no_older_than_it(tmp_path, monkeypatch):
    one = loop_of(tmp_path, max_steps=3)

    def fails(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_net", fails)
    with pytest.raises(OSError, match="No space"):
        one.fit(Asked())
    assert one.run.state_files() == []


# --- when it ends


@pytest.mark.parametrize(
    ("options", "steps", "whole"),
    [
        ({"max_epoch": 2}, 12, True),
        ({"max_epoch": 2, "max_steps": 7}, 7, True),
        ({"max_epoch": 1, "max_steps": 7}, 6, True),
        ({"max_epoch": 2, "max_minutes": 4.5}, 5, False),
    ],
)
def test_limits(tmp_path, monkeypatch, options, steps, whole):
    one = loop_of(tmp_path, state_every_minutes=1e6, **options)
    monkeypatch.setattr(loop, "time", Clock(one.trainer))
    assert one.fit(Asked()) is whole
    assert one.trainer.step == steps
    assert steps_of(one.run.state_files()) == [steps]
    assert any("--max-minutes 4.5: time is up" in line for line in one.said) is not whole


def test_minutes_are_those_of_the_call(tmp_path, monkeypatch):
    one = loop_of(tmp_path, max_minutes=2.5)
    monkeypatch.setattr(loop, "time", Clock(one.trainer))
    one.fit(Asked())
    later = resumed(tmp_path, max_minutes=2.5)
    monkeypatch.setattr(loop, "time", Clock(later.trainer))
    later.fit(Asked())
    assert (one.trainer.step, later.trainer.step) == (3, 6)
    assert later.states.seconds == 6 * 60  # of all calls


def test_a_signal_ends_it_after_the_batch_and_saves(tmp_path):
    one = loop_of(tmp_path)
    assert one.fit(Asked(one.trainer, 4)) is False
    assert steps_of(one.run.state_files()) == [4]
    assert checkpoint.load_net(one.run.path / "netd_last.pth", "netd").about["step"] == 4
    assert [line["step"] for line in one.run.history()] == [4]


def test_a_signal_before_the_first_batch_saves_the_start(tmp_path):
    one = loop_of(tmp_path, finish=True)
    one.fit(Asked(one.trainer, 0))
    assert steps_of(one.run.state_files()) == [0]
    assert list(one.run.history()) == []


def test_nothing_left_to_do_is_said_and_leaves_the_record_alone(tmp_path, monkeypatch):
    one = loop_of(tmp_path, max_epoch=1)
    one.fit(Asked())
    before = one.run.metrics.read_text()
    again = resumed(tmp_path, max_epoch=1)
    monkeypatch.setattr(checkpoint, "save", None)  # the state is there: nothing is to be saved
    assert again.fit(Asked()) is True
    assert any("of --max-epoch=1 are already done" in line for line in again.said)
    assert again.run.metrics.read_text() == before


@pytest.mark.parametrize(("there", "terminal"), [(True, True), (False, True), (True, False)])
def test_the_debug_file_calls_the_debugger_on_a_terminal(tmp_path, monkeypatch, there, terminal):
    calls = []
    monkeypatch.setattr(builtins, "breakpoint", lambda: calls.append(1))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal, raising=False)
    one = loop_of(tmp_path, max_steps=4, plot_every=2)
    if there:
        (tmp_path / "debug").write_bytes(b"")
    one.fit(Asked())
    assert len(calls) == (2 if there and terminal else 0)


def test_leaving_the_debugger_is_not_leaving_the_training(tmp_path, monkeypatch):
    def leave_it():
        debugger = pdb.Pdb(stdin=io.StringIO("q\n"), stdout=io.StringIO())
        debugger.set_trace(sys._getframe().f_back)

    monkeypatch.setattr(builtins, "breakpoint", leave_it)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    one = loop_of(tmp_path, max_steps=3, plot_every=1)
    (tmp_path / "debug").touch()
    assert one.fit(Asked()) is True
    assert one.trainer.step == 3


# --- losses that are not finite


def test_a_loss_that_is_not_finite_stops_it_at_the_next_look(tmp_path):
    one = loop_of(tmp_path, plot_every=5)
    poison(one.trainer, 2)
    with pytest.raises(
        TrainingStopped, match=r"not finite at step 2;.*no state was saved"
    ) as caught:
        one.fit(Asked())
    assert "\n" not in str(caught.value)
    assert "--lr1=0.0001" in str(caught.value)
    assert one.trainer.step == 5
    assert list(one.run.history()) == []
    for net in (one.trainer.netg, one.trainer.netd):
        assert all(tensor.isfinite().all() for tensor in net.state_dict().values())


def test_the_last_good_state_is_named_and_goes_on(tmp_path, monkeypatch):
    one = loop_of(tmp_path, plot_every=10, state_every_minutes=3.5)
    monkeypatch.setattr(loop, "time", Clock(one.trainer))
    poison(one.trainer, 5)  # between the states of steps 4 and 8, before the first look
    with pytest.raises(TrainingStopped, match=r"at step 5;.*state_00000004.pt: resume") as caught:
        one.fit(Asked())
    assert f"--resume={one.run.path} --allow-changes" in str(caught.value)
    assert steps_of(one.run.state_files()) == [4]
    good = resumed(tmp_path)
    assert good.trainer.step == 4
    assert good.fit(Asked()) is True
    assert all(math.isfinite(line["loss_d"]) for line in good.run.history())


# --- going on


def optimizers_of(trainer):
    return [
        value
        for optimizer in (trainer.optimizers["optg"], trainer.optimizers["optd"])
        for one in optimizer.state_dict()["state"].values()
        for value in one.values()
    ]


def assert_same(one, other):
    assert one.step == other.step
    assert same_weights(weights_of(one.netg), weights_of(other.netg))
    assert same_weights(weights_of(one.netd), weights_of(other.netd))
    pairs = zip(optimizers_of(one), optimizers_of(other), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.mark.parametrize("options", [{}, {"d_every": 2, "g_every": 3}, {"accumulate": 2}])
def test_any_number_of_stops_gives_the_same_bits(tmp_path, options):
    options = {"max_epoch": 3, "plot_every": 4} | options
    straight = loop_of(tmp_path / "straight", **options)
    straight.fit(Asked())
    one = loop_of(tmp_path, **options)
    one.fit(Asked(one.trainer, 2))  # within the first epoch
    for stop in (2, 3, 6, 11, 13):  # at once, between looks, after an epoch, within others
        torch.manual_seed(stop)  # a new process knows nothing of the old one's randomness
        one = resumed(tmp_path, **options)
        one.fit(Asked(one.trainer, stop))
        assert one.trainer.step == stop
    one = resumed(tmp_path, **options)
    assert one.fit(Asked()) is True
    assert_same(one.trainer, straight.trainer)
    for kind in ("netg", "netd"):
        mine, theirs = (
            checkpoint.load_net(each.run.path / f"{kind}_last.pth", kind).net
            for each in (one, straight)
        )
        assert same_weights(weights_of(mine), weights_of(theirs))


class Noisy(nn.Module):
    """A net that draws from torch's own generator while it trains."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, inputs):
        return self.net(inputs + 0.1 * torch.randn_like(inputs) if self.training else inputs)


def noisy_trainer(**options):
    plain = trainer_of(**options)
    return trainer_of(netg=plain.netg, netd=Noisy(plain.netd), **options)


def test_torchs_own_randomness_goes_on_as_well(tmp_path):
    straight = loop_of(tmp_path / "straight", noisy_trainer(max_epoch=2))
    straight.outputs.save_nets = lambda tag: None
    straight.fit(Asked())
    one = loop_of(tmp_path, noisy_trainer(max_epoch=2))
    one.outputs.save_nets = lambda tag: None
    one.fit(Asked(one.trainer, 5))
    torch.manual_seed(99)
    later = loop_of(tmp_path, noisy_trainer(max_epoch=2))
    later.outputs.save_nets = lambda tag: None
    later.states.load(checkpoint.load(one.run.state_files()[0], "--resume"))
    later.fit(Asked())
    assert_same(later.trainer, straight.trainer)


class Crash(BaseException):
    """The process is gone, whatever it was doing."""


def crash_at(monkeypatch, k):
    """The k-th write to the disk never happens."""
    writes = 0

    def dying(plain):
        def write(*args, **kwargs):
            nonlocal writes
            writes += 1
            if writes == k:
                raise Crash
            return plain(*args, **kwargs)

        return write

    for owner, name in (
        (checkpoint, "save"), (checkpoint, "prune"), (images, "save_picture"), (Run, "record"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    return lambda: writes


def test_a_crash_at_any_write_loses_nothing_that_was_saved(tmp_path, monkeypatch):
    options = {"max_steps": 7, "plot_every": 3, "save_every": 1, "state_every_minutes": 1.5}

    def fit(one):
        one.outputs.draw_grid = lambda: torch.zeros(3, 18, 18, dtype=torch.uint8)  # fast
        with monkeypatch.context() as patch:
            patch.setattr(loop, "time", Clock(one.trainer))
            one.fit(Asked())

    straight = loop_of(tmp_path / "straight", **options)
    with monkeypatch.context() as patch:
        count = crash_at(patch, 10**6)
        fit(straight)
    crashes = resumes = 0
    for k in range(1, count() + 1):
        folder = tmp_path / str(k)
        one = loop_of(folder, **options)
        with monkeypatch.context() as patch:
            crash_at(patch, k)
            with pytest.raises(Crash):
                fit(one)
        crashes += 1
        if not one.run.state_files():
            continue
        resumes += 1
        later = resumed(folder, **options)
        fit(later)
        assert_same(later.trainer, straight.trainer)
        steps = [line["step"] for line in later.run.history()]
        assert steps == sorted(set(steps))
        assert steps_of(later.run.state_files())[-1] == 7
        assert {path.name for path in later.run.path.glob("*.pth")} == {
            f"net{kind}_{tag}.pth" for kind in "gd" for tag in ("1", "last")
        }
    assert crashes > 20
    assert resumes > 10


def test_records_and_grids_beyond_the_state_are_drawn_again(tmp_path, monkeypatch):
    one = loop_of(tmp_path, plot_every=3, save_every=1, state_every_minutes=3.5)
    monkeypatch.setattr(loop, "time", Clock(one.trainer))
    save = one.states.save
    one.states.save = lambda: save() if one.trainer.step < 5 else None  # then killed
    one.fit(Asked())
    before = [(line["step"], line["loss_d"]) for line in one.run.history()]
    assert [step for step, _ in before] == [3, 6, 9, 12]
    later = resumed(tmp_path, plot_every=3)
    assert later.trainer.step == 4
    assert [line["step"] for line in later.run.history()] == [3]
    assert [sheet.step for sheet in samples.sheets(later.outputs.samples)] == [4]
    later.fit(Asked())  # the means of a look go across the state
    assert [(line["step"], line["loss_d"]) for line in later.run.history()] == before


def test_another_torch_or_thread_count_is_said(tmp_path):
    one = loop_of(tmp_path, max_steps=1)
    one.fit(Asked())
    state = checkpoint.load(one.run.state_files()[0], "--resume")
    for change in ({}, {"torch": "1.0"}, {"threads": 99}, {"device": "mps"}, {"pictures": 9},
                   {"picture files (names and sizes)": "x"}):  # fmt: skip
        other = loop_of(tmp_path)
        other.states.load(state | change)
        assert any("not be bitwise identical" in line for line in other.said) is bool(change)


def test_rates_asked_for_count_although_the_state_has_others(tmp_path):
    one = loop_of(tmp_path, max_steps=3)
    one.fit(Asked())
    later = resumed(tmp_path, lr1=1e-3, lr2=5e-4, beta1=0.25, beta2=0.75)
    trainer = later.trainer
    trainer.train_batch()
    for optimizer, lr in ((trainer.optimizers["optg"], 1e-3), (trainer.optimizers["optd"], 5e-4)):
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"]) == (lr, (0.25, 0.75))


def test_pieces_asked_for_count_too_unless_memory_wants_more(tmp_path):
    one = loop_of(tmp_path, max_steps=1, accumulate=2)
    one.fit(Asked())
    assert resumed(tmp_path, accumulate=4).trainer.pieces.count == 4
    assert resumed(tmp_path, accumulate=1).trainer.pieces.count == 2


@pytest.mark.parametrize("options", [{"ngf": 3}, {"net": "mlp"}, {"nz": 6}])
def test_networks_of_another_shape_are_told_in_a_line(tmp_path, options):
    one = loop_of(tmp_path, max_steps=1)
    one.fit(Asked())
    with pytest.raises(UsageError, match="--resume: the state does not fit") as caught:
        resumed(tmp_path, **options)
    assert "\n" not in str(caught.value)


def test_a_record_is_json_a_line(tmp_path):
    one = loop_of(tmp_path, max_steps=2, plot_every=1)
    one.fit(Asked())
    lines = one.run.metrics.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    for line in lines:
        json.loads(line, parse_constant=lambda name: pytest.fail(name))


def test_the_average_is_what_is_drawn_and_kept_and_goes_on_too(tmp_path):
    options = {"max_epoch": 2, "ema": 20, "save_every": 1}
    straight = loop_of(tmp_path / "straight", **options)
    straight.fit(Asked())
    one = loop_of(tmp_path, **options)
    one.fit(Asked(one.trainer, 5))
    later = resumed(tmp_path, **options)
    later.fit(Asked())
    assert_same(later.trainer, straight.trainer)
    average = weights_of(later.trainer.weights()["netg"])
    assert same_weights(average, weights_of(straight.trainer.weights()["netg"]))
    assert not same_weights(average, weights_of(later.trainer.netg))
    kept = checkpoint.load_net(later.run.path / "netg_last.pth", "netg").net
    assert same_weights(weights_of(kept), average)


# --- disks and folders that go away


def failing(error, times=10**9):
    """A function that raises the error, `times` times, and then does nothing."""
    left = [times]

    def write(*args, **kwargs):
        left[0] -= 1
        if left[0] >= 0:
            raise error

    return write


FULL = OSError(28, "No space left on device")


def test_what_is_only_for_looking_at_ends_no_training(tmp_path, monkeypatch):
    one = loop_of(tmp_path, finish=True, max_epoch=2, plot_every=2, save_every=1)
    monkeypatch.setattr(images, "save_picture", failing(FULL))
    monkeypatch.setattr(Run, "record", failing(FULL))
    one.monitor.scalars = failing(RuntimeError("a fault of visdom"))
    assert one.fit(Asked()) is True
    assert steps_of(one.run.state_files()) == [12]
    for name in ("sample grid", "metrics.jsonl", "visdom"):
        assert len([line for line in one.said if name in line]) == 1  # once, however often


def test_lines_that_could_not_be_written_come_with_the_next(tmp_path, monkeypatch):
    one = loop_of(tmp_path, max_steps=6, plot_every=2)
    plain, failures = Run.record, failing(FULL, times=2)

    def record(run, values):
        failures()
        plain(run, values)

    monkeypatch.setattr(Run, "record", record)
    one.fit(Asked())
    assert [line["step"] for line in one.run.history()] == [2, 4, 6]
    assert len([line for line in one.said if "metrics.jsonl" in line]) == 2  # and that it works


def test_the_sample_folder_is_made_again(tmp_path):
    one = loop_of(tmp_path, max_epoch=2, save_every=1)
    plain = one.end_epoch

    def end_epoch(epoch):
        plain(epoch)
        if epoch == 1:
            shutil.rmtree(one.outputs.samples)

    one.end_epoch = end_epoch
    assert one.fit(Asked()) is True
    assert steps_of(one.outputs.samples.iterdir()) == [12]


def test_a_run_folder_that_was_moved_is_made_again(tmp_path):
    one = loop_of(tmp_path, max_epoch=2)
    one.run.write_options({"seed": 1}, {})
    one.states.keep_options()
    one.end_epoch = lambda epoch: epoch == 1 and one.run.path.rename(tmp_path / "moved")
    assert one.fit(Asked()) is True
    assert steps_of(one.run.state_files()) == [12]
    assert one.run.read_options()["options"] == {"seed": 1}
    assert [str(one.run.path) in line for line in one.said if "moved or removed" in line] == [True]


def test_a_state_that_cannot_be_saved_is_tried_again(tmp_path, monkeypatch):
    one = loop_of(tmp_path, max_steps=8, state_every_minutes=1.5, keep=99)
    plain, failures = checkpoint.save, failing(FULL, times=2)

    def save(content, path):
        if path.suffix == ".pt":
            failures()
        plain(content, path)

    monkeypatch.setattr(checkpoint, "save", save)
    monkeypatch.setattr(loop, "time", Clock(one.trainer))
    assert one.fit(Asked()) is True
    assert steps_of(one.run.state_files()) == [6, 8]  # not 2 and 4, where the disk was full
    assert len([line for line in one.said if "trying again" in line]) == 2


def test_a_last_state_that_cannot_be_saved_is_an_error_that_names_it(tmp_path):
    one = loop_of(tmp_path, max_steps=2)
    shutil.rmtree(one.run.path)
    one.run.path.write_bytes(b"in the way")
    with pytest.raises(OSError) as caught:  # noqa: PT011
        one.fit(Asked())
    assert str(caught.value.filename).startswith(str(one.run.path))
    assert "tmp" not in str(caught.value.filename).removeprefix(str(tmp_path))


def test_a_training_that_a_disk_ends_saves_first(tmp_path):
    one = loop_of(tmp_path, max_steps=9)
    one.end_epoch = failing(OSError(5, "Input/output error"))
    with pytest.raises(OSError, match="Input/output"):
        one.fit(Asked())
    assert steps_of(one.run.state_files()) == [6]
