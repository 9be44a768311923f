"""animegan: train a GAN on a folder of anime faces and draw new ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from animegan.generation.generator import Generator

__version__ = "0.1.0"
__all__ = ["__version__", "load_generator"]


def load_generator(path: str | Path, device: torch.device | str = "cpu") -> Generator:
    """Load the generator of a weight file, such as a run's `netg_best.pth`.

    See `animegan.generation.generator.Generator` for its use. The file is read without running
    any code in it. Importing animegan does not import torch; this does.

    Raises:
        animegan.core.errors.UsageError: the file is missing, damaged, or not a generator's.
    """
    from animegan.generation.generator import Generator

    return Generator.load(path, device)
