"""Computing a projected discriminator's features of the fakes once per batch, or twice.

    python -m benchmarks.looking [--rounds 9] [--threads 1]

Trains `--preset=best` on noise images. Both sides run the same code, but only one keeps the frozen
features of the fakes for the generator's update. They run in turn in one process. Prints Markdown.
"""

import argparse
from dataclasses import replace

from animegan.runtime.device import Runtime
from animegan.training.build import noise_set
from animegan.training.step.gan_trainer import GanTrainer
from benchmarks.ratio import Spread, in_turn, ratio
from benchmarks.training import commit, config_of, trainer_of

STEPS = 5  # per round


def trained(trainer: GanTrainer) -> None:
    for _ in range(STEPS):
        trainer.train_batch()


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--rounds", type=int, default=9)
    ask.add_argument("--threads", type=int, default=1)
    asked = ask.parse_args()
    config = config_of({"preset": "best"})
    on = Runtime.start_together(gpu=False, threads=asked.threads).at(config.precision)
    once, twice = (trainer_of(config, noise_set(256, config.image_size), on) for _ in range(2))
    fakes = twice.inputs.fakes_for_g
    twice.inputs.fakes_for_g = lambda *at: replace(fakes(*at), features=None)  # type: ignore[method-assign]
    sides = {"twice": lambda: trained(twice), "once": lambda: trained(once)}
    for side in sides.values():
        side()
    seconds = in_turn(sides, asked.rounds)
    print(f"{commit()}, {asked.threads} threads, {'bf16' if on.bf16 else 'fp32'}\n")
    print("| features of the fakes | ms per step |\n|---|---|")
    for name, found in seconds.items():
        print(f"| {name} | {Spread.of([1000 * one / STEPS for one in found])} |")
    print(f"\ntwice / once: {ratio(seconds['twice'], seconds['once'])}")


if __name__ == "__main__":
    main()
