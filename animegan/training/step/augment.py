"""Differentiable augmentation, applied to reals and fakes alike so that it does not leak.

Colour, translation and cutout: Zhao et al. 2020 (DiffAugment, arXiv:2006.10738). Applying them with
a probability that adapts to the discriminator's overfitting: Karras et al. 2020 (ADA,
arXiv:2006.06676).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from animegan.config import values
from animegan.config.values import POLICIES
from animegan.runtime.device import Runtime
from animegan.runtime.seeds import Streams

if TYPE_CHECKING:
    from animegan.config.config import Config

See = Callable[[Tensor], Tensor]  # images [B, C, S, S] -> as netd sees them

NUMBERS = 10  # random numbers per picture: 3 gates, 3 for colour, 2 for translation, 2 for cutout
SHIFT = 1 / 8  # largest translation, as a share of the picture's side
HOLE = 1 / 2  # side of the cutout, as a share of the picture's side


def draw(count: int, generator: torch.Generator) -> Tensor:
    """Draw the random numbers that `Augment` needs: [count, NUMBERS] ~ U[0, 1) on the CPU."""
    return torch.rand(count, NUMBERS, generator=generator)


class Augment:
    """Augment pictures [B, C, S, S] in [-1, 1], keeping their shape and memory format."""

    def __init__(self, policy: tuple[str, ...] = POLICIES) -> None:
        self.policy = policy

    def __call__(self, images: Tensor, numbers: Tensor, p: float | Tensor = 1.0) -> Tensor:
        """Apply each of the policy's transforms to each picture with probability p.

        numbers: [B, NUMBERS] from `draw`, moved to the pictures' device if necessary.
        p: a number or a scalar tensor on that device; at 0 the pictures are returned unchanged.
        """
        numbers = numbers.to(images.device, non_blocking=True)
        gates = (numbers[:, :3] < p).float()
        if "color" in self.policy:
            images = _colour(images, numbers[:, 3:6], gates[:, 0])
        if "translation" in self.policy:
            images = _translate(images, numbers[:, 6:8], gates[:, 1])
        if "cutout" in self.policy:
            images = _cut_out(images, numbers[:, 8:10], gates[:, 2])
        return images


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _colour(images: Tensor, numbers: Tensor, gate: Tensor) -> Tensor:
    """Shift brightness by -0.5 to 0.5, scale saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    brightness = _column(gate * (numbers[:, 0] - 0.5))
    saturation = _column(1 + gate * (2 * numbers[:, 1] - 1))
    contrast = _column(1 + gate * (numbers[:, 2] - 0.5))
    grey = images.mean(1, keepdim=True)
    level = grey.mean((2, 3), keepdim=True)
    flat = (contrast * (1 - saturation)) * grey + ((1 - contrast) * level + brightness)
    return (contrast * saturation) * images + flat


