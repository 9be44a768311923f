"""Keep a non-finite loss or gradient out of the weights, without synchronising with the host."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


class Guard:
    """Skips bad updates on the device; `bad_step` holds the first bad step there (-1: none)."""

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
        """Take one optimizer step, skipped if `loss` or a gradient is not finite.

        `watched` pairs each buffer that the forward pass changed (BatchNorm's running statistics)
        with a copy from before, which is restored if the step is bad.
        """
        gradients = [one.grad for one in parameters if one.grad is not None]
        good = torch.isfinite(loss) & torch.isfinite(get_total_norm(gradients))
        for now, before in watched:
            # .data: a graph kept for the next update refers to the buffer, without reading it
            now.data.copy_(torch.where(good, now, before))
        if optimizer.defaults.get("fused"):  # the optimizer itself skips a bad step
            setattr(optimizer, "found_inf", (~good).to(torch.float32))  # noqa: B010
            setattr(optimizer, "grad_scale", None)  # noqa: B010
        else:  # keep bad gradients out of the moments
            for gradient in gradients:
                gradient.copy_(torch.where(good, gradient, torch.zeros_like(gradient)))
        optimizer.step()
        first = ~good & (self.bad_step < 0)
        self.bad_step = torch.where(first, torch.full_like(self.bad_step, step), self.bad_step)
