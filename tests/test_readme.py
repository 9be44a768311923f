"""The command lines in the README files are ones that the tool takes."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from animegan.cli import app as main
from animegan.cli import parse
from animegan.config.config import OPTIONS

ROOT = Path(__file__).parents[1]
COMMANDS = [
    (name, command)
    for name in ("README.md", "docs/README.zh-CN.md", "docs/guide.md")
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text("utf-8"), re.S)
    for command in block.splitlines()
]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_command_line_is_taken(name, command):
    words = shlex.split(command)
    if words[0] == "torchrun":
        words = ["python", *words[words.index("main.py") :]]
    if words[:2] == ["python", "main.py"]:
        line = parse.parse(words[2:], list(main.COMMANDS), OPTIONS)
        assert line.problems == []
        for option, value in line.values.items():
            OPTIONS[option].read(value)
    elif words[0] == "sh":
        assert (ROOT / words[1]).exists()
        assert words[2] in ("demo", "test")


def test_there_are_command_lines():
    assert sum("main.py" in command for _, command in COMMANDS) > 8


@pytest.mark.parametrize(
    "name", ["README.md", "docs/README.zh-CN.md", "docs/guide.md", "CONTRIBUTING.md"]
)
def test_links_lead_somewhere(name):
    for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text("utf-8")):
        if not link.startswith("http"):
            assert ((ROOT / name).parent / link).exists(), link


def test_extras_that_are_named_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "scripts" / "run.sh"]
    named = set()
    for path in [*texts, *(ROOT / "docs").glob("*.md")]:
        for words in re.findall(r"(?:\"\.|extras=\")\[([\w,]+)\]", path.read_text("utf-8")):
            named |= set(words.split(","))
    assert {"monitor", "download", "dev"} <= named <= set(project["optional-dependencies"])
