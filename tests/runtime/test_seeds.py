"""Random streams: what a seed means, and what a rollback changes of it."""

import torch

from animegan.runtime.seeds import Streams, generator


def drawn(source: torch.Generator) -> list[float]:
    return torch.rand(3, generator=source).tolist()


def test_streams_are_those_of_the_seed() -> None:
    streams = Streams(5)
    assert drawn(streams.generator("noise-d", 2)) == drawn(generator(5, "noise-d", 2))
    assert drawn(streams.fixed("fixed")) == drawn(generator(5, "fixed"))


def test_a_rollback_changes_all_but_the_fixed_streams() -> None:
    streams = Streams(5)
    streams.reseed(2)
    assert drawn(streams.generator("order", 1)) == drawn(generator(5 + 2 * 1_000_003, "order", 1))
    assert drawn(streams.fixed("fixed")) == drawn(generator(5, "fixed"))
    streams.reseed(0)
    assert streams.seed == 5
