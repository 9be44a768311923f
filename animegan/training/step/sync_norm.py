"""Synchronised BatchNorm for any device.

torch's SyncBatchNorm does not support the CPU and is not twice differentiable.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from animegan.losses.adversarial import Mean


class SyncNorm(_BatchNorm):
    """BatchNorm1d or 2d with statistics over the batches of all processes, of equal size.

    It communicates once in the forward pass and once in the backward pass.
    """

    def __init__(self, plain: _BatchNorm, mean_of: Mean, size: int) -> None:
        """Take over the weights and buffers of `plain` (the same tensors, not copies).

        Args:
            plain: an affine BatchNorm that tracks running statistics.
            mean_of: differentiable mean of a tensor over processes.
            size: number of processes.
        """
        super().__init__(1, plain.eps, plain.momentum, affine=False, track_running_stats=False)
        assert plain.affine
        assert plain.track_running_stats
        assert plain.momentum is not None
        self.num_features = plain.num_features
        self.affine = self.track_running_stats = True
        self.weight, self.bias = plain.weight, plain.bias
        self.running_mean, self.running_var = plain.running_mean, plain.running_var
        self.num_batches_tracked = plain.num_batches_tracked
        self.training = plain.training
        self._mean_of = mean_of
        self._size = size

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected [B, C, H, W] or [B, F], got {input.dim()} dimensions")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [B, C, H, W] or [B, F]; shape, dtype and memory format are preserved."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        assert self.running_mean is not None
        precise = torch.promote_types(input.dtype, torch.float32)
        dims = [0, *range(2, input.dim())]
        var, mean = torch.var_mean(input.to(precise), dims, correction=0)
        # moments about the running mean, which all processes share: less cancellation
        point = self.running_mean.clone()
        off = mean - point
        off, square = self._mean_of(torch.stack((off, var + off.square()))).unbind()
        mean, var = point + off, (square - off.square()).clamp(min=0)
        self._track(mean, var, self._size * input.numel() // input.shape[1])
        scale = self.weight * (var + self.eps).rsqrt()
        shift = self.bias - mean * scale
        shape = (1, -1, *[1] * (input.dim() - 2))
        return torch.addcmul(shift.view(shape), input, scale.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Update the running statistics; `count` is the values per channel over all processes."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        if count < 2:
            raise ValueError("BatchNorm needs more than one value per channel")
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = var * (count / (count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)


def synchronise(net: nn.Module, mean_of: Mean, size: int) -> None:
    """Replace every BatchNorm of the net in place; state dict keys do not change."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, SyncNorm(child, mean_of, size))
