"""Labels passed to the networks in conditional training: those of reals, and those drawn for fakes.

Labels are passed as a tuple with one int64 tensor [B, A] (A attributes) on the device, or as an
empty tuple in unconditional training, so that `netd(images, *given)` works for both.
"""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animegan.core.errors import UsageError
from animegan.data.labels import Labels, sizes_of
from animegan.losses.objectives import auxiliary
from animegan.runtime import seeds
from animegan.runtime.device import Runtime

if TYPE_CHECKING:
    from animegan.config.config import Config
    from animegan.models.layers import Critic

ATTRIBUTES = ("names", "values")
Given = tuple[Tensor, ...]


class Conditions:
    """The labels of a training set as networks need them; `labels` is None if unconditional."""

    def __init__(self, config: "Config", labels: Labels | None, on: Runtime) -> None:
        self.labels = labels
        self._config = config
        self._on = on
        self.names = labels is not None and config.condition == "acgan"  # netd classifies

    def of(self, rows: NDArray[np.int64], pieces: int) -> tuple[Given, ...]:
        """Return the labels of pictures `rows` of the set, in pieces."""
        if self.labels is None:
            return ((),) * pieces
        return self._cut(self.labels.rows[torch.from_numpy(rows)], pieces)

    def drawn(self, seed: int, stream: str, step: int, pieces: int) -> tuple[Given, ...]:
        """Draw labels for a batch of fakes; return this process's share, in pieces.

        They are the labels of random pictures of the set, so combinations and unknown labels are as
        frequent as there. Like noise, they are drawn for the whole batch on every process.
        """
        if self.labels is None:
            return ((),) * pieces
        whole = self._config.batch_size
        source = seeds.generator(seed, f"labels-{stream}", step)
        return self._cut(self._taken(source, whole)[self._on.ranks.rows(whole)], pieces)

    def fixed(self, count: int) -> Given:
        """Draw labels for measuring, by the same distribution and the same for the whole run."""
        if self.labels is None:
            return ()
        source = seeds.generator(self._config.seed, "labels-fixed")
        return (self._on.place(self._taken(source, count)),)

    def sheet(self, count: int) -> Given:
        """Return labels for a sample grid: the set's `count` most frequent combinations, cycled."""
        if self.labels is None:
            return ()
        kinds, _ = self.labels.shares(most=count)
        return (self._on.place(kinds[torch.arange(count) % len(kinds)]),)

    def judge(self, netd: nn.Module, images: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """Return netd's logits and the AC-GAN loss (scalar), both float32; only if `names`."""
        with self._on.lowered():
            outputs = cast("Critic", netd).judge(images)
        logits, class_logits = (one.float() if self._on.bf16 else one for one in outputs)
        return logits, auxiliary(class_logits, given[0], sizes_of(self.labels))

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

    def _cut(self, labels: Tensor, pieces: int) -> tuple[Given, ...]:
        return tuple((one,) for one in self._on.place(labels).chunk(pieces))
