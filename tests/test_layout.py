"""The one way through the house: CONTRIBUTING.md's list, which imports go up and never down."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "animegan").rglob("*.py"))


def listed() -> dict[str, int]:
    """Places of the files and folders of animegan/ in the list: {"errors": 0, "data": 7, ...}."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    block = text.split("animegan/\n", 1)[1].split("\ntests/", 1)[0]
    found: dict[str, int] = {}
    for line in block.splitlines():
        first = re.match(r"  (\w+)/ ", line)
        names = [first[1]] if first else re.findall(r"\b(\w+)\.py\b", line)
        for name in names:
            found.setdefault(name, len(found))
    return found


def place_of(path: Path) -> str:
    return path.relative_to(ROOT / "animegan").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Modules that are imported when the file runs: not those that only types name."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
    return found


def test_every_file_has_its_place() -> None:
    assert {place_of(path) for path in SOURCES} - {"__init__"} == set(listed())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_up_the_list(path: Path) -> None:
    places = listed()
    names = imported(path)
    above = {"main", "config", "conflicts", "resolve", "session", "spend", "warm_start"}
    assert not {name.split(".")[0] for name in names} & above
    here = place_of(path)
    for name in names:
        package, *parts = name.split(".")
        if package == "animegan" and parts and parts[0] in places and parts[0] != here:
            assert places[parts[0]] < places[here], name
