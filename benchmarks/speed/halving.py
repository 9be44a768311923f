"""The gradient of Lite0's stride-2 convolutions in bfloat16: ours compared with torch's.

    python -m benchmarks.speed.halving [--rounds 9] [--threads 1]

Passes noise images through the frozen part of a projected discriminator and the
gradient back to them, in turn in one process. Prints Markdown.
"""

from unittest.mock import patch

import torch

from animegan.models import efficientnet_lite, projected
from benchmarks.harness.command import run
from benchmarks.harness.ratio import Spread, in_turn, ratio
from benchmarks.harness.table import markdown
from benchmarks.harness.training import commit


def torchs(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return efficientnet_lite._halved(x, weight, bias, weight.shape[0])


def main(*, rounds: int = 9, threads: int = 1, count: int = 32, size: int = 96) -> None:
    """Time `count` images of `size` pixels; print the table."""
    torch.set_num_threads(threads)
    netd = projected.Discriminator(size, 3, 64).to(memory_format=torch.channels_last)
    images = torch.randn(count, 3, size, size).contiguous(memory_format=torch.channels_last)

    def there_and_back() -> None:
        shown = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            features = netd.look(shown)
        torch.autograd.grad([scale.float().sum() for scale in features], shown)

    def before() -> None:
        with patch.object(efficientnet_lite._Halved, "apply", torchs):
            there_and_back()

    sides = {"torch's": before, "ours": there_and_back}
    for side in sides.values():
        side()
    seconds = in_turn(sides, rounds)
    print(f"{commit()}, {threads} threads\n")
    rows = ((name, str(Spread.of([1000 * t for t in times]))) for name, times in seconds.items())
    print(markdown(("gradient", "ms"), rows))
    print(f"\ntorch's / ours: {ratio(*seconds.values())}")


if __name__ == "__main__":
    run(main)
