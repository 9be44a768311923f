"""The monitor that does nothing takes whatever a training shows."""

import inspect

import torch

from animegan.monitor.base import Monitor, NullMonitor
from animegan.monitor.visdom_client import VisdomMonitor


def test_nobody_may_watch() -> None:
    monitor: Monitor = NullMonitor()
    monitor.text("options", "nz = 100")
    monitor.scalars(20, {"loss_d": 0.5})
    monitor.images("fake", 20, torch.zeros(3, 8, 8, dtype=torch.uint8))
    monitor.close()
    monitor.scalars(21, {})


def test_all_monitors_have_the_protocols_calls() -> None:
    for name in ("scalars", "images", "text", "close"):
        wanted = list(inspect.signature(getattr(Monitor, name)).parameters)
        for kind in (NullMonitor, VisdomMonitor):
            assert list(inspect.signature(getattr(kind, name)).parameters) == wanted
