"""Running means that stay on the device until they are read."""

import math

import torch
from torch import Tensor

NAMES = ("loss_d", "loss_g", "d_x", "d_g_z", "penalty", "aux_x", "aux_g_z")


class Meters:
    """Means, since they were last read, of the losses, D(x), D(G(z)), penalty and AC-GAN's loss.

    `loss_d` and `loss_g` are those of the objective alone. The penalty and AC-GAN's loss (`aux_x`
    for the reals, `aux_g_z` for the discriminator's fakes, both before weighting by `--aux`) are
    separate.
    """

    def __init__(self, device: torch.device) -> None:
        self.table = torch.zeros(2, len(NAMES), device=device)  # sums, counts

    def add(self, **values: Tensor) -> None:
        """Add scalar tensors by name, without copying anything to the host."""
        for name, value in values.items():
            column = self.table[:, NAMES.index(name)]
            column[0] += value.detach()
            column[1] += 1

    def read(self, *beside: Tensor) -> tuple[dict[str, float], list[float]]:
        """Return the means and the scalars `beside`, in a single copy to the host, and reset.

        Meters without values are left out.
        """
        flat = torch.cat(
            [self.table.flatten(), *(scalar.to(torch.float32).view(1) for scalar in beside)]
        )
        numbers = flat.tolist()
        sums, counts = numbers[: len(NAMES)], numbers[len(NAMES) : 2 * len(NAMES)]
        means = {n: s / c for n, s, c in zip(NAMES, sums, counts, strict=True) if c}
        self.table.zero_()
        return means, numbers[2 * len(NAMES) :]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the sums and counts collected so far."""
        return {"table": self.table}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore sums and counts; meters that an old state does not have start at zero."""
        saved = state["table"]
        self.table.zero_()
        self.table[:, : saved.shape[1]] = saved


def line(means: dict[str, float]) -> dict[str, str]:
    """Format the means for the progress bar, leaving out non-finite ones."""
    return {name: f"{value:.3f}" for name, value in means.items() if math.isfinite(value)}
