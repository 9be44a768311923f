import importlib.abc
import sys
import tomllib
from pathlib import Path

import pytest

from animegan.core.errors import UsageError
from animegan.core.optional import PACKAGES, install, require

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("module", PACKAGES)
def test_what_is_required_is_what_pyproject_lists(module):
    package, extra = PACKAGES[module]
    listed = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    assert any(one.startswith(package) for one in listed)


@pytest.mark.parametrize("module", PACKAGES)
def test_a_missing_module_is_one_line_that_names_the_extra(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as caught:
        require(module, "--some-flag")
    (problem,) = caught.value.problems
    extra = PACKAGES[module].extra
    assert problem.flag == "--some-flag"
    assert (f"extra '{extra}'" in problem) == bool(extra)
    assert problem.endswith(install(module))


class Broken(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "lmdb":
            raise ImportError("libfoo.so: cannot open")
        return


def test_a_module_that_cannot_be_loaded_is_told_with_the_cause(monkeypatch):
    monkeypatch.delitem(sys.modules, "lmdb", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(UsageError, match=r"libfoo\.so: cannot open"):
        require("lmdb", "download")
