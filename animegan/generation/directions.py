"""Directions in the noise along which faces change in one way: of a file, or found in the weights.

A file `directions.json` beside the weights holds them by name:
`{"names": ["hair: blonde", ...], "vectors": [[...], ...]}`, one vector of length nz for each.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from animegan.core.errors import UsageError, reason

FOUND = 6  # directions taken from the weights
MOST_BYTES = 16 * 2**20
FILE = "directions.json"


@dataclass(frozen=True, eq=False)
class Directions:
    """Unit vectors by name: float32 [len(names), nz] on the CPU."""

    names: tuple[str, ...]
    vectors: Tensor

    def edit(self, noise: Tensor, strengths: tuple[tuple[str, float], ...]) -> Tensor:
        """Move noise [nz] along directions and back to its norm, that of noise in training.

        Raises KeyError for a name that is not there.
        """
        moved = noise
        for name, strength in strengths:
            if name not in self.names:
                raise KeyError(name)
            moved = moved + strength * self.vectors[self.names.index(name)]
        edited: Tensor = moved * (noise.norm() / moved.norm().clamp_min(1e-6))
        return edited


def directions_of(netg: nn.Module, nz: int, netg_path: Path) -> Directions:
    """Return the directions of the file beside the weights, else those found in the weights.

    Raises UsageError if the file is not one of directions for this generator.
    """
    path = netg_path.with_name(FILE)
    return _read(path, nz) if path.is_file() else found_in(netg, nz)


def _read(path: Path, nz: int) -> Directions:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        saved = json.loads(path.read_text(encoding="utf-8"))
        names = tuple(str(name) for name in saved["names"])
        vectors = torch.tensor(saved["vectors"], dtype=torch.float32)
        if vectors.shape != (len(names), nz) or len(set(names)) < len(names):
            raise ValueError(f"{len(names)} different names and as many vectors of {nz} are needed")
        if not vectors.isfinite().all() or not (vectors.norm(dim=1) > 0).all():
            raise ValueError("a vector is zero or not finite")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError) as error:
        raise UsageError(
            f"--netg-path: {path} is beside the weights, but has no directions for them "
            f"({reason(error, 80)}); mend or move it"
        ) from None
    return Directions(names, torch.nn.functional.normalize(vectors, dim=1))


def found_in(netg: nn.Module, nz: int) -> Directions:
    """Return the FOUND directions that change most in the first layers.

    Closed-form factorisation (Shen & Zhou 2021, arXiv:2007.06600): the eigenvectors of AᵀA with
    the largest eigenvalues, where the rows of A are all weights that the noise is multiplied with.
    Each points to where its largest entry is positive.
    """
    weights = torch.cat([weight[:, :nz].double().cpu() for weight in _of_noise(netg, nz)])
    vectors = torch.linalg.eigh(weights.T @ weights).eigenvectors.flip(1)[:, :FOUND].T
    largest = vectors.abs().argmax(1, keepdim=True)
    vectors = (vectors * vectors.gather(1, largest).sign()).float()
    return Directions(tuple(f"direction {k + 1}" for k in range(len(vectors))), vectors)


def _of_noise(netg: nn.Module, nz: int) -> list[Tensor]:
    """Return the weights, [outputs, width], of the layers that take the noise (and labels)."""
    width = getattr(getattr(netg, "noise", None), "width", nz)
    modules = list(netg.modules())
    found = [m.weight for m in modules if isinstance(m, nn.Linear) and m.in_features == width]
    first = next((m for m in modules if isinstance(m, nn.ConvTranspose2d)), None)
    if not found and first is not None and first.in_channels == width:
        found = [first.weight.flatten(1).T]
    return [weight.detach() for weight in found] or [torch.eye(nz)]
