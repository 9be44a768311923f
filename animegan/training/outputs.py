"""What a training leaves for people: image grids, weight files, records and curves."""

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from animegan.core import images
from animegan.core.errors import UsageError, reason
from animegan.core.outputs import Dispensable
from animegan.models import Spec
from animegan.runs import checkpoint, samples
from animegan.runs.folder import Run
from animegan.training.step.base import Trainer

if TYPE_CHECKING:
    from animegan.config.config import Config


class Outputs:
    """Writes a run's files, on the main process only. `options` are stored in each weight file."""

    def __init__(
        self,
        config: "Config",
        trainer: Trainer,
        run: Run,
        spec: Spec,
        options: dict[str, Any],
    ) -> None:
        self.config = config
        self.trainer = trainer
        self.run = run
        self.spec = spec
        self.options = options
        self.group = trainer.runtime.group
        self.samples = run.path / "samples"
        if config.save_path:  # a subfolder per run, so that grids of two runs do not mix
            self.samples = Path(config.save_path) / run.name
        if self.group.is_main:
            self._make_folders()
        self.per_epoch = trainer.steps_per_epoch
        self.spare = Dispensable()
        self._records: deque[dict[str, Any]] = deque(maxlen=100_000)  # not yet on the disk

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
        if self.group.is_main:
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

    def save_extra_nets(self, tag: str) -> None:
        """Write the nets as `save_nets` does, if they can be written."""
        self.spare(f"{self.run.path}: netg_{tag}.pth", lambda: self.save_nets(tag))

    def save_nets(self, tag: str) -> None:
        """Write netg_<tag>.pth and netd_<tag>.pth."""
        if not self.group.is_main:
            return
        step = self.trainer.step
        about = {"step": step, "epoch": step / self.per_epoch, "options": self.options}
        about |= self.trainer.about()
        for kind, net in self.trainer.weights().items():
            path = self.run.path / f"{kind}_{tag}.pth"
            checkpoint.save_net(path, kind, net.state_dict(), self.spec, about)  # type: ignore[arg-type]

    def finish(self) -> None:
        """Write the last grid, curves.png, strip.png and timelapse.webp, as far as possible."""
        if not self.group.is_main:
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
