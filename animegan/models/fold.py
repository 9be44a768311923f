"""Optimise nets for inference: fold BatchNorm into convolutions, channels-last."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(net: nn.Module) -> nn.Module:
    """Return an equivalent copy in eval mode, equal up to rounding, with BatchNorm folded.

    Each BatchNorm that directly follows a convolution in a Sequential is merged into its weight
    and bias, using the running statistics.
    """
    net = copy.deepcopy(net).eval()
    for chain in [module for module in net.modules() if isinstance(module, nn.Sequential)]:
        _fold(chain)
    return net.to(memory_format=torch.channels_last)


def _fold(chain: nn.Sequential) -> None:
    for k in range(len(chain) - 1):
        conv, norm = chain[k], chain[k + 1]
        # exact types only: a parametrised convolution recomputes its weight at every call
        if type(conv) in (nn.Conv2d, nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
            transposed = isinstance(conv, nn.ConvTranspose2d)
            chain[k] = fuse_conv_bn_eval(conv, norm, transposed)  # type: ignore[type-var]
            chain[k + 1] = nn.Identity()
