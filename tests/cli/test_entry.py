"""The entry point: what holds before the first slow import."""

import sys
from types import ModuleType

import pytest

from animegan.__main__ import run


class Interrupted(ModuleType):
    """In the place of `cli.app`: Ctrl-C comes while it is imported."""

    def __getattr__(self, name: str) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_during_the_imports_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "animegan.cli.app", Interrupted("animegan.cli.app"))
    assert run() == 130
    assert capsys.readouterr() == ("", "stopped\n")
