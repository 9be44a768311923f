"""Modes of networks: evaluating without gradients, and frozen weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(*nets: nn.Module) -> Iterator[None]:
    """Switch nets to eval mode without gradients; restore each module's mode afterwards."""
    modes = [(module, module.training) for net in nets for module in net.modules()]
    for net in nets:
        net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Freeze the net's weights; gradients still flow through it to its input."""
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
