"""Count the modes that each objective covers on mixtures of Gaussians in the plane.

    python -m benchmarks.quality.toys --steps 8000 --seeds 3

The mixtures are a ring of 8 and a grid of 25 Gaussians, both nets are perceptrons, and every
objective of `animegan.losses.OBJECTIVES` uses its own optimizer, betas and update ratio. A sample
is good within three standard deviations of a centre; a mode is covered if it gets a tenth of its
fair share of good samples. All seeds train at once in one batched net, each with its own weights
and batches. Learning rates fall to 0 over the second half; samples come from the generator's moving
average.
"""

import math
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from animegan.core.errors import UsageError
from animegan.losses.objectives import OBJECTIVES, Objective
from animegan.losses.penalties import clip_weights, dragan, gradient_penalty, zero_centred
from animegan.training.step.ema import Ema
from benchmarks.harness.command import known, run
from benchmarks.harness.table import line

NOISE, HIDDEN, BATCH, SAMPLES = 2, 64, 128, 10_000
WAVES = 4  # Fourier features: sines and cosines of a coordinate times 1, 2, 4, 8


class Mixture:
    """Gaussians around fixed centres with the same standard deviation."""

    def __init__(self, centres: Tensor, deviation: float) -> None:
        self.centres, self.deviation = centres, deviation

    def sample(self, seeds: int, count: int, generator: torch.Generator) -> Tensor:
        """Draw points [seeds, count, 2]."""
        which = torch.randint(len(self.centres), (seeds, count), generator=generator)
        noise = torch.randn(seeds, count, 2, generator=generator)
        return self.centres[which] + self.deviation * noise

    def score(self, samples: Tensor) -> tuple[int, float]:
        """Return (modes covered, share of good samples) for samples [count, 2]."""
        distance, nearest = torch.cdist(samples, self.centres).min(1)
        good = distance <= 3 * self.deviation
        counts = torch.bincount(nearest[good], minlength=len(self.centres))
        fair = len(samples) / len(self.centres)
        return int((counts >= fair / 10).sum()), good.float().mean().item()


def ring() -> Mixture:
    angles = torch.arange(8) * (2 * math.pi / 8)
    return Mixture(1.5 * torch.stack((angles.cos(), angles.sin()), 1), 0.04)


def grid() -> Mixture:
    line = torch.arange(-2.0, 3.0) * 0.75
    return Mixture(torch.cartesian_prod(line, line), 0.04)


MIXTURES = {"ring of 8": ring, "grid of 25": grid}


class Perceptrons(nn.Module):
    """A batch of perceptrons with two hidden layers, one per seed.

    Maps [seeds, B, inputs] to [seeds, B, outputs].
    """

    def __init__(self, seeds: int, inputs: int, outputs: int, leak: float) -> None:
        super().__init__()
        sides = [inputs, HIDDEN, HIDDEN, outputs]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in pairwise(sides):
            weight = torch.randn(seeds, fan_in, fan_out) * (2 / (1 + leak**2) / fan_in) ** 0.5
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.rand(seeds, 1, fan_out) * 2 - 1))
        self.leak = leak

    def forward(self, x: Tensor) -> Tensor:
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < 2:
                x = nn.functional.leaky_relu(x, self.leak)
        return x


