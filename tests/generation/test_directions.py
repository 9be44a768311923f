import json
from pathlib import Path

import pytest
import torch
from torch import nn

from animegan import models
from animegan.core.errors import UsageError
from animegan.generation.directions import FILE, FOUND, Directions, directions_of, found_in
from animegan.models import FAMILIES, Spec


class Stretched(nn.Module):
    """A layer that multiplies the first number of its noise by ten and the second by five."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8, bias=False)
        self.first.weight.data = torch.diag(torch.tensor([10.0, -5, 1, 1, 1, 1, 1, 1]))


def test_what_the_weights_stretch_most_is_found_first() -> None:
    found = found_in(Stretched(), 8)
    assert found.vectors.shape == (FOUND, 8)
    torch.testing.assert_close(found.vectors[:2], torch.eye(8)[:2])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_directions(family: str) -> None:
    for classes in ((), (3,)):
        spec = Spec(image_size=32, nz=16, ngf=8, ndf=8, net=family, classes=classes)
        found = found_in(models.build_netg(spec), 16)
        torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(FOUND))


def test_an_edit_adds_up_and_keeps_the_norm() -> None:
    directions = Directions(("a", "b"), torch.eye(2, 4))
    noise = torch.tensor([0.0, 0, 3, 4])
    edited = directions.edit(noise, (("a", 5.0), ("b", -5.0)))
    assert edited.norm().item() == pytest.approx(5)
    assert edited[0].item() == pytest.approx(-edited[1].item())
    assert edited[0] > 1
    with pytest.raises(KeyError):
        directions.edit(noise, (("c", 1.0),))


def test_a_file_beside_the_weights_comes_first(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"names": ["smile"], "vectors": [[2] + [0] * 7]}))
    found = directions_of(Stretched(), 8, tmp_path / "netg.pth")
    assert found.names == ("smile",)
    torch.testing.assert_close(found.vectors, torch.eye(1, 8))


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"names": ["a"]}', '{"names": ["a"], "vectors": [[1, 2]]}',
     '{"names": ["a", "a"], "vectors": [[1,0,0,0,0,0,0,0], [1,0,0,0,0,0,0,0]]}',
     '{"names": ["a"], "vectors": [[0,0,0,0,0,0,0,0]]}',
     '{"names": ["a"], "vectors": [[NaN,0,0,0,0,0,0,0]]}',
     '{"names": ["a"], "vectors": [["x",0,0,0,0,0,0,0]]}'],
)  # fmt: skip
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UsageError) as caught:
        directions_of(Stretched(), 8, tmp_path / "netg.pth")
    assert caught.value.flags == ("--netg-path",)
