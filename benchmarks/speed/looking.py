"""Computing a projected discriminator's features of the fakes once per batch, or twice.

    python -m benchmarks.speed.looking [--rounds 9] [--threads 1]

Trains `--preset=best` on noise images. Both sides run the same code, but only one keeps the frozen
features of the fakes for the generator's update. They run in turn in one process. Prints Markdown.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from animegan.runtime.device import Runtime
from animegan.training.step.gan_trainer import GanTrainer
from animegan.training.throughput import noise_set
from benchmarks.harness.command import run
from benchmarks.harness.ratio import Spread, in_turn, ratio
from benchmarks.harness.table import markdown
from benchmarks.harness.training import commit, config_of, trainer_of

PRESET = {"preset": "best"}


def main(*, rounds: int = 9, threads: int = 1, steps: int = 5) -> None:
    """Time both sides, `steps` batches each a round; print the table."""
    compare(PRESET, rounds, threads, steps)


def compare(options: Mapping[str, Any], rounds: int, threads: int, steps: int) -> None:
    """Like `main`, for training with these options."""
    config = config_of(options)
    runtime = Runtime.start_together(gpu=False, threads=threads).at(config.precision)
    once, twice = (trainer_of(config, noise_set(256, config.image_size), runtime) for _ in range(2))
    fakes = twice.inputs.fakes_for_g
    twice.inputs.fakes_for_g = lambda *at: replace(fakes(*at), features=None)  # type: ignore[method-assign]

    def train(trainer: GanTrainer) -> None:
        for _ in range(steps):
            trainer.train_batch()

    sides = {"twice": partial(train, twice), "once": partial(train, once)}
    for side in sides.values():
        side()
    seconds = in_turn(sides, rounds)
    print(f"{commit()}, {threads} threads, {'bf16' if runtime.bf16 else 'fp32'}\n")
    rows = (
        (name, str(Spread.of([1000 * t / steps for t in times]))) for name, times in seconds.items()
    )
    print(markdown(("features of the fakes", "ms per step"), rows))
    print(f"\ntwice / once: {ratio(seconds['twice'], seconds['once'])}")


if __name__ == "__main__":
    run(main)