class Toy:
    """Trains one objective on one mixture, all seeds at once."""

    def __init__(
        self, row: Objective, mixture: Mixture, seeds: int, options: dict[str, float]
    ) -> None:
        torch.manual_seed(0)
        self.row, self.mixture, self.seeds = row, mixture, seeds
        self.options: dict[str, Any] = {**row.defaults, **options}
        self.netg, self.netd = (
            Perceptrons(seeds, NOISE, 2, 0.0),
            Perceptrons(seeds, 2 + 4 * WAVES, 1, 0.2),
        )
        if "clip" in self.options:
            clip_weights(self.netd, self.options["clip"])
        self.source = torch.Generator().manual_seed(1)
        self.ema = Ema(self.netg)
        self.optg, self.optd = (self._optimizer(net) for net in (self.netg, self.netd))

    def _optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        rate = self.options["lr"]
        if self.options.get("optimizer") == "rmsprop":
            return torch.optim.RMSprop(net.parameters(), rate)
        betas = (self.options.get("beta1", 0.5), self.options.get("beta2", 0.999))
        return torch.optim.Adam(net.parameters(), rate, betas, fused=True)

    def fake(self, count: int) -> Tensor:
        """Generate points [seeds, count, 2]."""
        points: Tensor = self.netg(torch.randn(self.seeds, count, NOISE, generator=self.source))
        return points

    def judge(self, points: Tensor) -> Tensor:
        """Map points [seeds, B, 2] to logits [seeds, B], through Fourier features."""
        angles = (points[..., None] * 2.0 ** torch.arange(WAVES)).flatten(2)
        logits: Tensor = self.netd(torch.cat((points, angles.sin(), angles.cos()), 2))
        return logits.squeeze(2)

    def logits(self, points: Tensor) -> Tensor:
        """Map points [seeds, B, 2] to logits [B, seeds]; losses sum over seeds like over heads."""
        return self.judge(points).t()

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the objective's penalties, summed over seeds, with points as 2 x 1 x 1 images."""
        shape = (self.seeds * BATCH, 2, 1, 1)

        def critic(images: Tensor) -> Tensor:
            return self.judge(images.view(self.seeds, BATCH, 2)).flatten()

        def uniform(*sides: int) -> Tensor:
            return torch.rand(*sides, generator=self.source)

        real, fake = real.reshape(shape), fake.reshape(shape)
        total = torch.zeros(())
        if self.row.penalty == "gp":
            mix = gradient_penalty(critic, real, fake, uniform(shape[0], 1, 1, 1))
            total = total + self.options["gp"] * mix
        if self.row.penalty == "dragan":
            near = dragan(critic, real, uniform(*shape), uniform(shape[0], 1, 1, 1))
            total = total + self.options["gp"] * near
        if self.row.by_size.keys() & {"r1", "r2"}:
            both = zero_centred(critic, real) + zero_centred(critic, fake)
            total = total + self.options["gamma"] * both
        return self.seeds * total

    def step(self, number: int) -> None:
        real = self.mixture.sample(self.seeds, BATCH, self.source)
        if number % int(self.options.get("d_every", 1)) == 0:
            fake = self.fake(BATCH).detach()
            loss = self.row.loss_d(self.logits(real), self.logits(fake))
            self.update(self.optd, loss + self.penalty(real, fake))
            if "clip" in self.options:
                clip_weights(self.netd, self.options["clip"])
        if number % int(self.options.get("g_every", 1)) == 0:
            real_logits = self.logits(real) if self.row.needs_real else None
            self.update(self.optg, self.row.loss_g(self.logits(self.fake(BATCH)), real_logits))

    @staticmethod
    def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        gradients = torch.autograd.grad(loss, weights)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        optimizer.step()

    def run(self, steps: int) -> Iterator[tuple[int, float]]:
        """Train, then yield (modes, share of good samples) of each seed."""
        for number in range(1, steps + 1):
            for optimizer in (self.optg, self.optd):
                optimizer.param_groups[0]["lr"] = self.options["lr"] * min(
                    1, 2 - 2 * number / steps
                )
            self.step(number)
            self.ema.update(self.netg, number * BATCH, BATCH)
        with torch.no_grad():
            noise = torch.randn(self.seeds, SAMPLES, NOISE, generator=self.source)
            for samples in self.ema.net(noise):
                yield self.mixture.score(samples)


# Published rates and weights are for images; these are for points within 2 of the origin.
PLANE: dict[str, dict[str, float]] = {name: {"lr": 1e-3} for name in OBJECTIVES}
PLANE["wgan"] = {"lr": 5e-4, "clip": 0.1}
PLANE["wgan-gp"] = {"lr": 5e-4, "gp": 0.1}  # Gulrajani et al.'s weight for toy data
PLANE["dragan"] |= {"gp": 0.01}
PLANE["r3gan"] |= {"gamma": 0.01, "beta2": 0.99}  # only its learning rate schedule is kept


def main(
    *,
    steps: int = 8000,
    seeds: int = 3,
    loss: tuple[str, ...] = tuple(OBJECTIVES),
    mixture: tuple[str, ...] = tuple(MIXTURES),
    set: tuple[str, ...] = (),
) -> None:
    """Print the table.

    Args:
        steps: batches of real points.
        seeds: trained at once.
        loss, mixture: objectives and mixtures to train.
        set: options of all objectives, each NAME=NUMBER.
    """
    known("--loss", loss, OBJECTIVES)
    known("--mixture", mixture, MIXTURES)
    changed = dict(map(parse_option, set))
    torch.set_num_threads(1)
    print(line(("objective", *(f"{name}: modes | good" for name in mixture))))
    print("|---" * (1 + 2 * len(mixture)) + "|")
    for name in loss:
        cells, start = [], time.perf_counter()
        for kind in mixture:
            toy = Toy(OBJECTIVES[name], MIXTURES[kind](), seeds, {**PLANE[name], **changed})
            scores = list(toy.run(steps))
            cells.append(", ".join(str(modes) for modes, _ in scores))
            cells.append(", ".join(f"{share:.2f}" for _, share in scores))
        print(line((f"`{name}`", *cells)), flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)


def parse_option(text: str) -> tuple[str, float]:
    """Parse NAME=NUMBER."""
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise UsageError(f"--set {text}: not a number; write it like lr=0.001") from None


if __name__ == "__main__":
    run(main)
