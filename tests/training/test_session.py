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
from animegan.training import agreement, session
from tests.support.tiny import config_of


class Other(ProcessGroup):
    """Alone, but told that a second process has other values."""

    other: dict[str, Any]

    def gather(self, value: Any) -> list[Any]:
        return [value, value | self.other]


def group_beside(**other: Any) -> ProcessGroup:
    group = Other()
    object.__setattr__(group, "other", other)
    return group


LISTING = Listing(Path("/faces"), tuple(f"{k}.png" for k in range(9)), (0,) * 9, ("faces",))


def test_processes_that_were_told_otherwise_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        agreement.refuse_other_options(Config(), group_beside(batch_size=32, flip=False))
    assert sorted(caught.value.flags) == ["--batch-size", "--flip"]


def test_processes_compare_options_before_they_do_anything_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they exchange next depends on --precision: told otherwise, they would wait for ever."""
    asked: list[str] = []
    group = Other()
    object.__setattr__(group, "other", {"precision": "bf16"})
    monkeypatch.setattr(Runtime, "precision", lambda on, wanted: asked.append(wanted))
    start = Runtime(torch.device("cpu"), group)
    monkeypatch.setattr(Runtime, "start_together", staticmethod(lambda *given: start))
    with pytest.raises(UsageError) as caught:
        session.train(config_of(precision="auto"), {}, LISTING)
    assert caught.value.flags == ("--precision",)
    assert asked == []


def test_places_may_differ_between_machines() -> None:
    agreement.refuse_other_options(Config(), ProcessGroup())
    agreement.refuse_other_options(replace(Config(), data_path="elsewhere"), group_beside())


@pytest.mark.parametrize(
    ("eval_num", "held_out", "flag"), [(None, 9, "--eval-path"), (50, 40, "--eval-num")]
)
def test_too_few_held_out_pictures(eval_num: int | None, held_out: int, flag: str) -> None:
    with pytest.raises(UsageError) as caught:
        online.check_count("held", eval_num, held_out)
    assert caught.value.flags == (flag,)
    online.check_count("held", eval_num, 50)
