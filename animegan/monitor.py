"""How a training is watched: the protocol, and a monitor that does nothing."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor


class Monitor(Protocol):
    """Takes what a training shows. No call blocks, and none raises for a fault outside."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of one step: loss_d, loss_g, d_x, d_g_z, images_per_second, kid, fd, ..."""

    def images(self, name: str, step: int, pixels: Tensor) -> None:
        """A sheet of images, uint8 [C, H, W] on the CPU; `name` is "fake" or "real"."""

    def text(self, name: str, content: str) -> None:
        """Plain text, such as the "options" of the run."""

    def close(self) -> None:
        """Send what is left, within about 2 s, and let go. Later calls do nothing."""


class NullMonitor:
    """Nobody watches."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Dropped."""

    def images(self, name: str, step: int, pixels: Tensor) -> None:
        """Dropped."""

    def text(self, name: str, content: str) -> None:
        """Dropped."""

    def close(self) -> None:
        """Nothing to let go of."""
