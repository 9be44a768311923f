"""Labels in the networks, and the two parts of every discriminator: `look` and `decide`."""

from typing import cast

import torch
from torch import Tensor, nn

from animegan.models.layers import spectral

CONDITIONS = ("projection", "acgan")
Features = Tensor | list[Tensor]  # what a discriminator's `look` returns


class LabelEmbedding(nn.Module):
    """Embed labels int64 [B, A] (or [B] if A = 1) as [B, width], summed over attributes.

    A is the number of attributes, and `classes` the number of values of each. An unknown value (-1)
    contributes zero.
    """

    def __init__(self, classes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count + 1, width, 0) for count in classes)

    def forward(self, labels: Tensor) -> Tensor:
        """Map labels [B, A] or [B] to embeddings [B, width]."""
        columns = labels.reshape(labels.shape[0], -1).unbind(1)
        embedded = [table(column + 1) for table, column in zip(self.tables, columns, strict=True)]
        return torch.stack(embedded).sum(0)


class ProjectLabels(nn.Module):
    """Inner product of the labels' embedding and features: [B, A], [B, F] -> [B].

    The projection of Miyato & Koyama 2018. Zero for unknown labels, and at initialisation.
    """

    def __init__(self, classes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.embed = LabelEmbedding(classes, width)
        for table in self.embed.parameters():
            nn.init.zeros_(table)

    def forward(self, labels: Tensor, features: Tensor) -> Tensor:
        """Map labels [B, A] and features [B, F] to values [B] to add to the logits."""
        match: Tensor = (self.embed(labels) * features).sum(1)
        return match


class LabelledNoise(nn.Module):
    """Concatenate noise [B, nz, 1, 1] (or [B, nz]) and an embedding of the labels: [B, width].

    Without classes it only flattens. Missing labels count as unknown.

    Each attribute's embedding starts with a norm of about 1, against sqrt(nz) for the noise. With
    N(0, 1) entries the labels would dominate, and the generator would draw one image per label.
    """

    def __init__(self, nz: int, classes: tuple[int, ...]) -> None:
        super().__init__()
        embedding = min(64, nz) if classes else 0
        self.width = nz + embedding
        self.classes = classes
        self.embed = LabelEmbedding(classes, embedding) if classes else None
        if self.embed is not None:
            with torch.no_grad():
                for table in self.embed.parameters():
                    table.mul_(embedding**-0.5)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map noise [B, nz, 1, 1] or [B, nz] and labels [B, A] to [B, width]."""
        noise = noise.flatten(1)
        if self.embed is None:
            return noise
        if labels is None:
            labels = torch.full(
                (noise.shape[0], len(self.classes)), -1, dtype=torch.int64, device=noise.device
            )
        return torch.cat((noise, self.embed(labels).to(noise.dtype)), 1)


class Critic(nn.Module):
    """A discriminator in two parts: `look` makes features of images, `decide` makes logits of them.

    `reuses_look`: whether `look` is worth keeping from one update of a batch to the other. It may
    then have no trainable weights, which the update in between would change.
    """

    reuses_look = False

    def look(self, images: Tensor) -> Features:
        """Map images [B, C, S, S] in [-1, 1] to what `decide` takes: here, the images."""
        return images

    def decide(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map the output of `look` and optional labels [B, A] to logits, [B] or [B, H]."""
        raise NotImplementedError

    def judge(self, features: Features) -> tuple[Tensor, Tensor]:
        """Map the output of `look` to (logits, class logits [B, sum(classes)]); "acgan" only."""
        raise NotImplementedError

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images [B, C, S, S] in [-1, 1] and optional labels [B, A] to logits."""
        return self.decide(self.look(images), labels)


def reuses_look(netd: nn.Module) -> bool:
    """Whether what netd makes of images by `look` serves both updates of a batch."""
    return bool(getattr(netd, "reuses_look", False))


class PixelCritic(Critic):
    """Base class of discriminators that see pixels; subclasses implement `features`.

    With labels, `condition` is one of:

    - "projection" (Miyato & Koyama 2018): adds <label embedding, features> to the logit.
    - "acgan" (Odena et al. 2017): the logit ignores the labels; `judge` also classifies them.
    """

    def __init__(self, features: int, classes: tuple[int, ...], condition: str, norm: str) -> None:
        super().__init__()
        if condition not in CONDITIONS:
            raise ValueError(f"condition must be one of {', '.join(CONDITIONS)}; got {condition}")
        self.width = features
        self.project: nn.Module | None = None
        self.classify: nn.Module | None = None
        if classes and condition == "projection":
            self.project = ProjectLabels(classes, features)
        elif classes:
            self.classify = spectral(nn.Linear(features, sum(classes)), norm)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images [B, C, S, S] in [-1, 1] to (logits [B], features [B, F])."""
        raise NotImplementedError

    def decide(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map images [B, C, S, S] in [-1, 1] and optional labels [B, A] to logits [B]."""
        logits, last = self.features(cast(Tensor, features))
        if self.project is not None and labels is not None:
            logits = logits + self.project(labels, last)
        return logits

    def judge(self, features: Features) -> tuple[Tensor, Tensor]:
        """Map images to (logits [B], class logits [B, sum(classes)]); "acgan" only."""
        assert self.classify is not None
        logits, last = self.features(cast(Tensor, features))
        return logits, self.classify(last)
