"""What a conditional training gives its nets: labels of the reals, and labels drawn for fakes.

Labels handed to a net are a tuple: one int64 tensor [B, A] on the device, or empty where the
training has no labels, so that `netd(images, *given)` holds for both.
"""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animegan import runtime
from animegan.errors import UsageError
from animegan.labels import Labels, sizes_of
from animegan.losses import auxiliary
from animegan.runtime import Runtime

if TYPE_CHECKING:
    from animegan.models.layers import Critic
    from config import Config

ATTRIBUTES = ("names", "values")
Given = tuple[Tensor, ...]


class Conditions:
    """The labels of a training set, at hand by step; `labels` None for a training without."""

    def __init__(self, config: "Config", labels: Labels | None, on: Runtime) -> None:
        self.labels = labels
        self._config = config
        self._on = on
        self.names = labels is not None and config.condition == "acgan"  # netd names the labels

    def of(self, rows: NDArray[np.int64], pieces: int) -> tuple[Given, ...]:
        """Of these pictures of the set, in pieces."""
        if self.labels is None:
            return ((),) * pieces
        return self._cut(self.labels.rows[torch.from_numpy(rows)], pieces)

    def drawn(self, seed: int, stream: str, step: int, pieces: int) -> tuple[Given, ...]:
        """This process's labels of a batch of fakes, in pieces: those of pictures taken at random.

        So they come together as they do in the set, unknown ones as often. They are drawn for the
        whole batch, as noise is.
        """
        if self.labels is None:
            return ((),) * pieces
        whole = self._config.batch_size
        source = runtime.generator(seed, f"labels-{stream}", step)
        return self._cut(self._taken(source, whole)[self._on.ranks.rows(whole)], pieces)

    def fixed(self, count: int) -> Given:
        """The same labels for every measurement of a run, drawn like a batch's."""
        if self.labels is None:
            return ()
        source = runtime.generator(self._config.seed, "labels-fixed")
        return (self._on.place(self._taken(source, count)),)

    def sheet(self, count: int) -> Given:
        """For a sample grid: the set's combinations in turn, the most frequent if they are many."""
        if self.labels is None:
            return ()
        kinds, _ = self.labels.shares(most=count)
        return (self._on.place(kinds[torch.arange(count) % len(kinds)]),)

    def judge(self, netd: nn.Module, images: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """netd's logits and AC-GAN's loss, both in float32, where `names`."""
        with self._on.lowered():
            outputs = cast("Critic", netd).judge(images)
        logits, class_logits = (one.float() if self._on.bf16 else one for one in outputs)
        return logits, auxiliary(class_logits, given[0], sizes_of(self.labels))

    def about(self) -> dict[str, Any]:
        """What weight files say of the labels."""
        return {} if self.labels is None else {"labels": self.labels.as_dict()}

    def state_dict(self) -> dict[str, Any] | None:
        """By which a later call knows that the labels are the same; None without labels."""
        if self.labels is None:
            return None
        return {"digest": self.labels.digest, **self.labels.attributes.as_dict()}

    def compare(self, saved: dict[str, Any] | None) -> str:
        """What to tell if the labels of `state_dict` were others; "" if they were these.

        Raises UsageError if their attributes or values were others: nets know them by number.
        """
        now, flag = self.state_dict(), f"--labels {self._config.labels}"
        if now == saved:
            return ""
        if saved is None or now is None or any(now[key] != saved[key] for key in ATTRIBUTES):
            raise UsageError(
                f"{flag}: its attributes and values are not those that the run has learned; put "
                "the labels back as they were, or start a new run without --resume"
            )
        return (
            f"{flag}: some pictures have other labels than when the run was stopped: it goes on, "
            "but not to the same bits; for those put the labels back as they were"
        )

    def _taken(self, source: torch.Generator, count: int) -> Tensor:
        assert self.labels is not None
        known = self.labels.rows
        return known[torch.randint(len(known), (count,), generator=source)]

    def _cut(self, labels: Tensor, pieces: int) -> tuple[Given, ...]:
        return tuple((one,) for one in self._on.place(labels).chunk(pieces))
