"""Running means that stay on the device until somebody looks."""

import math

import torch
from torch import Tensor

NAMES = ("loss_d", "loss_g", "d_x", "d_g_z", "penalty", "aux_x", "aux_g_z")


class Meters:
    """Means since the last look of both losses, of D(x) and of D(G(z)), and of AC-GAN's loss.

    `loss_d` and `loss_g` are the objective's; a penalty and AC-GAN's loss (`aux_x` of the reals,
    `aux_g_z` of the discriminator's fakes, before `--aux` weighs them) are kept beside them.
    """

    def __init__(self, device: torch.device) -> None:
        self.table = torch.zeros(2, len(NAMES), device=device)  # sums, counts

    def add(self, **values: Tensor) -> None:
        """Take scalars in, by name; nothing is copied to the host."""
        for name, value in values.items():
            column = self.table[:, NAMES.index(name)]
            column[0] += value.detach()
            column[1] += 1

    def read(self, *beside: Tensor) -> tuple[dict[str, float], list[float]]:
        """The means, and the scalars `beside`, in one copy to the host; then start anew.

        A meter that saw nothing is left out.
        """
        flat = torch.cat([self.table.flatten(), *(one.to(torch.float32).view(1) for one in beside)])
        numbers = flat.tolist()
        sums, counts = numbers[: len(NAMES)], numbers[len(NAMES) : 2 * len(NAMES)]
        means = {n: s / c for n, s, c in zip(NAMES, sums, counts, strict=True) if c}
        self.table.zero_()
        return means, numbers[2 * len(NAMES) :]

    def state_dict(self) -> dict[str, Tensor]:
        return {"table": self.table}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        saved = state["table"]  # of fewer meters, if it is an old one
        self.table.zero_()
        self.table[:, : saved.shape[1]] = saved


def line(means: dict[str, float]) -> dict[str, str]:
    """The means as a progress bar shows them."""
    return {name: f"{value:.3f}" for name, value in means.items() if math.isfinite(value)}
