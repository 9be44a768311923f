"""Work over processes: all results once, a dying process costs one job, errors come through."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from animegan.core import parallel
from animegan.core.parallel import spread

_offset = 0


def begin(offset: int) -> None:
    global _offset
    _offset = offset


def work(job: int) -> int:
    if job == 13:
        os._exit(3)
    if job == 99:
        raise ValueError("99")
    return job + _offset


def note_process(job: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def lost(job: int) -> int:
    return -job


@pytest.mark.parametrize("workers", [0, 2])
def test_every_job_gives_one_result(workers: int) -> None:
    results = list(spread(work, range(12), workers, begin, (100,), lost))
    assert sorted(results) == [100 + job for job in range(12)]


def test_a_job_that_kills_its_process_is_told_and_the_rest_goes_on() -> None:
    results = list(spread(work, range(30), 2, begin, (100,), lost))
    assert sorted(results) == sorted([-13, *(100 + job for job in range(30) if job != 13)])


def test_an_error_in_a_job_is_raised_here() -> None:
    with pytest.raises(ValueError, match="99"):
        list(spread(work, [1, 99], 1, begin, (0,), lost))


def test_processes_are_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "RENEW", 3)
    results = list(spread(note_process, range(7), 1, begin, (0,), lost))
    assert len(set(results)) == 3
    assert os.getpid() not in results


def test_jobs_are_taken_only_as_they_are_needed(tmp_path: Path) -> None:
    taken = []

    def jobs() -> "object":
        for job in range(100):
            taken.append(job)
            yield job

    results = spread(work, jobs(), 1, begin, (0,), lost)  # type: ignore[arg-type]
    next(results)
    assert len(taken) < 12
    results.close()


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from animegan.core.parallel import spread
from tests.core.test_parallel import begin, lost, long_work

if __name__ == "__main__":
    for result in spread(long_work, range(8), 2, begin, (0,), lost):
        print("at work", flush=True)
"""


def long_work(job: int) -> int:
    if job > 1:
        time.sleep(600)
    return job


def test_workers_end_when_the_main_process_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(root=str(Path(__file__).parents[2])))
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"at work\n"
        process.kill()
        process.communicate(timeout=60)  # returns once nobody holds the pipe any more
