"""What the loop, the outputs, the states and the validation know of a trainer."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from animegan.core.images import Draw
from animegan.runtime.device import Runtime
from animegan.training.step.meters import Meters


class Trainer(Protocol):
    """Nets that are trained together, one batch at a time; `GanTrainer` is one.

    Every process calls the same methods in the same order, except those said to be for one alone.
    """

    runtime: Runtime
    meters: Meters
    step: int  # completed batches

    @property
    def nets(self) -> Mapping[str, nn.Module]:
        """The nets in training, by name."""
        ...

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers of the nets, by name."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a pass over the training set."""
        ...

    @property
    def bad_step(self) -> Tensor:
        """The first step whose loss or gradient was not finite, a scalar on the device; or -1."""
        ...

    def train_batch(self) -> None:
        """Train on the next batch. Copies nothing from the device to the host."""
        ...

    def probe(self) -> dict[str, float]:
        """Return losses and gradients at the next batch, without an update, for `validation.py`:
        `probe_loss_d` and `probe_grad_g`.
        """
        ...

    def pool(self) -> None:
        """Average the processes' own counts; call before they are read or saved."""
        ...

    def reseed(self, salt: int) -> None:
        """Continue with other random numbers, after a rollback."""
        ...

    # --- for one process alone

    def grid_images(self) -> Tensor:
        """Return the images [N, C, S, S] of the fixed inputs that all grids of a run show."""
        ...

    def real_images(self, count: int = 64) -> Tensor:
        """Return up to `count` of the last batch's training images, [N, C, S, S] in [-1, 1]."""
        ...

    def measured_images(self, count: int) -> Draw:
        """Return a function that draws the images to measure, the same `count` inputs all run:
        draw(start, count) gives uint8 [count, C, S, S] on the CPU.
        """
        ...

    def weights(self) -> Mapping[str, nn.Module]:
        """Return the nets that weight files hold, by name; netg's may be an average."""
        ...

    def about(self) -> dict[str, Any]:
        """Return what weight files say about the training data, such as the labels' names."""
        ...

    # --- states

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes during training."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict`, with the learning rates and accumulation of these options."""
        ...

    def labels_state(self) -> dict[str, Any] | None:
        """Return what identifies the labels trained with; None without labels."""
        ...

    def compare_labels(self, saved: dict[str, Any] | None) -> str:
        """Compare with a saved `labels_state`; return a warning, "" if nothing changed.

        Raises UsageError if the nets cannot go on with these labels.
        """
        ...

    def circumstances(self) -> dict[str, Any]:
        """Return what bitwise equality of results depends on besides options and state."""
        ...
