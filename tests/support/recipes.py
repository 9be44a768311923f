"""A generator file so small that tests draw with it at once."""

from pathlib import Path

import torch

from animegan import models
from animegan.models import Spec
from animegan.runs import checkpoint

SMALL = Spec(image_size=16, nz=8, ngf=2, ndf=2)
HAIR = {"names": ["hair"], "values": [["red", "blue"]], "rows": [[0], [1]], "counts": [1, 1]}


def save_netg(folder: Path, labelled: bool = False) -> Path:
    """Write netg_last.pth into a folder; its noise matters to every picture."""
    spec = Spec(image_size=16, nz=8, ngf=2, ndf=2, classes=(2,)) if labelled else SMALL
    torch.manual_seed(0)
    netg = models.build_netg(spec)
    with torch.no_grad():
        for _ in range(10):
            given = (torch.zeros(8, 1, dtype=torch.long),) if labelled else ()
            netg(torch.randn(8, spec.nz, 1, 1), *given)
        netg.main[-2].weight.mul_(20)  # strong colours
    path = folder / "netg_last.pth"
    about = {"labels": HAIR} if labelled else {}
    checkpoint.save_net(path, "netg", netg.state_dict(), spec, about)
    return path
