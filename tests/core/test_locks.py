"""Locks exclude others, and a disk without them is no obstacle."""

import errno
import fcntl
from pathlib import Path

import pytest

from animegan.core.locks import Held, lock


def test_a_held_lock_is_told(tmp_path: Path) -> None:
    with lock(tmp_path / "lock"), pytest.raises(Held), lock(tmp_path / "lock"):
        pass
    with lock(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], code: int
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(code, "none here")

    monkeypatch.setattr(fcntl, "flock", flock)
    entered = False
    with lock(tmp_path / "lock"):
        entered = True
    assert entered
    assert any("no locks" in line for line in said)


def test_a_disk_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError), lock(tmp_path / "none" / "lock"):  # noqa: PT011
        pass
