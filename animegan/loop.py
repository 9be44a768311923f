"""The training loop: batches, and once in a while a look, a grid, a weight file, a state."""

import math
import sys
import time
from bdb import BdbQuit
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from tqdm import tqdm

from animegan import album, checkpoint, images
from animegan.errors import TrainingStopped, UsageError
from animegan.meters import line
from animegan.models import Spec
from animegan.monitor import Monitor, NullMonitor
from animegan.runs import Run
from animegan.schedule import planned_steps
from animegan.signals import Stop
from animegan.trainer import Trainer
from animegan.watch import Watch, probe

if TYPE_CHECKING:
    from config import Config

Say = Callable[[str], None]


class Loop:
    """One call of `train`: runs a trainer to its end or until it is stopped, and keeps traces."""

    def __init__(
        self,
        config: "Config",
        trainer: Trainer,
        run: Run,
        monitor: Monitor,
        spec: Spec,
        options: dict[str, Any],
        say: Say,
        watch: Watch | None = None,
    ) -> None:
        self.config = config
        self.trainer = trainer
        self.run = run
        self.monitor = monitor
        self.spec = spec
        self.options = options
        self.say = say
        self.watch = watch
        self.ranks = trainer.ranks  # the main one writes and shows, all the others only train
        self.samples = run.path / "samples"
        if config.save_path:  # a folder of the run's own there: grids of two runs must not mix
            self.samples = Path(config.save_path) / run.name
        if self.ranks.is_main:
            self._make_folders()
        self.per_epoch = trainer.batches.steps_per_epoch
        self.last_step = planned_steps(config, self.per_epoch)
        self.noise = trainer.fixed_noise()
        self.given = trainer.conditions.sheet(len(self.noise))
        self.seconds = 0.0  # of training, over all calls
        self._state_step = -1  # of the newest state

    def _make_folders(self) -> None:
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.run.states.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            flag = "--save-path" if self.config.save_path else "--runs-path"
            raise UsageError(
                f"{flag} {self.samples}: cannot be written ({error.strerror or error}); "
                "name another folder"
            ) from None

    # --- the loop

    def fit(self, stop: Stop) -> bool:
        """Train until the end, `max_minutes` or a signal; True if the last step was reached.

        All processes stop and save at one step: once a batch they tell each other what they want.
        """
        config, trainer = self.config, self.trainer
        now = start = last_state = last_tick = self._last_look = time.monotonic()
        self._last_look_step = trainer.step
        if trainer.step >= self.last_step:
            self.say(
                f"all {self.last_step:,} steps are done already; raise --max-epoch or --max-steps"
            )
        due = over = False
        with self._bar() as bar:
            while trainer.step < self.last_step:
                asked, due, over = map(bool, self.ranks.most(stop.asked, due, over))
                if due:
                    self.save_state()
                    self.save_grid()
                    last_state = now
                if over:
                    self.say(f"{config.max_minutes:g} minutes are over")
                if over or asked:
                    break
                trainer.train_batch()
                now = time.monotonic()
                self.seconds, last_tick = self.seconds + now - last_tick, now
                bar.update(config.batch_size)
                if trainer.step % config.plot_every == 0:
                    self.look(bar)
                if trainer.step % self.per_epoch == 0:
                    bar.set_description(self._where(), refresh=False)
                    self.end_epoch(trainer.step // self.per_epoch)
                if self.watch is not None and self.watch.due(trainer.step):
                    going_on = self.evaluate(self.watch, bar)
                    if not going_on:
                        break
                due = now - last_state > 60 * config.state_every_minutes
                over = now - start > 60 * (config.max_minutes or math.inf)
            if trainer.step > self._last_look_step:
                self.look(bar)
        self.save_state()
        self.finish()
        return bool(trainer.step >= self.last_step)

    def _bar(self) -> "tqdm[Any]":
        batch = self.config.batch_size
        return tqdm(
            desc=self._where(),
            initial=self.trainer.step * batch,
            total=self.last_step * batch,
            unit="img",
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 30,  # a log wants few lines
            smoothing=0.05,
            disable=not self.ranks.is_main,
        )

    def _where(self) -> str:
        epochs = -(-self.last_step // self.per_epoch)
        return f"epoch {min(self.trainer.step // self.per_epoch + 1, epochs)}/{epochs}"

    # --- once in a while

    def look(self, bar: "tqdm[Any]") -> None:
        """Read the meters, write and show them, and stop if a loss was not finite."""
        step = self.trainer.step
        self.trainer.pool()
        means, (bad,) = self.trainer.meters.read(self.trainer.guard.bad_step)
        if bad >= 0:
            raise self.ranks.stopped(self._advice(int(bad)))
        bar.set_postfix(line(means), refresh=False)
        pictures = (step - self._last_look_step) * self.config.batch_size
        now = time.monotonic()
        rate = pictures / max(1e-9, now - self._last_look)
        self._last_look, self._last_look_step = now, step
        if not self.ranks.is_main:
            return
        values = {"images_per_second": round(rate, 2), **means}
        self.run.record(
            {"step": step, "epoch": round(step / self.per_epoch, 4),
             "seconds": round(self.seconds, 2), **values}
        )  # fmt: skip
        self.monitor.scalars(step, values)
        if not isinstance(self.monitor, NullMonitor):
            self.monitor.images("fake", step, self.draw_grid())
            real = self.trainer.batches.images(max(0, step - 1))[:64]
            self.monitor.images("real", step, images.grid(images.to_uint8(real)))
        if Path(self.config.debug_file).exists():
            bar.clear()
            with suppress(BdbQuit):  # leaving the debugger is not leaving the training
                breakpoint()

    def evaluate(self, watch: Watch, bar: "tqdm[Any]") -> bool:
        """Let the watch score the generator; False if training should stop."""
        self._refuse_bad()
        self.trainer.pool()
        found = probe(self.trainer)
        decision = self.ranks.from_main(lambda: self._judged(watch, found))
        if decision == "back":
            self.roll_back(watch, bar)
        return decision != "stop"

    def _judged(self, watch: Watch, probed: dict[str, float]) -> Literal["on", "back", "stop"]:
        step = self.trainer.step
        verdict = watch.evaluate(self.trainer, probed)
        self.run.record({"step": step, "epoch": round(step / self.per_epoch, 4), **verdict.values})
        self.monitor.scalars(step, {name: verdict.values[name] for name in ("kid", "fd")})
        for line_ in verdict.alarms:
            self.say(f"step {step}: {line_}")
        if verdict.improved:
            self.save_nets("best")
            checkpoint.save(self._state(), self.run.best_state)
        if verdict.collapsed and self.config.on_collapse == "rollback":
            if watch.rollbacks < self.config.rollbacks:
                return "back"
            self.say(f"step {step}: {watch.rollbacks} rollbacks did not help; stopping")
            return "stop"
        if verdict.collapsed and self.config.on_collapse == "stop":
            self.say(f"step {step}: stopping; netg_best.pth is of step {watch.best_step}")
            return "stop"
        if verdict.out_of_patience:
            self.say(
                f"step {step}: no better KID for {self.config.patience} evaluations; stopping; "
                f"netg_best.pth is of step {watch.best_step}"
            )
            return "stop"
        return "on"

    def roll_back(self, watch: Watch, bar: "tqdm[Any]") -> None:
        """Return to the best state, and go on from there with other randomness."""
        state = self.ranks.from_main(lambda: self._best_state(watch.best_step))
        self.trainer.load_state_dict(state["trainer"])
        watch.rolled_back()
        self.trainer.reseed(watch.rollbacks)
        step = self.trainer.step
        self.say(f"back to step {step} with new randomness, {watch.rollbacks} of "
                 f"{self.config.rollbacks} times")  # fmt: skip
        self._write_state()  # before the later ones go: there is one whenever this is killed
        if self.ranks.is_main:
            self.run.forget_after(step)
            album.forget_after(self.samples, step)
        bar.n = step * self.config.batch_size
        self._last_look_step = step

    def _best_state(self, step: int) -> Any:
        state = checkpoint.load(self.run.best_state, "--on-collapse")
        if state["trainer"]["step"] != step:  # another history's, after --allow-changes
            raise TrainingStopped(
                f"--on-collapse rollback: {self.run.best_state} is not of step {step}, "
                "this run's best; resume with --on-collapse=tell --allow-changes"
            )
        return state

    def end_epoch(self, epoch: int) -> None:
        """Grids and weight files that are due after an epoch."""
        due = epoch % self.config.save_every == 0
        if due or epoch in album.STRIP_EPOCHS:
            self.save_grid()
        if due:
            self.save_nets(str(epoch))

    def draw_grid(self) -> torch.Tensor:
        """The fixed noises as a sheet, uint8 [C, H, W]."""
        return images.grid(images.to_uint8(self.trainer.sample(self.noise, self.given)))

    def save_grid(self) -> None:
        if not self.ranks.is_main:
            return
        name = album.grid_name(self.trainer.step // self.per_epoch, self.trainer.step)
        images.save_picture(self.draw_grid(), self.samples / name)

    def save_nets(self, tag: str) -> None:
        """Write netg_<tag>.pth and netd_<tag>.pth."""
        if not self.ranks.is_main:
            return
        step = self.trainer.step
        about = {"step": step, "epoch": step / self.per_epoch, "options": self.options}
        about |= self.trainer.conditions.about()
        for kind, net in (("netg", self.trainer.shown()), ("netd", self.trainer.netd)):
            path = self.run.path / f"{kind}_{tag}.pth"
            checkpoint.save_net(path, kind, net.state_dict(), self.spec, about)  # type: ignore[arg-type]

    def save_state(self) -> None:
        """A state to resume from, and the newest weights; nothing if this step has one."""
        if self.trainer.step != self._state_step:
            self._write_state()
            if self.ranks.is_main:
                checkpoint.prune(self.run.state_files(), self.config.keep)

    def _write_state(self) -> None:
        """The weights go first: where a state is, the weights beside it are no older."""
        self._refuse_bad()
        self.trainer.pool()
        self.save_nets("last")
        step = self.trainer.step
        if self.ranks.is_main:
            checkpoint.save(self._state(), self.run.states / f"state_{step:08d}.pt")
        self._state_step = step

    def _refuse_bad(self) -> None:
        """Stop before a state is written that holds a bad step in its meters, and hides it."""
        bad = int(self.trainer.guard.bad_step)
        if bad >= 0:
            raise self.ranks.stopped(self._advice(bad))

    def _state(self) -> dict[str, Any]:
        return {
            "format": checkpoint.FORMAT,
            "trainer": self.trainer.state_dict(),
            "labels": self.trainer.conditions.state_dict(),
            "watch": None if self.watch is None else self.watch.state_dict(),
            "seconds": self.seconds,
            **self._circumstances(),
        }

    def _circumstances(self) -> dict[str, Any]:
        """What the bits of the weights depend on beside options and state."""
        return {
            "torch": str(torch.__version__),
            "threads": torch.get_num_threads(),
            "device": self.trainer.device.type,
            "processes": self.ranks.size,
            "compiled nets": len(self.trainer.passes.compiled),
            "pictures": len(self.trainer.batches.faces),
            "picture files (names and sizes)": self.trainer.batches.faces.digest,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that `save_state` wrote; UsageError if its networks are others, or
        the labels that they know.
        """
        changed = self.trainer.conditions.compare(state["labels"]) if "labels" in state else ""
        if changed:
            self.say(changed)
        try:
            self.trainer.load_state_dict(state["trainer"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UsageError(
                f"--resume: the state does not fit the networks asked for ({reason}); leave the "
                "options that shape them as the run has them"
            ) from None
        if self.watch is not None and state["watch"] is not None:
            self.watch.load_state_dict(state["watch"])
        self.seconds = state["seconds"]
        self._state_step = self.trainer.step
        others = [
            f"{name} {now} instead of {state[name]}"
            for name, now in self._circumstances().items()
            if state.get(name, now) != now
        ]
        if others:
            self.say(f"{', '.join(others)}: the run goes on, but not to the same bits")

    def finish(self) -> None:
        """What is shown of a run: the last grid, the curves, the strip, the time-lapse."""
        if not self.ranks.is_main:
            return
        from animegan.curves import draw_curves  # matplotlib takes a second to import

        self.save_grid()
        draw_curves(self.run.metrics, self.run.path / "curves.png")
        album.write_strip(self.samples, self.run.path / "strip.png")
        album.write_timelapse(self.samples, self.run.path / "timelapse.webp")

    def _advice(self, bad: int) -> str:
        states = self.run.state_files()
        rates = f"--lr1={self.config.lr1 / 2:g} --lr2={self.config.lr2 / 2:g}"
        way = f"no state was saved before it: start anew with lower rates ({rates})"
        if states:
            way = (
                f"the last good state is {states[0]}: go on from it with lower rates "
                f"(--resume={self.run.path} --allow-changes {rates})"
            )
        return (
            f"a loss or gradient was not finite at step {bad}; the weights were kept from it; {way}"
        )
