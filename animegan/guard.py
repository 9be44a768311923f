"""Keeps a non-finite loss or gradient out of the weights without asking the host."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


class Guard:
    """Masks updates on the device and remembers there the first bad step (-1: none)."""

    def __init__(self, device: torch.device) -> None:
        self.bad_step = torch.full((), -1, dtype=torch.long, device=device)

    def update(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[nn.Parameter],
        loss: Tensor,
        step: int,
        watched: Iterable[tuple[Tensor, Tensor]] = (),
    ) -> None:
        """One optimizer step, skipped where `loss` or a gradient is not finite.

        `watched` pairs each buffer that the step wrote to (BatchNorm's running statistics) with its
        copy from before, which is put back when the step is bad.
        """
        gradients = [one.grad for one in parameters if one.grad is not None]
        good = torch.isfinite(loss) & torch.isfinite(get_total_norm(gradients))
        for now, before in watched:
            # .data: a graph kept for the next update names the buffer, though it will not read it
            now.data.copy_(torch.where(good, now, before))
        if optimizer.defaults.get(
            "fused"
        ):  # then weights, moments and the count of steps stay as they are
            setattr(optimizer, "found_inf", (~good).to(torch.float32))  # noqa: B010
            setattr(optimizer, "grad_scale", None)  # noqa: B010
        else:  # then no moment may take a bad gradient up
            for gradient in gradients:
                gradient.copy_(torch.where(good, gradient, torch.zeros_like(gradient)))
        optimizer.step()
        first = ~good & (self.bad_step < 0)
        self.bad_step = torch.where(first, torch.full_like(self.bad_step, step), self.bad_step)
