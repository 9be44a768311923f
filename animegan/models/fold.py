"""Optimise nets for inference: BatchNorm folded into convolutions, kernels computed once."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from animegan.models.layers import NearestConv


def folded(net: nn.Module) -> nn.Module:
    """Return an equivalent copy in eval mode, equal up to rounding, with BatchNorm folded.

    Each BatchNorm that directly follows a convolution in a Sequential is merged into its weight
    and bias, using the running statistics. The kernel of a NearestConv is computed here instead of
    at each call, so that it can be folded too.
    """
    net = copy.deepcopy(net).eval()
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, NearestConv):
                setattr(module, name, _transposed(child))
    for chain in [module for module in net.modules() if isinstance(module, nn.Sequential)]:
        _fold(chain)
    return net.to(memory_format=torch.channels_last)


def _transposed(conv: NearestConv) -> nn.ConvTranspose2d:
    """Return the transposed convolution that a NearestConv computes, in eval mode."""
    with torch.no_grad():
        kernel = conv.kernel()
    inputs, outputs = kernel.shape[:2]
    same = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    same.weight = nn.Parameter(kernel, conv.weight.requires_grad)
    return same.eval()


def _fold(chain: nn.Sequential) -> None:
    for k in range(len(chain) - 1):
        conv, norm = chain[k], chain[k + 1]
        # exact types only: a parametrised convolution recomputes its weight at every call
        if type(conv) in (nn.Conv2d, nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
            transposed = isinstance(conv, nn.ConvTranspose2d)
            chain[k] = fuse_conv_bn_eval(conv, norm, transposed)  # type: ignore[type-var]
            chain[k + 1] = nn.Identity()
