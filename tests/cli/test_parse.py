from dataclasses import dataclass
from typing import ClassVar

import pytest

from animegan.cli import parse as command_line
from animegan.config.options import option, options_of


@dataclass(frozen=True, kw_only=True)
class Device:
    heading: ClassVar = "Device"

    gpu: bool | None = option(None, "which device", on="train generate")


@dataclass(frozen=True, kw_only=True)
class Machine:
    heading: ClassVar = "Machine"

    num_workers: int = option(4, "workers", low=0)
    data_path: str = option("data/", "folder")
    resume: bool | str = option(False, "go on")
    gen_mean: float = option(0.0, "mean", on="generate")
    src: str | None = option(None, "what to prepare", on="prepare", bare="SRC")


@dataclass(frozen=True, kw_only=True)
class Some(Device, Machine):
    """Both groups."""


OPTIONS = options_of(Some)
COMMANDS = ["train", "generate", "prepare"]


def parse(*words):
    return command_line.parse(words, COMMANDS, OPTIONS)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--gpu"], {"gpu": "true"}),
        (["--gpu=False"], {"gpu": "False"}),
        (["--gpu", "false"], {"gpu": "false"}),
        (["--nogpu"], {"gpu": "false"}),
        (["--no-gpu"], {"gpu": "false"}),
        (["--num-workers", "2"], {"num_workers": "2"}),
        (["--num_workers=2"], {"num_workers": "2"}),
        (["--data-path=a=b"], {"data_path": "a=b"}),
        (["--data-path", "2024"], {"data_path": "2024"}),
        (["--resume", "--gpu"], {"resume": "true", "gpu": "true"}),
        (["--resume", "x.pt"], {"resume": "x.pt"}),
    ],
)
def test_values_stay_text(words, values):
    line = parse("train", *words)
    assert line.problems == []
    assert line.values == values


def test_a_negative_number_is_a_value():
    assert parse("generate", "--gen-mean", "-0.5").values == {"gen_mean": "-0.5"}


def test_a_bare_word_fills_the_positional_option():
    assert parse("prepare", "pile").values == {"src": "pile"}
    assert "more: unexpected argument" in parse("prepare", "pile", "more").problems[0]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--num-worker", "3"], "--num-worker: unknown option; did you mean --num-workers?"),
        (["--zzz"], "--zzz: unknown option"),
        (["faces"], "faces: unexpected argument"),
        (["--gpu", "--gpu=false"], "--gpu: given twice (true and false); keep one"),
        (["--gpu", "--nogpu"], "--gpu: given twice (true and false); keep one"),
        (["--data-path"], "--data-path: needs a value; it takes text"),
        (["--data-path", "--gpu"], "--data-path: needs a value; it takes text"),
        (["--nogpu=true"], "--nogpu true: takes no value; write --gpu=true or --gpu=false"),
        (["--gen-mean=1"], "--gen-mean: not an option of train, but of generate"),
        (["-g"], "-g: unknown option"),
    ],
)
def test_each_mistake_has_its_line(words, problem):
    problems = parse("train", *words).problems
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_all_mistakes_are_told_together():
    assert len(parse("train", "--foo", "1", "bar", "--data-path").problems) == 3


def test_an_unknown_command_gets_a_near_one():
    assert parse("trian").problems == ["trian: no such command; did you mean train?"]


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], [], ["help", "train"]])
def test_help_is_asked_for(words):
    assert parse(*words).help


def test_help_page_names_meaning_default_and_range():
    page = command_line.help_page("train", "Train.", OPTIONS, {})
    assert "--num-workers  (a whole number of at least 0; default 4)\n      workers" in page
    assert "--gen-mean" not in page
    assert page.index("\nMachine:\n") < page.index("--num-workers") < page.index("--data-path")


def test_help_page_shows_the_defaults_of_its_own_command():
    page = command_line.help_page("train", "Train.", OPTIONS, {"num_workers": 1, "data_path": None})
    assert "--num-workers  (a whole number of at least 0; default 1)" in page
    assert "--data-path  (text)" in page


def test_help_page_names_the_bare_word():
    page = command_line.help_page("prepare", "Prepare.", OPTIONS, {})
    assert page.splitlines()[0].endswith(" prepare SRC [--option=value ...]")
    assert "--src" not in page
