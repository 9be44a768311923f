"""The gradient of Lite0's stride-2 convolutions in bfloat16: ours compared with torch's.

    python -m benchmarks.halving [--rounds 9] [--threads 1]

Passes 32 noise images, 96 x 96, through the frozen part of a projected discriminator and the
gradient back to them, in turn in one process. Prints Markdown.
"""

import argparse
from unittest.mock import patch

import torch

from animegan.models import efficientnet_lite, projected
from benchmarks.ratio import Spread, in_turn, ratio
from benchmarks.training import commit


def torchs(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return efficientnet_lite._halved(x, weight, bias, weight.shape[0])


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--rounds", type=int, default=9)
    ask.add_argument("--threads", type=int, default=1)
    asked = ask.parse_args()
    torch.set_num_threads(asked.threads)
    netd = projected.Discriminator(96, 3, 64).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(32, 3, 96, 96).contiguous(memory_format=torch.channels_last)

    def there_and_back() -> None:
        shown = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            seen = netd.look(shown)
        torch.autograd.grad([one.float().sum() for one in seen], shown)

    def before() -> None:
        with patch.object(efficientnet_lite._Halved, "apply", torchs):
            there_and_back()

    sides = {"torch's": before, "ours": there_and_back}
    for side in sides.values():
        side()
    seconds = in_turn(sides, asked.rounds)
    print(f"{commit()}, {asked.threads} threads\n\n| gradient | ms |\n|---|---|")
    for name, found in seconds.items():
        print(f"| {name} | {Spread.of([1000 * one for one in found])} |")
    print(f"\ntorch's / ours: {ratio(*seconds.values())}")


if __name__ == "__main__":
    main()
