"""A trained generator for other programs: noise in, uint8 pictures out. Needs torch alone."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from animegan.core import images
from animegan.core.errors import UsageError
from animegan.data.labels import Attributes
from animegan.generation.candidates import Noise, labels_of
from animegan.generation.generate import chunk_of, draw
from animegan.models.fold import folded
from animegan.runs import checkpoint
from animegan.runs.checkpoint import LoadedNet
from animegan.runtime import modes


class Generator:
    """Draws pictures as `animegan generate` does, without scoring them.

    Attributes:
        nz: length of a noise vector.
        image_size: side S of a picture in pixels.
        channels: C, 3 for colour (RGB) or 1 for grey.
        labels: the values of each label by its name, such as {"hair": ("blonde", "red")}; empty
            for a generator that takes no labels.
        device: where the network computes.
    """

    def __init__(self, loaded: LoadedNet, path: str, device: torch.device) -> None:
        self._loaded, self._path = loaded, path
        self._netg = folded(loaded.net)
        self.nz = loaded.spec.nz
        self.image_size = loaded.spec.image_size
        self.channels = loaded.spec.channels
        self.labels = _values(loaded, path)
        self.device = device

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> "Generator":
        """Read a weight file. Raises UsageError as `animegan.load_generator` does."""
        place = torch.device(device)
        return cls(checkpoint.load_net(path, "netg", place), str(path), place)

    def __call__(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw a picture for each noise vector.

        Args:
            noise: float [N, nz] or [N, nz, 1, 1], usually ~ N(0, 1), on any device.
            labels: int64 [N, A], a row of `encode` for each picture; only for a generator that
                takes labels, which needs them.

        Returns:
            uint8 [N, C, S, S] in RGB order on the generator's device; `.permute(0, 2, 3, 1)` gives
            [N, S, S, C], as Pillow and numpy have it.

        Raises:
            ValueError: shapes that do not fit, or labels missing or not taken.
        """
        if noise.shape[1:] not in ((self.nz,), (self.nz, 1, 1)):
            raise ValueError(f"noise is {list(noise.shape)}; it must be [N, {self.nz}]")
        if bool(self.labels) != (labels is not None):
            raise ValueError("needs labels" if self.labels else "takes no labels")
        if labels is not None and labels.shape != (len(noise), len(self.labels)):
            raise ValueError(f"labels are {list(labels.shape)}; see `encode`")
        noise = noise.reshape(len(noise), self.nz, 1, 1).float()
        chunk = chunk_of(self.image_size, self.device)
        drawn = [
            self._draw(noise[k : k + chunk], None if labels is None else labels[k : k + chunk])
            for k in range(0, len(noise), chunk)
        ]
        return torch.cat(drawn) if drawn else self._empty()

    def sample(self, count: int, seed: int = 0, label: str | None = None) -> Iterator[Tensor]:
        """Yield pictures 0 .. count - 1 of a seed, uint8 [C, S, S] on the CPU.

        They are the candidates of `animegan generate --seed=SEED --label=LABEL`, equal bit by bit
        on one machine. Without a label, labels are as frequent as in training. Raises UsageError
        for an unknown label.
        """
        noise = Noise(seed, self.nz, labels=labels_of(self._loaded, label, self._path))
        chunk = chunk_of(self.image_size, self.device)
        for pictures in draw(self._netg, noise, range(count), self.device, chunk):
            yield from pictures

    def encode(self, label: str, count: int = 1) -> Tensor:
        """Return a label such as `hair=blonde,eyes=blue` as int64 [count, A] for a call.

        Raises UsageError for a label that the generator does not know.
        """
        drawn = labels_of(self._loaded, label, self._path)
        assert drawn is not None  # a generator without labels has raised
        return drawn.rows.expand(count, -1)

    def _draw(self, noise: Tensor, labels: Tensor | None) -> Tensor:
        given = () if labels is None else (labels.to(self.device),)
        with modes.evaluating(self._netg):
            return images.to_uint8(self._netg(noise.to(self.device), *given))

    def _empty(self) -> Tensor:
        shape = (0, self.channels, self.image_size, self.image_size)
        return torch.empty(shape, dtype=torch.uint8, device=self.device)


def _values(loaded: LoadedNet, path: str) -> dict[str, tuple[str, ...]]:
    if not loaded.spec.classes:
        return {}
    try:
        attributes = Attributes.read(loaded.about["labels"])
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"--netg-path {path}: does not list its labels; was it edited?") from None
    return dict(zip(attributes.names, attributes.values, strict=True))
