"""The textbook's training loop, written from its description, as a baseline.

It uses torchvision's ImageFolder and a DataLoader, nets in the default memory format, Sigmoid and
binary cross-entropy, plain Adam, and reads a loss after every update. The discriminator's step
builds the generator's graph and then detaches the fakes; the generator's step draws its own noise
and computes gradients of the discriminator's weights that are not used.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from animegan.models import Spec, build_netd, build_netg

Labelled = tuple[Tensor, Tensor]  # images [B, 3, S, S] and labels [B]


def pictures_of(folder: Path, image_size: int) -> ImageFolder:
    """Open a folder of class folders; images are float32 [3, S, S] in [-1, 1], decoded on use."""
    steps = [
        transforms.Resize(image_size),
        transforms.CenterCrop(image_size),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ]
    return ImageFolder(str(folder), transforms.Compose(steps))


def loader_of(folder: Path, image_size: int, batch_size: int, workers: int) -> DataLoader[Labelled]:
    """Return shuffled batches [B, 3, S, S] in [-1, 1] with labels, from a folder of class folders.

    Workers persist between epochs: benchmark sets are small, and restarting workers every few
    batches would be unfair.
    """
    return DataLoader(
        pictures_of(folder, image_size), batch_size, shuffle=True, drop_last=True,
        num_workers=workers, persistent_workers=workers > 0,
    )  # fmt: skip


class PlainLoop:
    """The nets of `spec`, their optimizers, and the training loop."""

    def __init__(
        self, loader: Iterable[Labelled], spec: Spec, d_every: int = 1, g_every: int = 1
    ) -> None:
        """Update the discriminator every `d_every`-th batch, the generator every `g_every`-th."""
        self.batches = self._endless(loader)
        self.netg = build_netg(spec).train()
        self.netd = nn.Sequential(build_netd(spec), nn.Sigmoid()).train()
        self.optg = torch.optim.Adam(self.netg.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.optd = torch.optim.Adam(self.netd.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.criterion = nn.BCELoss()
        self.d_every, self.g_every = d_every, g_every
        self.nz = spec.nz
        self.step = 0
        self.losses: dict[str, float] = {}

    @staticmethod
    def _endless(loader: Iterable[Labelled]) -> Iterator[Tensor]:
        while True:
            for images, _ in loader:
                yield images

    def train_batch(self) -> None:
        """Load a batch and run the updates that are due."""
        real = next(self.batches)
        self.step += 1
        if self.step % self.d_every == 0:
            self.step_d(real)
        if self.step % self.g_every == 0:
            self.step_g(len(real))

    def step_d(self, real: Tensor) -> None:
        self.optd.zero_grad()
        loss_real = self.criterion(self.netd(real), torch.ones(len(real)))
        loss_real.backward()
        fake = self.netg(torch.randn(len(real), self.nz, 1, 1)).detach()
        loss_fake = self.criterion(self.netd(fake), torch.zeros(len(real)))
        loss_fake.backward()
        self.optd.step()
        self.losses["loss_d"] = (loss_real + loss_fake).item()

    def step_g(self, count: int) -> None:
        self.optg.zero_grad()
        fake = self.netg(torch.randn(count, self.nz, 1, 1))
        loss = self.criterion(self.netd(fake), torch.ones(count))
        loss.backward()
        self.optg.step()
        self.losses["loss_g"] = loss.item()
