"""The statistics that no discriminator optimises, on images whose answers are known."""

import pytest
import torch

from benchmarks.harness import judging


def test_colours_are_means_and_deviations_of_cells() -> None:
    pixels = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    pixels[0, 1, :2, 2:4] = torch.tensor([[10, 20], [30, 40]])
    found = judging.colours(pixels)
    assert found.shape == (1, 96)
    assert found[0, 16 + 1] == 25  # green, first row, second cell
    assert found[0, 48 + 16 + 1] == pytest.approx(12.9, abs=0.01)
    assert (found > 0).sum() == 2


def test_frequencies_tell_fine_from_coarse_whatever_the_brightness() -> None:
    line = torch.arange(32)
    coarse = (100 + 50 * torch.cos(line * torch.pi / 8)).expand(1, 3, 32, 32)
    fine = (100 + 50 * torch.cos(line * torch.pi * 0.75)).expand(1, 3, 32, 32)
    found = judging.frequencies(torch.cat([coarse, fine, fine + 20]).to(torch.uint8))
    assert found.shape == (3, judging.BANDS)
    assert found[0].argmax() == 2  # 1/16 of 1/2 in 16 rings
    assert found[1].argmax() == 12
    torch.testing.assert_close(found[1], found[2], rtol=0, atol=0.05)


def test_apart_is_nothing_between_the_same_and_grows() -> None:
    real = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    assert judging.apart(real, real) == pytest.approx(0, abs=1e-6)
    moved = judging.apart(1000 * real, 1000 * (real + 1))  # in deviations of each number
    assert moved == pytest.approx(float((1 / real.std(0) ** 2).sum()), rel=1e-3)
