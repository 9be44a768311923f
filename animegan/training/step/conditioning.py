"""Labels passed to the networks in conditional training: those of reals, and those drawn for fakes.

Labels are an int64 tensor [B, A] (A attributes) on the device, or None in unconditional training.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animegan.core.errors import UsageError
from animegan.data.labels import Labels, sizes_of
from animegan.losses.adversarial import auxiliary
from animegan.runtime.device import Runtime
from animegan.runtime.seeds import Streams

if TYPE_CHECKING:
    from animegan.config.config import Config

ATTRIBUTES = ("names", "values")


class Conditions:
    """The labels of a training set as networks need them; `labels` is None if unconditional."""

    def __init__(self, config: "Config", labels: Labels | None, runtime: Runtime) -> None:
        self.labels = labels
        self._config = config
        self._runtime = runtime
        self.classifies = labels is not None and config.condition == "acgan"  # netd does

    def of(self, rows: NDArray[np.int64]) -> Tensor | None:
        """Return the labels of pictures `rows` of the set."""
        if self.labels is None:
            return None
        return self._runtime.place(self.labels.rows[torch.from_numpy(rows)])

    def drawn(self, streams: Streams, stream: str, step: int) -> Tensor | None:
        """Draw labels for a batch of fakes; return this process's share.

        They are the labels of random pictures of the set, so combinations and unknown labels are as
        frequent as there. Like noise, they are drawn for the whole batch on every process.
        """
        if self.labels is None:
            return None
        whole = self._config.batch_size
        labels = self._taken(streams.generator(f"labels-{stream}", step), whole)
        return self._runtime.place(labels[self._runtime.group.rows(whole)])

    def fixed(self, streams: Streams, count: int) -> Tensor | None:
        """Draw labels for measuring, by the same distribution and the same for the whole run."""
        if self.labels is None:
            return None
        return self._runtime.place(self._taken(streams.fixed("labels-fixed"), count))

    def sheet(self, count: int) -> Tensor | None:
        """Return labels for a sample grid: the set's `count` most frequent combinations, cycled."""
        if self.labels is None:
            return None
        kinds, _ = self.labels.shares(most=count)
        return self._runtime.place(kinds[torch.arange(count) % len(kinds)])

    def class_loss(self, class_logits: Tensor, labels: Tensor) -> Tensor:
        """Return the AC-GAN loss, a scalar, of class logits [B, sum(classes)]."""
        return auxiliary(class_logits, labels, sizes_of(self.labels))

    def about(self) -> dict[str, Any]:
        """Return what weight files store about the labels."""
        return {} if self.labels is None else {"labels": self.labels.as_dict()}

    def state_dict(self) -> dict[str, Any] | None:
        """Return what is needed to detect changed labels on resuming; None without labels."""
        if self.labels is None:
            return None
        return {"digest": self.labels.digest, **self.labels.attributes.as_dict()}

    def compare(self, saved: dict[str, Any] | None) -> str:
        """Compare the labels with a saved `state_dict`; return a warning, "" if nothing changed.

        Raises UsageError if attributes or values changed: the networks know them by number.
        """
        now, flag = self.state_dict(), f"--labels {self._config.labels}"
        if now == saved:
            return ""
        if saved is None or now is None or any(now[key] != saved[key] for key in ATTRIBUTES):
            raise UsageError(
                f"{flag}: its attributes and values differ from those the run was trained with; "
                "restore the labels, or start a new run without --resume"
            )
        return (
            f"{flag}: some pictures' labels have changed since the run was stopped: it continues, "
            "but the result will not be bit-identical; for that, restore the labels"
        )

    def _taken(self, source: torch.Generator, count: int) -> Tensor:
        assert self.labels is not None
        known = self.labels.rows
        return known[torch.randint(len(known), (count,), generator=source)]
