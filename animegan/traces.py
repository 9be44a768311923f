"""What a training leaves in its run's folder: grids, weight files, states, and what shows it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from animegan import album, checkpoint, images
from animegan.errors import UsageError, reason
from animegan.models import Spec
from animegan.runs import Run
from animegan.trainer import Trainer
from animegan.watch import Watch

if TYPE_CHECKING:
    from config import Config


class Traces:
    """Writes them, on the main process alone, and goes on from them.

    `options` are kept in each weight file; `seconds` is how long the run has trained in all calls.
    """

    def __init__(
        self,
        config: "Config",
        trainer: Trainer,
        run: Run,
        spec: Spec,
        options: dict[str, Any],
        say: Callable[[str], None],
        watch: Watch | None = None,
    ) -> None:
        self.config = config
        self.trainer = trainer
        self.run = run
        self.spec = spec
        self.options = options
        self.say = say
        self.watch = watch
        self.ranks = trainer.ranks  # the main one writes, all the others only train
        self.samples = run.path / "samples"
        if config.save_path:  # a folder of the run's own there: grids of two runs must not mix
            self.samples = Path(config.save_path) / run.name
        if self.ranks.is_main:
            self._make_folders()
        self.per_epoch = trainer.batches.steps_per_epoch
        self.noise = trainer.fixed_noise()
        self.given = trainer.conditions.sheet(len(self.noise))
        self.seconds = 0.0
        self._state_step = -1  # of the newest state

    def _make_folders(self) -> None:
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.run.states.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            flag = "--save-path" if self.config.save_path else "--runs-path"
            raise UsageError(
                f"{flag} {self.samples}: cannot be written ({reason(error)}); name another folder"
            ) from None

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
            self.write_state()
            if self.ranks.is_main:
                checkpoint.prune(self.run.state_files(), self.config.keep)

    def write_state(self) -> None:
        """The weights go first: where a state is, the weights beside it are no older."""
        self.refuse_bad()
        self.trainer.pool()
        self.save_nets("last")
        step = self.trainer.step
        if self.ranks.is_main:
            checkpoint.save(self.state(), self.run.states / f"state_{step:08d}.pt")
        self._state_step = step

    def refuse_bad(self) -> None:
        """Stop before a state is written that holds a bad step in its meters, and hides it."""
        bad = int(self.trainer.guard.bad_step)
        if bad >= 0:
            raise self.ranks.stopped(self.advice(bad))

    def state(self) -> dict[str, Any]:
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
            why = reason(error, 160, whole=True)
            raise UsageError(
                f"--resume: the state does not fit the networks asked for ({why}); leave the "
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

    def advice(self, bad: int) -> str:
        """What to do after a step that was not finite."""
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
