"""Multilayer perceptrons as in the original GAN (Goodfellow et al. 2014), for digits.

The generator has two hidden ReLU layers, the discriminator two hidden maxout layers of five pieces.
The paper's dropout is omitted: its masks could not be keyed by step, as resuming requires.
"""

from torch import Tensor, nn

from animegan.models.conditioning import LabelledNoise, PixelCritic
from animegan.models.layers import NORMS, spectral
from animegan.models.spec import Family

UPS: tuple[str, ...] = ()  # no upsampling
PIECES = 5


class Generator(nn.Module):
    """Generate images [B, channels, image_size, image_size] in [-1, 1] from noise [B, nz, 1, 1].

    Hidden layers have 16 · width units: 1,024 at width 64 (1,200 in the paper).
    """

    def __init__(
        self, image_size: int, channels: int, nz: int, width: int, classes: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.noise = LabelledNoise(nz, classes)
        hidden = 16 * width
        self.main = nn.Sequential(
            nn.Linear(self.noise.width, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels * image_size**2),
            nn.Tanh(),
            nn.Unflatten(1, (channels, image_size, image_size)),
        )

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map noise [B, nz, 1, 1] and labels [B, A] to images [B, C, S, S] in [-1, 1]."""
        images: Tensor = self.main(self.noise(noise, labels))
        return images


def _norm(norm: str, features: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm1d(features)
    return nn.LayerNorm(features) if norm == "layer" else nn.Identity()


class Discriminator(PixelCritic):
    """Map images [B, channels, image_size, image_size] in [-1, 1] to logits [B].

    Two layers of 4 · width maxout units (240 in the paper). Normalisation precedes maxout: if it
    followed the last one, BatchNorm and a linear layer would give every batch the same mean logit.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int,
        norm: str = NORMS[0],
        classes: tuple[int, ...] = (),
        condition: str = "projection",
    ) -> None:
        hidden = 4 * width
        super().__init__(hidden, classes, condition, norm)
        inputs = channels * image_size**2
        self.first = spectral(nn.Linear(inputs, hidden * PIECES), norm)
        self.second = spectral(nn.Linear(hidden, hidden * PIECES), norm)
        self.norms = nn.ModuleList(_norm(norm, hidden * PIECES) for _ in range(2))
        self.last = spectral(nn.Linear(hidden, 1), norm)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images [B, C, S, S] to (logits [B], last hidden layer [B, F])."""
        x = images.flatten(1)
        for layer, norm in zip((self.first, self.second), self.norms, strict=True):
            x = norm(layer(x)).unflatten(1, (-1, PIECES)).amax(2)
        return self.last(x).flatten(), x


FAMILY = Family(None, UPS, NORMS, (), Generator, Discriminator)
