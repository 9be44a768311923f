import dataclasses

import pytest

from animegan.cli import app as main
from animegan.core.errors import reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "MemoryError"),
        (ValueError(" \n "), "ValueError"),
        (RuntimeError("\nfirst  line\nsecond line"), "first line"),
        (OSError(28, "No space left on device", "a.png"), "No space left on device"),
        (OSError("cannot write"), "cannot write"),
        (OSError(), "OSError"),
    ],
)
def test_the_reason_is_one_line_and_never_empty(error, said):
    assert reason(error) == said


def test_the_reason_may_be_cut_off_and_may_be_the_whole_text():
    error = RuntimeError("Error(s) in loading:\n\tsize mismatch")
    assert reason(error, 11) == "Error(s)..."
    assert reason(error, whole=True) == "Error(s) in loading: size mismatch"
    assert reason(error, 30, whole=True) == "Error(s) in loading: size m..."


def test_a_command_that_runs_out_of_memory_without_a_word_is_told(monkeypatch, capsys):
    def runs(resolved):
        raise MemoryError

    command = dataclasses.replace(main.COMMANDS["runs"], run=runs)
    monkeypatch.setitem(main.COMMANDS, "runs", command)
    assert main.main(["runs"]) == 1
    assert capsys.readouterr().err == "out of memory: MemoryError; try fewer or smaller pictures\n"
