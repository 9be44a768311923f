"""Recipes to pictures: the same bytes whatever else is drawn beside them."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from animegan.core import images
from animegan.core.errors import UsageError
from animegan.data.labels import Attributes
from animegan.generation.candidates import DrawnLabels, labels_of
from animegan.generation.directions import directions_of
from animegan.generation.recipes import Recipe, Source, origin, shares
from animegan.models.fold import folded
from animegan.runs import checkpoint
from animegan.runtime import modes, seeds

BATCH = 4  # a convolution's rounding depends on the size of its batch, so there is only this one


class RecipeDrawer:
    """A generator that draws recipes.

    Attributes:
        image_size: side S of a picture in pixels.
        labels: the values of each label by its name; empty for a generator without labels.
        directions: the names of the directions that `edit` of a recipe takes.
        step: the training step of the weights, or None if they do not say.
    """

    def __init__(self, netg_path: Path, device: torch.device | str = "cpu") -> None:
        """Read a weight file, and the directions beside it. Raises UsageError if it cannot."""
        self._device = torch.device(device)
        self._path = netg_path
        self._loaded = checkpoint.load_net(netg_path, "netg", self._device)
        self._netg = folded(self._loaded.net)
        self._nz = self._loaded.spec.nz
        self._as_trained = labels_of(self._loaded, None, str(netg_path))
        self._directions = directions_of(self._netg, self._nz, netg_path)
        self._vector = lru_cache(maxsize=4096)(self._draw_vector)
        self.image_size = self._loaded.spec.image_size
        self.directions = self._directions.names
        self.step = self._loaded.about.get("step")
        self.labels: dict[str, tuple[str, ...]] = {}
        if self._as_trained is not None:
            attributes = Attributes.read(self._loaded.about["labels"])
            self.labels = dict(zip(attributes.names, attributes.values, strict=True))

    def check(self, recipe: Recipe, where: str) -> None:
        """Raise UsageError, beginning with `where`, for what this generator cannot draw."""
        for name, _ in recipe.edit:
            if name not in self.directions:
                known = ", ".join(self.directions[:12])
                raise UsageError(f"{where}: no direction {name[:60]!r}; there are {known}")
        if recipe.label is not None:
            self._labels(recipe)

    def __call__(self, recipes: Sequence[Recipe]) -> Tensor:
        """Draw a picture for each recipe, which `check` has passed: uint8 [N, C, S, S] on the CPU.

        A picture is the same, bit for bit on one machine, whatever is drawn with it.
        """
        drawn = [self._batch(recipes[k : k + BATCH]) for k in range(0, len(recipes), BATCH)]
        return torch.cat(drawn)

    def noise(self, recipe: Recipe) -> Tensor:
        """Return the noise of a recipe, float32 [nz] ~ N(0, truncation²) on the CPU."""
        noise = torch.zeros(self._nz)
        for source, share in shares(recipe.base).items():
            noise += share * self._vector(source)
        if recipe.edit:
            noise = self._directions.edit(noise, recipe.edit)
        return noise * recipe.truncation

    def _batch(self, recipes: Sequence[Recipe]) -> Tensor:
        padded = [*recipes, *[recipes[0]] * (BATCH - len(recipes))]
        noise = torch.stack([self.noise(recipe) for recipe in padded])[:, :, None, None]
        given: tuple[Tensor, ...] = ()
        if self._as_trained is not None:
            given = (torch.cat([self._labels(recipe) for recipe in padded]).to(self._device),)
        with modes.evaluating(self._netg):
            pictures = self._netg(noise.to(self._device), *given)
        return images.to_uint8(pictures).cpu()[: len(recipes)]

    def _labels(self, recipe: Recipe) -> Tensor:
        labels: DrawnLabels | None = self._as_trained
        if recipe.label is not None:
            labels = labels_of(self._loaded, recipe.label, str(self._path))
        assert labels is not None  # a generator without labels has refused the recipe
        candidate = origin(recipe.base)
        return labels(candidate.seed, [candidate.index])

    def _draw_vector(self, source: Source) -> Tensor:
        stream, seed, index = source

        def normal(generator: torch.Generator) -> Tensor:
            return torch.randn(seeds.BLOCK, self._nz, 1, 1, generator=generator)

        return seeds.in_blocks(seed, stream, [index], normal).flatten()
