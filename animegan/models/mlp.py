"""Multilayer perceptrons as in the first GAN (Goodfellow et al. 2014), for digits.

The generator: two hidden layers of ReLU. The discriminator: two hidden layers of maxout units, five
pieces each. The paper's dropout is left out: its masks would be random numbers without a step.
"""

from torch import Tensor, nn

from animegan.models.layers import NORMS as NORMS
from animegan.models.layers import Critic, LabelledNoise, spectral

UPS: tuple[str, ...] = ()  # there is nothing to upsample
PIECES = 5


class Generator(nn.Module):
    """Noise [B, nz, 1, 1] -> pictures [B, channels, image_size, image_size] in [-1, 1].

    Hidden layers of 16 · width units: 1,024 at width 64 (the paper's: 1,200).
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
        images: Tensor = self.main(self.noise(noise, labels))
        return images


def _norm(norm: str, features: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm1d(features)
    return nn.LayerNorm(features) if norm == "layer" else nn.Identity()


class Discriminator(Critic):
    """Pictures -> logits [B], through two layers of 4 · width maxout units (the paper's: 240).

    A normalisation stands before the maxout: after it, with only a linear layer to follow, that of
    a batch would give all batches the same mean logit.
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
        x = images.flatten(1)
        for layer, norm in zip((self.first, self.second), self.norms, strict=True):
            x = norm(layer(x)).unflatten(1, (-1, PIECES)).amax(2)
        return self.last(x).flatten(), x
