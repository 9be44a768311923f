"""What a step shows the discriminator: reals and fakes, with their labels and augmentation.

Pictures, noise and labels are fetched or drawn when first used. What two updates have in common is
made once: the fakes of a batch that updates both nets, and the reals that a relativistic loss shows
netg's update one batch ahead of netd's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from animegan.config.derived import shares_fakes
from animegan.data.batches import Batches
from animegan.models.conditioning import Features, reuses_look
from animegan.runtime.device import Runtime
from animegan.runtime.seeds import Streams
from animegan.training.step.augment import See, View
from animegan.training.step.compiling import Passes
from animegan.training.step.conditioning import Conditions
from animegan.training.step.optimizer_step import Piece

if TYPE_CHECKING:
    from animegan.config.config import Config

T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    """One side of a piece, reals or fakes, as netd is shown it.

    images: [B, C, S, S], before the augmentation `see`.
    labels: int64 [B, A], or None without labels.
    features: what netd's `look` makes of the augmented images; None: not looked at yet.
    """

    images: Tensor
    labels: Tensor | None
    see: See
    features: Features | None = None

    def detach(self) -> "Shown":
        """Return the same without the graph of the net that made the images."""
        features = self.features
        if features is not None:
            features = (
                features.detach() if isinstance(features, Tensor)
                else [feature.detach() for feature in features]
            )  # fmt: skip
        return replace(self, images=self.images.detach(), features=features)


class Inputs:
    """The inputs of a training's updates, by step and random stream."""

    def __init__(
        self,
        config: "Config",
        nets: Mapping[str, nn.Module],
        batches: Batches,
        conditions: Conditions,
        view: View,
        passes: Passes,
        streams: Streams,
        runtime: Runtime,
    ) -> None:
        self.batches = batches
        self.conditions = conditions
        self.view = view
        self._config = config
        self._nets = nets
        self._passes = passes
        self._streams = streams
        self._runtime = runtime
        self._values: dict[tuple[str, int], Any] = {}  # by stream and step
        self._kept: Shown | None = None  # fakes with netg's graph, from netd's update for netg's

    def forget(self, before: int | None = None) -> None:
        """Drop what was made for steps before `before`, or everything."""
        self._kept = None
        self._values = {
            key: value
            for key, value in self._values.items()
            if before is not None and key[1] >= before
        }

    def _once(self, stream: str, step: int, make: Callable[[], T]) -> T:
        key = stream, step
        if key not in self._values:
            self._values[key] = make()
        value: T = self._values[key]
        return value

    # --- this process's rows of a batch

    def images(self, step: int) -> Tensor:
        """Return the reals of a step, [B / size, C, S, S] in [-1, 1]."""
        return self._once("images", step, lambda: self.batches.images(step))

    def labels(self, step: int) -> Tensor | None:
        """Return the labels of a step's reals, int64 [B / size, A]; None without labels."""
        return self._once("labels", step, lambda: self.conditions.of(self.batches.rows(step)))

    def noise(self, stream: str, step: int) -> Tensor:
        """Return noise [B / size, nz, 1, 1] ~ N(0, 1), drawn on the CPU for the whole batch."""

        def draw() -> Tensor:
            whole = self._config.batch_size
            source = self._streams.generator(stream, step)
            noise = torch.randn(whole, self._config.nz, 1, 1, generator=source)
            return self._runtime.place(noise[self._runtime.group.rows(whole)])

        return self._once(stream, step, draw)

    def drawn_labels(self, stream: str, step: int) -> Tensor | None:
        """Return the labels drawn for the fakes of `stream`, int64 [B / size, A], or None."""
        return self._once(
            f"labels-{stream}", step, lambda: self.conditions.drawn(self._streams, stream, step)
        )

    # --- a piece of it

    def reals(self, step: int, side: str, piece: Piece, ahead: int = 0) -> Shown:
        """Return a piece of the reals of the batch `ahead` of a step.

        `side` is the random stream of their view, which is that of the step itself.
        """
        images, labels = self.images(step + ahead), self.labels(step + ahead)
        see = self.view.at(step, side, piece.rows)
        return Shown(piece.of(images), piece.of(labels), see)

    def fakes_for_d(self, step: int, piece: Piece) -> Shown:
        """Return a piece of the fakes for netd's update, detached.

        If netg's update takes the same ones and the batch is not split, netg's graph is kept for
        it, with the features of netd's frozen part, which netd's update does not change.
        """
        if not (piece.whole and shares_fakes(self._config)):
            with torch.no_grad():
                return self._fakes("noise-d", "z", step, piece)
        fakes = self._fakes("noise-d", "z", step, piece)
        if self._reuses_look:
            fakes = replace(fakes, features=self._passes.look(fakes.see(fakes.images)))
        self._kept = fakes
        return fakes.detach()

    def fakes_for_g(self, step: int, piece: Piece) -> Shown:
        """Return a piece of the fakes for netg's update, with netg's graph."""
        kept, self._kept = self._kept, None
        if not shares_fakes(self._config):
            return self._fakes("noise-g", "g-z", step, piece)
        side = "z" if self._reuses_look else "g-z"
        if kept is None:
            return self._fakes("noise-d", side, step, piece)
        return replace(kept, see=self.view.at(step, side, piece.rows))

    @property
    def _reuses_look(self) -> bool:
        return reuses_look(self._nets["netd"])

    def _fakes(self, stream: str, side: str, step: int, piece: Piece) -> Shown:
        noise = piece.of(self.noise(stream, step))
        labels = piece.of(self.drawn_labels(stream, step))
        images = self._passes.generate(noise, labels)
        return Shown(images, labels, self.view.at(step, side, piece.rows))
