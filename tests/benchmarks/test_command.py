"""The command line of a benchmark calls its function with values of the right types."""

from pathlib import Path
from typing import Any, Literal

import pytest

from animegan.core.errors import UsageError
from benchmarks.harness import command

calls: list[dict[str, Any]] = []


def work(
    name: str,
    *,
    data: Path,
    batch: tuple[int, ...] = (64, 256),
    minutes: float | None = None,
    against: Literal["split", "heldout"] = "split",
    compile: bool = False,
) -> None:
    """Remember the call."""
    if name == "wrong":
        raise UsageError("NAME wrong: unknown; take right")
    calls.append({"name": name, "data": data, "batch": batch, "minutes": minutes,
                  "against": against, "compile": compile})  # fmt: skip


def rest(*, count: int = 1) -> None:
    """Do nothing else."""
    calls.append({"count": count})


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("", {}),
        ("--batch 3", {"batch": (3,)}),
        ("--batch 3 4", {"batch": (3, 4)}),
        ("--batch 3 --batch 4", {"batch": (3, 4)}),
        ("--minutes 15", {"minutes": 15.0}),
        ("--against=heldout --compile", {"against": "heldout", "compile": True}),
    ],
)
def test_flags_become_parameters(words: str, changed: dict[str, Any]) -> None:
    calls.clear()
    command.run(work, words=f"best --data some/folder {words}".split())
    usual = {"name": "best", "data": Path("some/folder"), "batch": (64, 256), "minutes": None,
             "against": "split", "compile": False}  # fmt: skip
    assert calls == [usual | changed]


def test_the_first_word_names_one_of_several_functions() -> None:
    calls.clear()
    command.run(work, rest, words=["rest", "--count", "2"])
    assert calls == [{"count": 2}]


@pytest.mark.parametrize(
    "words",
    ["best", "--data d", "best --data d --batch x", "best --data d --what", "wrong --data d",
     "best --data d --against other"],
)  # fmt: skip
def test_a_mistake_ends_with_code_2(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    calls.clear()
    with pytest.raises(SystemExit) as ended:
        command.run(work, words=words.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err
    assert not calls


def test_names_are_checked() -> None:
    command.known("--loss", ("bce",), ("bce", "hinge"))
    with pytest.raises(UsageError) as error:
        command.known("--loss", ("bce", "wgna"), ("bce", "hinge"))
    assert error.value.flags == ("--loss",)
