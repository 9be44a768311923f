"""Candidates by number: the noise and the labels that each is drawn from.

Labels are those asked for, or distributed as in training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from animegan.core.errors import UsageError
from animegan.data.labels import Attributes
from animegan.runs.checkpoint import LoadedNet
from animegan.runtime import seeds


@dataclass(frozen=True, eq=False)
class DrawnLabels:
    """Labels by candidate: number `i` of a seed has the same labels whatever else is drawn.

    They are row k of `rows` with a probability proportional to `counts[k]`.
    """

    rows: Tensor  # int64 [K, A]
    counts: Tensor  # [K]

    def __call__(self, seed: int, indices: Sequence[int]) -> Tensor:
        """Return the candidates' labels, int64 [len(indices), A] on the CPU."""

        def picks(source: torch.Generator) -> Tensor:
            return self.counts.double().multinomial(seeds.BLOCK, True, generator=source)

        return self.rows[seeds.in_blocks(seed, "labels", indices, picks)]


@dataclass(frozen=True)
class Noise:
    """Noise vectors by candidate: number `i` of a seed is the same whatever else is drawn."""

    seed: int
    nz: int
    mean: float = 0.0
    std: float = 1.0
    labels: DrawnLabels | None = None

    def given(self, indices: Sequence[int], device: torch.device) -> tuple[Tensor, ...]:
        """Return the candidates' labels as networks take them: a tuple of one tensor, or ()."""
        return () if self.labels is None else (self.labels(self.seed, indices).to(device),)

    def __call__(self, indices: Sequence[int]) -> Tensor:
        """Return their noise, float32 [len(indices), nz, 1, 1] ~ N(mean, std²), on the CPU."""

        def normal(source: torch.Generator) -> Tensor:
            return torch.randn(seeds.BLOCK, self.nz, 1, 1, generator=source)

        rows = seeds.in_blocks(self.seed, "candidates", indices, normal)
        return rows.mul_(self.std).add_(self.mean)


def labels_of(netg: LoadedNet, label: str | None, path: str) -> DrawnLabels | None:
    """Return the labels to draw: those of --label, or the training set's; None if unconditional.

    Raises UsageError for a label that the generator does not know.
    """
    if not netg.spec.classes:
        if label is not None:
            raise UsageError(
                f"--label {label}: {path} was trained without labels; leave it out, or train with "
                "--labels"
            )
        return None
    try:
        saved = netg.about["labels"]
        attributes = Attributes.read(saved)
        rows, counts = torch.tensor(saved["rows"]), torch.tensor(saved["counts"])
        _check(rows, counts, attributes.sizes)
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise UsageError(f"--netg-path {path}: does not list its labels; was it edited?") from None
    if label is None:
        return DrawnLabels(rows, counts)
    return DrawnLabels(torch.tensor([attributes.lookup(label)]), torch.ones(1))


def _check(rows: Tensor, counts: Tensor, sizes: tuple[int, ...]) -> None:
    """Raise ValueError unless each row has a known value, or none (-1), of each attribute."""
    if rows.dtype != torch.long or rows.shape != (len(counts), len(sizes)) or counts.dim() != 1:
        raise ValueError("rows")
    if (rows < -1).any() or (rows >= torch.tensor(sizes)).any():
        raise ValueError("values")
    if not counts.double().isfinite().all() or (counts < 0).any() or counts.sum() <= 0:
        raise ValueError("counts")
