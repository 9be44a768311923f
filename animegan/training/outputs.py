"""Write the output of a training run: image grids, weight files, states and plots."""

import logging
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from animegan.core import images
from animegan.core.errors import UsageError, reason
from animegan.core.files import write_text
from animegan.core.outputs import Dispensable
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
        self.spare = Dispensable()
        self._records: deque[dict[str, Any]] = deque(maxlen=100_000)  # not yet on the disk
        self._options_text: str | None = None
        self._state_step = -1  # of the newest state
        self._is_written = True  # whether that state is on the disk

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
        """Write the grid of this step to the samples folder, if it can be written."""
        if self.ranks.is_main:
            self.spare(f"{self.samples}: a sample grid", self._write_grid)

    def _write_grid(self) -> None:
        self.samples.mkdir(parents=True, exist_ok=True)  # it may have been removed
        name = samples.grid_name(self.trainer.step // self.per_epoch, self.trainer.step)
        images.save_picture(self.draw_grid(), self.samples / name)

    def record(self, values: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl, now or with a later one."""
        self._records.append(values)
        self.spare(str(self.run.metrics), self._write_records)

    def _write_records(self) -> None:
        while self._records:
            self.run.record(self._records[0])
            self._records.popleft()

    def keep_options(self) -> None:
        """Remember options.json, for `restore_folder`."""
        if self.ranks.is_main and self.run.options_file.exists():
            self._options_text = self.run.options_file.read_text(encoding="utf-8")

    def restore_folder(self) -> None:
        """Make the run's folder again if it was moved or removed during training."""
        self.run.states.mkdir(parents=True, exist_ok=True)
        if self._options_text is not None and not self.run.options_file.exists():
            logger.info(f"{self.run.path}: was moved or removed; made again, to save this run")
            write_text(self.run.options_file, self._options_text)

    def save_extra_nets(self, tag: str) -> None:
        """Write the nets as `save_nets` does, if they can be written."""
        self.spare(f"{self.run.path}: netg_{tag}.pth", lambda: self.save_nets(tag))

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
        """Write a state and the latest weights unless this step has them; delete old states.

        Raises OSError if they cannot be written; a later call tries again.
        """
        if self.trainer.step != self._state_step or not self._is_written:
            self.write_state()
            if self.ranks.is_main:
                checkpoint.prune(self.run.state_files(), self.config.keep)

    def save_state_if_possible(self) -> bool:
        """As `save_state`, but a disk that cannot be written to is said, and False returned."""
        try:
            self.save_state()
        except OSError as error:
            logger.info(
                f"{self.run.states}: no state was saved ({reason(error)}); trying again in a minute"
            )
            return False
        return True

    def write_state(self) -> None:
        """Write the latest weights, then a state, so the weights are never older than the state."""
        if self.trainer.step != self._state_step:  # processes agree on that, disks do not
            self.refuse_bad()
            self.trainer.pool()
        step = self._state_step = self.trainer.step
        self._is_written = not self.ranks.is_main
        if self.ranks.is_main:
            self.restore_folder()
            self.save_nets("last")
            checkpoint.save(self.state(), self.run.states / f"state_{step:08d}.pt")
        self._is_written = True

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
        try:
            changed = self.trainer.compare_labels(state["labels"]) if "labels" in state else ""
            self.trainer.load_state_dict(state["trainer"])
            if self.watch is not None and state.get("watch") is not None:
                self.watch.load_state_dict(state["watch"])
            self.seconds = max(0.0, float(state.get("seconds", 0.0)))
        except UsageError:
            raise
        except Exception as error:  # whatever the content of a file from anywhere leads to
            why = reason(error, 160, whole=True)
            raise UsageError(
                f"--resume: the state does not fit the networks ({why}); keep the run's options "
                "that shape them"
            ) from None
        if changed:
            logger.info(changed)
        self._state_step = self.trainer.step
        others = [
            f"{name} {now} instead of {state[name]}"
            for name, now in self.trainer.circumstances().items()
            if state.get(name, now) != now
        ]
        if others:
            logger.info(f"{', '.join(others)}: resuming, but results will not be bitwise identical")

    def finish(self) -> None:
        """Write the last grid, curves.png, strip.png and timelapse.webp, as far as possible."""
        if not self.ranks.is_main:
            return
        from animegan.monitor.curves import draw_curves  # matplotlib takes a second to import

        self.save_grid()
        for name, draw, source in (
            ("curves.png", draw_curves, self.run.metrics),
            ("strip.png", samples.write_strip, self.samples),
            ("timelapse.webp", samples.write_timelapse, self.samples),
        ):
            out = self.run.path / name
            self.spare(str(out), lambda draw=draw, source=source, out=out: draw(source, out))  # type: ignore[misc]

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
