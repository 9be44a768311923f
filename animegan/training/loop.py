"""The training loop: train batches and, at intervals, log, draw grids, save and evaluate."""

import logging
import math
import sys
import time
from bdb import BdbQuit
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tqdm import tqdm

from animegan.config.derived import planned_steps
from animegan.core import images
from animegan.core.errors import TrainingStopped
from animegan.core.signals import Stop
from animegan.evaluation.numbers import KID_NAME, KID_SCALE, kid_shown
from animegan.monitor.base import Monitor, NullMonitor
from animegan.runs import checkpoint, samples
from animegan.training.outputs import Outputs
from animegan.training.state import States
from animegan.training.step.base import Trainer
from animegan.training.step.meters import line
from animegan.training.validation import ROLLBACKS, Validation

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)


class Loop:
    """Runs a trainer to its last step or until it is stopped, logging and saving on the way."""

    def __init__(
        self,
        config: "Config",
        trainer: Trainer,
        outputs: Outputs,
        states: States,
        monitor: Monitor,
    ) -> None:
        self.config = config
        self.trainer = trainer
        self.outputs = outputs
        self.states = states
        self.monitor = monitor
        self.run = outputs.run
        self.validation = states.validation
        self.group = trainer.runtime.group  # only the main process writes and displays
        self.per_epoch = trainer.steps_per_epoch
        self.last_step = planned_steps(config, self.per_epoch)

    # --- the loop

    def fit(self, stop: Stop) -> bool:
        """Train until the end, `max_minutes` or a signal; return whether the last step was reached.

        All processes stop and save at the same step: they agree on it once per batch. Raises
        TrainingStopped if a loss or gradient was not finite.
        """
        config, trainer = self.config, self.trainer
        now = start = last_state = last_tick = self._last_look = time.monotonic()
        self._last_look_step = trainer.step
        if trainer.step >= self.last_step:
            limit = f"--max-epoch={config.max_epoch}"
            if self.last_step == config.max_steps:
                limit = f"--max-steps={config.max_steps}"
            logger.info(f"all {self.last_step:,} steps of {limit} are already done; raise it")
        due = over = False
        with self._bar() as bar, self._saving_first():
            while trainer.step < self.last_step:
                asked, due, over = map(bool, self.group.max(stop.asked, due, over))
                if due:
                    saved = self.states.save_if_possible()
                    self.outputs.save_grid()
                    last_state = now if saved else now + 60 - 60 * config.state_every_minutes
                if over:
                    logger.info(f"--max-minutes {config.max_minutes:g}: time is up")
                if over or asked:
                    break
                trainer.train_batch()
                now = time.monotonic()
                self.states.seconds, last_tick = self.states.seconds + now - last_tick, now
                bar.update(config.batch_size)
                if trainer.step % config.plot_every == 0:
                    self.look(bar)
                if trainer.step % self.per_epoch == 0:
                    bar.set_description(self._where(), refresh=False)
                    self.end_epoch(trainer.step // self.per_epoch)
                if self.validation is not None and self.validation.due(trainer.step):
                    going_on = self.evaluate(self.validation, bar)
                    if not going_on:
                        break
                due = now - last_state > 60 * config.state_every_minutes
                over = now - start > 60 * (config.max_minutes or math.inf)
            if trainer.step > self._last_look_step:
                self.look(bar)
        self.states.save()
        self.outputs.finish()
        return bool(trainer.step >= self.last_step)

    @contextmanager
    def _saving_first(self) -> Iterator[None]:
        """If a disk or folder ends the training, save a state first, where that is still possible.

        Of several processes, the others are no longer there to agree on it.
        """
        try:
            yield
        except OSError:
            if self.group.size == 1:
                with suppress(OSError):
                    self.states.save()
            raise

    def _bar(self) -> "tqdm[Any]":
        batch = self.config.batch_size
        return tqdm(
            desc=self._where(),
            initial=self.trainer.step * batch,
            total=self.last_step * batch,
            unit="img",
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 30,  # keep log files short
            smoothing=0.05,
            disable=not self.group.is_main,
        )

    def _where(self) -> str:
        epochs = -(-self.last_step // self.per_epoch)
        return f"epoch {min(self.trainer.step // self.per_epoch + 1, epochs)}/{epochs}"

    # --- once in a while

    def look(self, bar: "tqdm[Any]") -> None:
        """Read the meters, log and display them; TrainingStopped if a loss was not finite."""
        step = self.trainer.step
        self.trainer.pool()
        means, (bad,) = self.trainer.meters.read(self.trainer.bad_step)
        if bad >= 0:
            raise self.group.stopped(self.states.advice(int(bad)))
        bar.set_postfix(line(means), refresh=False)
        pictures = (step - self._last_look_step) * self.config.batch_size
        now = time.monotonic()
        rate = pictures / max(1e-9, now - self._last_look)
        self._last_look, self._last_look_step = now, step
        if not self.group.is_main:
            return
        values = {"images_per_second": round(rate, 2), **means}
        self.outputs.record(
            {"step": step, "epoch": round(step / self.per_epoch, 4),
             "seconds": round(self.states.seconds, 2), **values}
        )  # fmt: skip
        self.outputs.spare("visdom", lambda: self._show(step, values))
        if self._wants_debugger():
            bar.clear()
            with suppress(BdbQuit):  # quitting the debugger does not stop training
                breakpoint()
                bar.refresh()  # pdb stops at the next line, and quits there

    def _show(self, step: int, values: dict[str, float]) -> None:
        self.monitor.scalars(step, values)
        if not isinstance(self.monitor, NullMonitor):
            self.monitor.images("fake", step, self.outputs.draw_grid())
            real = images.to_uint8(self.trainer.real_images())
            self.monitor.images("real", step, images.grid(real))

    def _wants_debugger(self) -> bool:
        try:
            return sys.stdin.isatty() and Path(self.config.debug_file).exists()
        except (OSError, ValueError):  # a folder that may not be read; a closed stdin
            return False

    def evaluate(self, validation: Validation, bar: "tqdm[Any]") -> bool:
        """Evaluate the generator and act on the result; return False if training should stop."""
        self.states.refuse_bad()
        self.trainer.pool()
        probed = self.trainer.probe()
        decision = self.group.from_main(lambda: self._judged(validation, probed))
        if decision == "back":
            self.roll_back(validation, bar)
        return decision != "stop"

    def _judged(
        self, validation: Validation, probed: dict[str, float]
    ) -> Literal["on", "back", "stop"]:
        step = self.trainer.step
        verdict = validation.evaluate(self.trainer, probed)
        values = dict(verdict.values)
        values["kid_x1000"] = KID_SCALE * values.pop("kid")
        self.outputs.record({"step": step, "epoch": round(step / self.per_epoch, 4), **values})
        shown = {name: values[name] for name in ("kid_x1000", "fd")}
        self.outputs.spare("visdom", lambda: self.monitor.scalars(step, shown))
        best = ", the best so far" if verdict.improved else ""
        kid, fd = kid_shown(verdict.values["kid"]), verdict.values["fd"]
        logger.info(f"step {step:,}: {KID_NAME} {kid}, FD {fd:.1f}{best}")
        for line_ in verdict.alarms:
            logger.info(f"step {step}: {line_}")
        if verdict.improved:
            self.outputs.save_extra_nets("best")
            self.outputs.spare(
                str(self.run.best_state),
                lambda: checkpoint.save(self.states.content(), self.run.best_state),
            )
        if verdict.collapsed and self.config.on_collapse == "rollback":
            if validation.rollbacks < ROLLBACKS:
                return "back"
            logger.info(f"step {step}: {validation.rollbacks} rollbacks did not help; stopping")
            return "stop"
        if verdict.collapsed and self.config.on_collapse == "stop":
            logger.info(f"step {step}: stopping; netg_best.pth is from step {validation.best_step}")
            return "stop"
        if verdict.out_of_patience:
            logger.info(
                f"step {step}: no better KID for {self.config.patience} evaluations; stopping; "
                f"netg_best.pth is from step {validation.best_step}"
            )
            return "stop"
        return "on"

    def roll_back(self, validation: Validation, bar: "tqdm[Any]") -> None:
        """Return to the best state, and continue from there with different random numbers."""
        state = self.group.from_main(lambda: self._best_state(validation.best_step))
        self.trainer.load_state_dict(state["trainer"])
        validation.rolled_back()
        self.trainer.reseed(validation.rollbacks)
        step = self.trainer.step
        logger.info(
            f"rolled back to step {step} with new random numbers, {validation.rollbacks} of "
            f"{ROLLBACKS} times"
        )
        self.states.write()  # before deleting later ones, so that one always exists
        if self.group.is_main:
            self.run.forget_after(step)
            samples.forget_after(self.outputs.samples, step)
        bar.n = step * self.config.batch_size
        self._last_look_step = step

    def _best_state(self, step: int) -> Any:
        state = checkpoint.load_state(self.run.best_state, "--on-collapse")
        if state["trainer"]["step"] != step:  # from before --allow-changes
            raise TrainingStopped(
                f"--on-collapse rollback: {self.run.best_state} is not from step {step}, the best "
                "of this run; resume with --on-collapse=tell --allow-changes"
            )
        return state

    def end_epoch(self, epoch: int) -> None:
        """Write the grids and weight files that are due after an epoch."""
        due = epoch % self.config.save_every == 0
        if due or epoch in samples.STRIP_EPOCHS:
            self.outputs.save_grid()
        if due:
            self.outputs.save_extra_nets(str(epoch))
