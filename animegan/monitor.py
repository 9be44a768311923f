"""How a training is watched: the protocol, a monitor that does nothing, and a fan-out."""

from collections.abc import Mapping
from contextlib import ExitStack
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


class Monitors:
    """Several watch: each call goes to all of them, in order."""

    def __init__(self, *monitors: Monitor) -> None:
        self._monitors = monitors

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """As `Monitor.scalars`."""
        for monitor in self._monitors:
            monitor.scalars(step, values)

    def images(self, name: str, step: int, pixels: Tensor) -> None:
        """As `Monitor.images`."""
        for monitor in self._monitors:
            monitor.images(name, step, pixels)

    def text(self, name: str, content: str) -> None:
        """As `Monitor.text`."""
        for monitor in self._monitors:
            monitor.text(name, content)

    def close(self) -> None:
        """Close all, the last first; one that raises does not keep the others open."""
        with ExitStack() as stack:
            for monitor in self._monitors:
                stack.callback(monitor.close)
