"""The states of a run, which --resume continues from."""

import logging
from typing import Any

from animegan.core.errors import UsageError, reason
from animegan.core.files import write_text
from animegan.runs import checkpoint
from animegan.training.outputs import Outputs
from animegan.training.validation import Validation

logger = logging.getLogger(__name__)


class States:
    """Saves a run's states (on the main process only) and loads them.

    `seconds` is the training time over all sessions.
    """

    def __init__(self, outputs: Outputs, validation: Validation | None = None) -> None:
        self.outputs = outputs
        self.validation = validation
        self.config = outputs.config
        self.trainer = outputs.trainer
        self.run = outputs.run
        self.group = outputs.group
        self.seconds = 0.0
        self._options_text: str | None = None
        self._step = -1  # of the newest state
        self._is_written = True  # whether that state is on the disk

    def content(self) -> dict[str, Any]:
        """Return everything needed to resume, as `checkpoint.save` writes it."""
        return {
            "format": checkpoint.FORMAT,
            "trainer": self.trainer.state_dict(),
            "labels": self.trainer.labels_state(),
            "watch": None if self.validation is None else self.validation.state_dict(),
            "seconds": self.seconds,
            **self.trainer.circumstances(),
        }

    def save(self) -> None:
        """Write a state and the latest weights unless this step has them; delete old states.

        Raises OSError if they cannot be written; a later call tries again.
        """
        if self.trainer.step != self._step or not self._is_written:
            self.write()
            if self.group.is_main:
                checkpoint.prune(self.run.state_files(), self.config.keep)

    def save_if_possible(self) -> bool:
        """As `save`, but a disk that cannot be written to is reported, and False returned."""
        try:
            self.save()
        except OSError as error:
            logger.info(
                f"{self.run.states}: no state was saved ({reason(error)}); trying again in a minute"
            )
            return False
        return True

    def write(self) -> None:
        """Write the latest weights, then a state, so the weights are never older than the state."""
        if self.trainer.step != self._step:  # processes agree on that, disks do not
            self.refuse_bad()
            self.trainer.pool()
        step = self._step = self.trainer.step
        self._is_written = not self.group.is_main
        if self.group.is_main:
            self.restore_folder()
            self.outputs.save_nets("last")
            checkpoint.save(self.content(), self.run.states / f"state_{step:08d}.pt")
        self._is_written = True

    def load(self, state: dict[str, Any]) -> None:
        """Restore the `content` of a state.

        Raises UsageError if its networks or their labels do not match.
        """
        try:
            changed = self.trainer.compare_labels(state["labels"]) if "labels" in state else ""
            self.trainer.load_state_dict(state["trainer"])
            if self.validation is not None and state.get("watch") is not None:
                self.validation.load_state_dict(state["watch"])
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
        self._step = self.trainer.step
        others = [
            f"{name} {now} instead of {state[name]}"
            for name, now in self.trainer.circumstances().items()
            if state.get(name, now) != now
        ]
        if others:
            logger.info(f"{', '.join(others)}: resuming, but results will not be bitwise identical")

    # --- a folder that goes away

    def keep_options(self) -> None:
        """Remember options.json, for `restore_folder`."""
        if self.group.is_main and self.run.options_file.exists():
            self._options_text = self.run.options_file.read_text(encoding="utf-8")

    def restore_folder(self) -> None:
        """Make the run's folder again if it was moved or removed during training."""
        self.run.states.mkdir(parents=True, exist_ok=True)
        if self._options_text is not None and not self.run.options_file.exists():
            logger.info(f"{self.run.path}: was moved or removed; made again, to save this run")
            write_text(self.run.options_file, self._options_text)

    # --- steps that were not finite

    def refuse_bad(self) -> None:
        """Stop if a step was not finite, before a state is written that would hide it."""
        bad = int(self.trainer.bad_step)
        if bad >= 0:
            raise self.group.stopped(self.advice(bad))

    def advice(self, bad: int) -> str:
        """Return the message for a step with a non-finite loss or gradient."""
        files = self.run.state_files()
        rates = f"--lr1={self.config.lr1 / 2:g} --lr2={self.config.lr2 / 2:g}"
        way = f"no state was saved before it: start again with lower rates ({rates})"
        if files:
            way = (
                f"the last good state is {files[0]}: resume from it with lower rates "
                f"(--resume={self.run.path} --allow-changes {rates})"
            )
        return f"a loss or gradient was not finite at step {bad}; its update was skipped; {way}"
