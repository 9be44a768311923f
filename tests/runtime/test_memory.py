import resource
import subprocess
import sys

import pytest

from animegan.runtime import memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has mallopt")
FAULTS = """
import resource, torch
from animegan.runtime import memory
if {kept}:
    assert memory.keep_freed()
def step():
    for _ in range(4):
        torch.ones(40_000_000 // 4)
for _ in range(5):  # the heap finds its size
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept):
    """Page faults of a step that makes and drops four tensors of 40 MB."""
    words = [sys.executable, "-c", FAULTS.format(kept=kept)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@linux
def test_kept_memory_is_used_again_without_new_pages():
    pages = 4 * 40_000_000 // resource.getpagesize()
    assert faults(kept=False) > pages // 2
    assert faults(kept=True) < pages // 100


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert not memory.keep_freed()


def test_a_c_library_without_the_option_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed()
