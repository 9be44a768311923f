"""The one way through the house: wings in a row, each of which imports only those after it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "animegan").rglob("*.py"))

# from the top of the house to its ground; wings on one floor do not know each other
FLOORS = (
    ("cli",),
    ("web", "exports"),
    ("training",),
    ("evaluation",),
    ("generation",),
    ("config", "monitor"),
    ("datasets", "runs"),
    ("data", "models", "losses"),
    ("runtime",),
    ("core",),
)
FLOOR = {wing: floor for floor, wings in enumerate(FLOORS) for wing in wings}
TOP_LEVEL = {"animegan", "data", "checkpoints", "tests", "main.py", "config.py", "pyproject.toml",
             "README.md", "docs", "benchmarks", "scripts", "LICENSE", "CONTRIBUTING.md",
             "CHANGELOG.md"}  # fmt: skip


def wing_of(path: Path) -> str:
    return path.relative_to(ROOT / "animegan").parts[0]


def imported(path: Path) -> set[str]:
    """Modules that are imported when the file runs: not those that only types name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found |= {f"{node.module}.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
    return found


def test_every_wing_has_its_floor() -> None:
    wings = {path.name for path in (ROOT / "animegan").iterdir() if (path / "__init__.py").exists()}
    assert wings == set(FLOOR)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_runs_up(path: Path) -> None:
    for name in imported(path):
        package, *parts = name.split(".")
        assert package not in ("main", "config", "tests", "benchmarks"), name
        if package == "animegan" and parts and parts[0] in FLOOR and wing_of(path) in FLOOR:
            here, there = wing_of(path), parts[0]
            assert here == there or FLOOR[there] > FLOOR[here], name


def test_no_test_imports_benchmarks_but_their_own() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if "benchmarks" not in path.parts:
            assert not any(name.startswith("benchmarks") for name in imported(path)), path


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_much_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 345


def test_only_one_wing_knows_about_cuda_and_processes() -> None:
    for path in SOURCES:
        if wing_of(path) != "runtime":
            names = imported(path)
            assert not any(name.startswith(("torch.distributed", "torch.cuda")) for name in names)
            text = path.read_text(encoding="utf-8")
            assert "torch.cuda" not in text, path
            assert "torch.distributed" not in text, path


def test_the_top_level_holds_what_the_user_fixed() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found - {"build", "dist", "result.png"} <= TOP_LEVEL | {"animegan.egg-info"}
