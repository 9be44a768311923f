import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import animegan.exports
from animegan.generation.portable_noise import portable_noise

SCRIPT = Path(animegan.exports.__file__).parent / "page" / "noise.js"
SEEDS = [0, 1, 2, 12345, 2**31, 2**32 - 1]


def test_a_seed_is_the_same_face_whatever_else_is_drawn_and_however_long():
    together = portable_noise(SEEDS, 7)
    assert together.shape == (6, 7)
    assert together.dtype == torch.float32
    for seed, row in zip(SEEDS, together, strict=True):
        assert torch.equal(portable_noise([seed], 7)[0], row)
        assert torch.equal(portable_noise([seed], 12)[0, :7], row)


def test_the_words_are_those_of_the_definition():
    """Worked out with Python's own integers."""

    def mix(word):
        word ^= word >> 16
        word = word * 0x21F0AAAD % 2**32
        word ^= word >> 15
        word = word * 0x735A2D97 % 2**32
        return word ^ word >> 15

    first, second = ((mix(mix(77) ^ mix((k + 0x9E3779B9) % 2**32)) + 0.5) / 2**32 for k in (0, 1))
    radius = torch.tensor(first, dtype=torch.float64).log().mul(-2).sqrt()
    angle = torch.tensor(2 * torch.pi * second, dtype=torch.float64)
    expected = torch.stack([radius * angle.cos(), radius * angle.sin()])
    torch.testing.assert_close(portable_noise([77], 2)[0].double(), expected, atol=1e-6, rtol=0)


def test_it_is_normal_and_its_parts_are_independent():
    noise = portable_noise(range(4000), 50).double()
    count = noise.numel()
    assert abs(noise.mean()) < 4 / count**0.5
    assert abs(noise.square().mean() - 1) < 4 * (2 / count) ** 0.5
    assert abs(noise.pow(4).mean() - 3) < 4 * (96 / count) ** 0.5
    along, across = torch.corrcoef(noise.T), torch.corrcoef(noise[:50])
    assert (along - torch.eye(50)).abs().max() < 6 / 4000**0.5
    assert (across - torch.eye(50)).abs().max() < 6 / 50**0.5


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_javascript_draws_the_same():
    code = (
        f"{SCRIPT.read_text()}\nconsole.log(JSON.stringify({SEEDS}.map(s => [...noiseOf(s, 101)])))"
    )
    done = subprocess.run(
        ["node", "-e", code], capture_output=True, text=True, check=True, timeout=60
    )
    theirs = torch.tensor(json.loads(done.stdout))
    torch.testing.assert_close(theirs, portable_noise(SEEDS, 101), atol=1e-6, rtol=0)