def _translate(images: Tensor, numbers: Tensor, gate: Tensor) -> Tensor:
    """Move by whole pixels, up to SHIFT of the side; vacated pixels become 0 (middle grey)."""
    side = images.shape[-1]
    furthest = round(side * SHIFT)
    shifts = ((numbers * (2 * furthest + 1)).floor() - furthest) * gate[:, None]
    line = torch.arange(side, device=images.device)
    source = (line - shifts.long()[:, :, None]).clamp(-1, side) + 1  # [B, 2, S], into `padded`
    padded = F.pad(images, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    picture = torch.arange(images.shape[0], device=images.device)[:, None, None]
    return padded[picture, source[:, 0, :, None], source[:, 1, None, :]].permute(0, 3, 1, 2)


def _cut_out(images: Tensor, numbers: Tensor, gate: Tensor) -> Tensor:
    """Set a square with HOLE of the side to 0, centred anywhere in the picture."""
    side = images.shape[-1]
    centres = (numbers * (side + 1)).floor()[:, :, None]
    line = torch.arange(side, device=images.device)
    half = round(side * HOLE / 2)
    inside = ((line >= centres - half) & (line < centres + half)).float()  # [B, 2, S]
    hole = inside[:, 0, :, None] * inside[:, 1, None, :] * gate[:, None, None]
    return images * (1 - hole[:, None])


class AdaptiveAugment(nn.Module):
    """The augmentation probability p, adapted to r = E[sign(D(x))] by ADA's heuristic.

    r above `target` means that the discriminator is too sure of the real pictures (overfitting), so
    p rises; below `target`, p falls. From 0 to 1 takes at least `ramp` pictures (paper: 500,000).
    All state is in buffers.
    """

    p: Tensor
    signs: Tensor

    def __init__(self, target: float = 0.6, ramp: float = 500_000, p: float = 0.0) -> None:
        super().__init__()
        self.target, self.ramp = target, ramp
        self.register_buffer("p", torch.tensor(p))
        self.register_buffer("signs", torch.zeros(2))  # sum and count since the last `adapt`

    @torch.no_grad()
    def watch(self, real: Tensor, boundary: float | Tensor = 0.0) -> None:
        """Accumulate the signs of the reals' logits relative to `boundary` (`losses.Objective`)."""
        signs = (real.detach() - boundary).sign().flatten().nan_to_num()
        self.signs += torch.stack((signs.sum(), signs.new_full((), signs.numel())))

    @torch.no_grad()
    def adapt(self, pictures: int, total: Callable[[Tensor], Tensor] = lambda signs: signs) -> None:
        """Update p, `pictures` after the last update (every 4 batches in the paper).

        `total` sums or averages the counts over processes.
        """
        signs = total(self.signs)
        step = (signs[0] / signs[1].clamp(min=1) - self.target).sign() * (pictures / self.ramp)
        self.p.add_(step).clamp_(0, 1)
        self.signs.zero_()


def _unchanged(images: Tensor) -> Tensor:
    return images


class View:
    """Creates the function that is applied to images before netd sees them."""

    def __init__(self, config: "Config", streams: Streams, runtime: Runtime) -> None:
        self._batch_size = config.batch_size
        self._streams = streams
        self._runtime = runtime
        parts = values.parse(config.augment)
        self._augment = Augment(parts) if parts else None
        self._adaptive = AdaptiveAugment().to(runtime.device) if config.augment == "auto" else None

    def at(self, step: int, side: str, rows: slice) -> See:
        """Return the view of some rows of a batch, a function of images [B, C, S, S] in [-1, 1].

        Repeated calls apply the same transform, which penalties rely on. Random numbers are drawn
        for the whole batch, so they do not depend on the number of pieces or processes.

        Args:
            step: the training step.
            side: name of the random stream: "x" for reals, "z" for fakes, ...
            rows: the images' rows in the whole batch.
        """
        augment = self._augment
        if augment is None:
            return _unchanged
        numbers: list[Tensor] = []

        def see(images: Tensor) -> Tensor:
            if not numbers:
                source = self._streams.generator(f"view-{side}-0", step)
                numbers.append(self._runtime.place(draw(self._batch_size, source)[rows]))
            p = 1.0 if self._adaptive is None else self._adaptive.p
            return augment(images, numbers[0], p)

        return see

    @property
    def adapts(self) -> bool:
        """Whether the augmentation is adaptive and needs `watch`."""
        return self._adaptive is not None

    def watch(self, real_logits: Tensor, boundary: Tensor | float) -> None:
        """Record the logits of reals, from which `--augment auto` estimates overfitting."""
        assert self._adaptive is not None
        self._adaptive.watch(real_logits, boundary)

    def adapt(self, update: int) -> None:
        """Adjust the augmentation probability after every fourth update of netd."""
        if self._adaptive is not None and (update + 1) % 4 == 0:
            self._adaptive.adapt(4 * self._batch_size, self._runtime.group.mean_of)

    def counts(self) -> list[Tensor]:
        """Return this process's counts since the last adjustment, to be averaged over processes."""
        return [] if self._adaptive is None else [self._adaptive.signs]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the adaptive augmentation, empty without one."""
        return {} if self._adaptive is None else self._adaptive.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._adaptive is not None and state:  # empty if the run did not use `auto`
            self._adaptive.load_state_dict(state)
