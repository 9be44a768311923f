"""Write the output of a training run: image grids, weight files, states and plots."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from animegan.core import images
from animegan.core.errors import UsageError, reason
from animegan.models import Spec
from animegan.runs import checkpoint, samples
from animegan.runs.folder import Run
from animegan.training.step.base import Trainer
from animegan.training.validation import Watch

if TYPE_CHECKING:
    from animegan.config.config import Config

logger = logging.getLogger(__name__)


class Traces:
    """Writes a run's files (on the main process only) and resumes from its states.

    `options` are stored in each weight file; `seconds` is the training time over all sessions.
    """

    def __init__(
        self,
        config: "Config",
        trainer: Trainer,
        run: Run,
        spec: Spec,
        options: dict[str, Any],
        watch: Watch | None = None,
    ) -> None:
        self.config = config
        self.trainer = trainer
        self.run = run
        self.spec = spec
        self.options = options
        self.watch = watch
        self.ranks = trainer.runtime.ranks
        self.samples = run.path / "samples"
        if config.save_path:  # a subfolder per run, so that grids of two runs do not mix
            self.samples = Path(config.save_path) / run.name
        if self.ranks.is_main:
            self._make_folders()
        self.per_epoch = trainer.steps_per_epoch
        self.seconds = 0.0
        self._state_step = -1  # of the newest state

    def _make_folders(self) -> None:
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.run.states.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            flag = "--save-path" if self.config.save_path else "--runs-path"
            raise UsageError(
                f"{flag} {self.samples}: cannot be written to ({reason(error)}); use another folder"
            ) from None

    def draw_grid(self) -> torch.Tensor:
        """Return a grid of the images of the fixed noise, uint8 [C, H, W]."""
        return images.grid(images.to_uint8(self.trainer.grid_images()))

    def save_grid(self) -> None:
        """Write the grid of this step to the samples folder."""
        if not self.ranks.is_main:
            return
        name = samples.grid_name(self.trainer.step // self.per_epoch, self.trainer.step)
        images.save_picture(self.draw_grid(), self.samples / name)

    def save_nets(self, tag: str) -> None:
        """Write netg_<tag>.pth and netd_<tag>.pth."""
        if not self.ranks.is_main:
            return
        step = self.trainer.step
        about = {"step": step, "epoch": step / self.per_epoch, "options": self.options}
        about |= self.trainer.about()
        for kind, net in self.trainer.weights().items():
            path = self.run.path / f"{kind}_{tag}.pth"
            checkpoint.save_net(path, kind, net.state_dict(), self.spec, about)  # type: ignore[arg-type]

    def save_state(self) -> None:
        """Write a state and the latest weights unless this step has them; delete old states."""
        if self.trainer.step != self._state_step:
            self.write_state()
            if self.ranks.is_main:
                checkpoint.prune(self.run.state_files(), self.config.keep)

    def write_state(self) -> None:
        """Write the latest weights, then a state, so the weights are never older than the state."""
        self.refuse_bad()
        self.trainer.pool()
        self.save_nets("last")
        step = self.trainer.step
        if self.ranks.is_main:
            checkpoint.save(self.state(), self.run.states / f"state_{step:08d}.pt")
        self._state_step = step

    def refuse_bad(self) -> None:
        """Stop if a step was not finite, before a state is written that would hide it."""
        bad = int(self.trainer.bad_step)
        if bad >= 0:
            raise self.ranks.stopped(self.advice(bad))

    def state(self) -> dict[str, Any]:
        """Return everything needed to resume, as `checkpoint.save` writes it."""
        return {
            "format": checkpoint.FORMAT,
            "trainer": self.trainer.state_dict(),
            "labels": self.trainer.labels_state(),
            "watch": None if self.watch is None else self.watch.state_dict(),
            "seconds": self.seconds,
            **self.trainer.circumstances(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state written by `save_state`.

        Raises UsageError if its networks or their labels do not match.
        """
        changed = self.trainer.compare_labels(state["labels"]) if "labels" in state else ""
        if changed:
            logger.info(changed)
        try:
            self.trainer.load_state_dict(state["trainer"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            why = reason(error, 160, whole=True)
            raise UsageError(
                f"--resume: the state does not fit the networks ({why}); keep the run's options "
                "that shape them"
            ) from None
        if self.watch is not None and state["watch"] is not None:
            self.watch.load_state_dict(state["watch"])
        self.seconds = state["seconds"]
        self._state_step = self.trainer.step
        others = [
            f"{name} {now} instead of {state[name]}"
            for name, now in self.trainer.circumstances().items()
            if state.get(name, now) != now
        ]
        if others:
            logger.info(f"{', '.join(others)}: resuming, but results will not be bitwise identical")

    def finish(self) -> None:
        """Write the last grid, curves.png, strip.png and timelapse.webp."""
        if not self.ranks.is_main:
            return
        from animegan.monitor.curves import draw_curves  # matplotlib takes a second to import

        self.save_grid()
        draw_curves(self.run.metrics, self.run.path / "curves.png")
        samples.write_strip(self.samples, self.run.path / "strip.png")
        samples.write_timelapse(self.samples, self.run.path / "timelapse.webp")

    def advice(self, bad: int) -> str:
        """Return the message for a step with a non-finite loss or gradient."""
        states = self.run.state_files()
        rates = f"--lr1={self.config.lr1 / 2:g} --lr2={self.config.lr2 / 2:g}"
        way = f"no state was saved before it: start again with lower rates ({rates})"
        if states:
            way = (
                f"the last good state is {states[0]}: resume from it with lower rates "
                f"(--resume={self.run.path} --allow-changes {rates})"
            )
        return f"a loss or gradient was not finite at step {bad}; its update was skipped; {way}"
