"""The fan-out and the monitor that does nothing."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from animegan.monitor import Monitor, Monitors, NullMonitor


class Notebook:
    """A monitor that writes down what it is told."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.told: list[object] = []
        self.fault = fault

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.told.append((step, dict(values)))

    def images(self, name: str, step: int, pixels: Tensor) -> None:
        self.told.append((name, step, tuple(pixels.shape)))

    def text(self, name: str, content: str) -> None:
        self.told.append((name, content))

    def close(self) -> None:
        self.told.append("closed")
        if self.fault:
            raise self.fault


def use(monitor: Monitor) -> None:
    monitor.text("options", "nz = 100")
    monitor.scalars(20, {"loss_d": 0.5})
    monitor.images("fake", 20, torch.zeros(3, 8, 8, dtype=torch.uint8))
    monitor.close()


TOLD = [("options", "nz = 100"), (20, {"loss_d": 0.5}), ("fake", 20, (3, 8, 8)), "closed"]


def test_every_call_reaches_every_monitor_in_order() -> None:
    first, second = Notebook(), Notebook()
    use(Monitors(first, NullMonitor(), second))
    assert first.told == second.told == TOLD


def test_one_that_fails_to_close_does_not_keep_the_others_open() -> None:
    first, second = Notebook(), Notebook(OSError("broken"))
    with pytest.raises(OSError, match="broken"):
        use(Monitors(first, second))
    assert first.told[-1] == "closed"


def test_nobody_may_watch() -> None:
    use(NullMonitor())
    use(Monitors())
