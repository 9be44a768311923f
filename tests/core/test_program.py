import os
import shlex
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

from animegan.core import program as tested
from animegan.core.program import command_line, program, quote


def called(monkeypatch, script, python=sys.executable, path=""):
    monkeypatch.setattr(sys, "argv", [str(script), "train"])
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(path))
    return program()


@pytest.fixture
def python(tmp_path):
    """The interpreter of an environment, `python`, and its folder."""
    folder = tmp_path / "env" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "animegan"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder / "python"


@pytest.mark.skipif(os.name == "nt", reason="names and folders of POSIX")
def test_hints_repeat_how_the_tool_was_called(monkeypatch, tmp_path, python):
    active = {"python": python, "path": python.parent}
    assert called(monkeypatch, "main.py", **active) == "python main.py"
    assert called(monkeypatch, "../my clone/main.py", **active) == "python '../my clone/main.py'"
    assert called(monkeypatch, "/x/animegan/__main__.py", **active) == "python -m animegan"
    assert called(monkeypatch, python.with_name("animegan"), **active) == "animegan"


@pytest.mark.skipif(os.name == "nt", reason="names and folders of POSIX")
def test_what_the_shell_would_not_find_is_named_by_its_path(monkeypatch, tmp_path, python):
    other = tmp_path / "other"
    other.mkdir()
    (other / "python").write_text("#!/bin/sh\n")
    (other / "python").chmod(0o755)
    assert called(monkeypatch, "main.py", python, other) == f"{python} main.py"
    assert called(monkeypatch, python.with_name("animegan"), python) == f"{python.parent}/animegan"
    monkeypatch.chdir(tmp_path)
    assert called(monkeypatch, "main.py", python) == "env/bin/python main.py"


def test_a_program_that_only_imports_it_gets_a_command_that_works(monkeypatch):
    python = Path(sys.executable)
    assert called(monkeypatch, "/usr/bin/pytest", python, python.parent) == (
        f"{python.stem} -m animegan"
    )


def test_a_command_line_is_read_back_by_the_shell(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py"])
    words = ("doctor", "my 'faces' $1 & \"more\"", Path("a b"))
    line = command_line(*words, batch_size=4, netg_path=Path("c d") / "e.pth")
    assert shlex.split(line)[-5:] == [
        *map(str, words), "--batch-size=4", "--netg-path=c d/e.pth"]  # fmt: skip


def test_windows_gets_forward_slashes_and_double_quotes(monkeypatch):
    monkeypatch.setattr(tested, "WINDOWS", True)
    path = PureWindowsPath("checkpoints\\my run")
    assert command_line("train", resume=path).endswith(' train "--resume=checkpoints/my run"')
    assert command_line("doctor", PureWindowsPath("data\\a")).endswith(" doctor data/a")


@pytest.mark.parametrize(
    "word", ["a b", 'say "no"', "tail \\", 'a\\"b', "C:\\my dir\\", "a&b", "", "data\\faces"]
)
def test_a_windows_program_reads_the_word_that_was_quoted(word):
    """The rules of Microsoft's C runtime, by which Windows programs take their command line."""
    assert unquoted(quote(word, windows=True)) == word
    if " " in word or not word:
        assert quote(word, windows=True) == subprocess.list2cmdline([word])


def unquoted(text):
    if not text.startswith('"'):
        assert '"' not in text
        return text
    word, k, text = "", 0, text[1:-1] + "\0"
    while text[k] != "\0":
        slashes = len(text[k:]) - len(text[k:].lstrip("\\"))
        k += slashes
        if text[k] == '"':
            assert slashes % 2, "the quote would end the word"
            word += "\\" * (slashes // 2) + '"'
            k += 1
        elif text[k] == "\0":
            assert slashes % 2 == 0, "the closing quote would belong to the word"
            word += "\\" * (slashes // 2)
        else:
            word += "\\" * slashes + text[k]
            k += 1
    return word
