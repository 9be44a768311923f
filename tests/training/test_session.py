"""What a training refuses before it begins, where several processes or folders have to agree."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from animegan.config.config import Config
from animegan.core.errors import UsageError
from animegan.data.folder import Listing
from animegan.evaluation import online
from animegan.runtime.device import Runtime
from animegan.runtime.distributed import ProcessGroup
from animegan.training import session
from tests.support.tiny import config_of


class Other(ProcessGroup):
    """Alone, but told that a second process has other values."""

    other: dict[str, Any]

    def gather(self, value: Any) -> list[Any]:
        return [value, value | self.other]


def ranks_beside(**other: Any) -> ProcessGroup:
    ranks = Other()
    object.__setattr__(ranks, "other", other)
    return ranks


LISTING = Listing(Path("/faces"), tuple(f"{k}.png" for k in range(9)), (0,) * 9, ("faces",))


def test_processes_that_were_told_otherwise_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        session._refuse_other_options(Config(), ranks_beside(batch_size=32, flip=False))
    assert sorted(caught.value.problems) == [
        "--batch-size: 32 on process 1, 64 on process 0; start all processes with the same value",
        "--flip: False on process 1, True on process 0; start all processes with the same value",
    ]


def test_processes_compare_options_before_they_do_anything_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they exchange next depends on --precision: told otherwise, they would wait for ever."""
    asked: list[str] = []
    ranks = Other()
    object.__setattr__(ranks, "other", {"precision": "bf16"})
    monkeypatch.setattr(Runtime, "precision", lambda on, wanted: asked.append(wanted))
    start = Runtime(torch.device("cpu"), ranks)
    monkeypatch.setattr(session.runtime, "start_together", lambda *given: start)
    with pytest.raises(UsageError, match="--precision: bf16 on process 1, auto on process 0"):
        session.train(config_of(precision="auto"), {}, print, LISTING)
    assert asked == []


def test_places_may_differ_between_machines() -> None:
    session._refuse_other_options(Config(), ProcessGroup())
    session._refuse_other_options(replace(Config(), data_path="elsewhere"), ranks_beside())


@pytest.mark.parametrize(
    ("eval_num", "there", "problem"),
    [(None, 9, "--eval-path held: 9 pictures are too few"),
     (50, 40, "--eval-num 50: held has 40 pictures; take 40 or fewer")],
)  # fmt: skip
def test_too_few_held_out_pictures(eval_num: int | None, there: int, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        online.check_count("held", eval_num, there)
    online.check_count("held", eval_num, 50)
