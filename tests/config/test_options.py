from dataclasses import dataclass

import pytest

from animegan.config.options import Layer, option, options_of, settle
from animegan.core.errors import UsageError


@dataclass(frozen=True)
class Some:
    count: int = option(3, "how many", low=1, high=8)
    rate: float = option(0.5, "how fast", above=0)
    folder: str = option("here", "where")
    other: str | None = option(None, "where else")
    gpu: bool | None = option(None, "which")
    resume: bool | str = option(False, "go on")
    kind: str = option("a", "which kind", choices=("a", "b"))
    norm: str | None = option(None, "which norm", choices=("batch", "none"))


OPTIONS = options_of(Some)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("count", "8", 8),
        ("count", "1e0", 1),
        ("count", 2.0, 2),
        ("rate", "1e3", 1000.0),
        ("rate", 2, 2.0),
        ("folder", "2024", "2024"),
        ("folder", "1e3", "1e3"),
        ("folder", "False", "False"),
        ("folder", 2024, "2024"),
        ("other", "none", None),
        ("gpu", "False", False),
        ("gpu", "true", True),
        ("gpu", True, True),
        ("resume", "true", True),
        ("resume", "runs/x", "runs/x"),
        ("kind", "b", "b"),
        ("norm", "none", "none"),
        ("norm", "", None),
        ("norm", None, None),
    ],
)
def test_reads_text_and_typed_values(name, raw, value):
    read = OPTIONS[name].read(raw)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "raw", "wants"),
    [
        ("count", "0", "a whole number from 1 to 8"),
        ("count", "9", "a whole number from 1 to 8"),
        ("count", "2.5", "a whole number"),
        ("count", "nan", "a whole number"),
        ("count", True, "a whole number"),
        ("count", "none", "a whole number"),
        ("rate", "0", "a number greater than 0"),
        ("rate", "inf", "a number greater than 0"),
        ("rate", "fast", "a number greater than 0"),
        ("folder", True, "text"),
        ("folder", " ", "text"),
        ("gpu", "extra", "true or false"),
        ("kind", "c", "one of a, b"),
    ],
)
def test_refuses_with_what_is_wanted(name, raw, wants):
    with pytest.raises(ValueError, match=wants):
        OPTIONS[name].read(raw)


def test_stronger_layers_win_and_sources_are_kept():
    settled = settle(
        OPTIONS, [Layer("preset x", {"count": 4, "kind": "b"}), Layer("flag", {"count": "5"})]
    )
    assert settled.build(Some) == Some(count=5, kind="b")
    assert settled.sources == {"count": "flag", "kind": "preset x"}


def test_all_problems_come_at_once():
    settled = settle(OPTIONS, [Layer("my.toml", {"count": 99}), Layer("flag", {"rate": "x"})])
    with pytest.raises(UsageError) as caught:
        settled.build(Some)
    assert caught.value.problems == (
        "--count (my.toml): got 99; it takes a whole number from 1 to 8",
        "--rate: got 'x'; it takes a number greater than 0",
    )
