"""The protocol for displaying a training, and a monitor that displays nothing."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor


class Monitor(Protocol):
    """Displays a training. Calls never block, and never raise because of an external failure."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Show the numbers of one step: loss_d, loss_g, d_x, d_g_z, images_per_second, kid, ..."""

    def images(self, name: str, step: int, pixels: Tensor) -> None:
        """Show a grid of pictures, uint8 [C, H, W] on the CPU; `name` is "fake" or "real"."""

    def text(self, name: str, content: str) -> None:
        """Show plain text, such as the "options" of the run."""

    def close(self) -> None:
        """Send what is pending, within about 2 s, and disconnect; later calls do nothing."""


class NullMonitor:
    """A monitor that displays nothing."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def images(self, name: str, step: int, pixels: Tensor) -> None:
        """Do nothing."""

    def text(self, name: str, content: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
