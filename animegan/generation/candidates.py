"""Labels of candidates drawn from a weight file: as requested, or distributed as in training."""

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
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"--netg-path {path}: does not list its labels; was it edited?") from None
    if label is None:
        return DrawnLabels(rows, counts)
    return DrawnLabels(torch.tensor([attributes.lookup(label)]), torch.ones(1))
