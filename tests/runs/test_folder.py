import errno
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import filelock
import pytest

from animegan.core.errors import UsageError
from animegan.runs import find, folder
from animegan.runs.folder import Run

ROOT = Path(__file__).resolve().parents[2]


def make_run(root, name, steps=(), changed=None, options=None):
    """A run's folder with states of these steps, last written to at the time `changed`."""
    run = Run(Path(root) / name)
    run.write_options(options or {"seed": 1}, {"seed": "flag"})
    run.states.mkdir(exist_ok=True)
    for step in steps:
        (run.states / f"state_{step:08d}.pt").write_bytes(b"x")
    if changed is not None:
        for path in [run.options_file, *run.state_files()]:
            os.utime(path, (changed, changed))
    return run


# --- the lock


def test_a_lock_keeps_two_trainers_out_of_one_folder(tmp_path):
    one, other = Run(tmp_path / "a b"), Run(tmp_path / "a b")
    with (
        one.lock(),
        pytest.raises(UsageError, match=f"--name a b: process {os.getpid()} "),
        other.lock(),
    ):
        pass
    with other.lock():  # free again
        pass


def test_the_lock_is_let_go_after_an_error(tmp_path):
    run = Run(tmp_path / "run")
    held = run.lock()
    with pytest.raises(ZeroDivisionError), held:
        1 / 0  # noqa: B018
    with run.lock():
        pass


LOCKING = """
import sys
from pathlib import Path
from animegan.runs.folder import Run
with Run(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_lock_of_another_process_holds_until_that_is_dead(tmp_path):
    run = Run(tmp_path / "run")
    with subprocess.Popen(
        [sys.executable, "-c", LOCKING, str(run.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    ) as other:  # fmt: skip
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(UsageError, match=f"process {other.pid} "), run.lock():
            pass
        other.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))  # leaves no time to tidy up
        other.wait()
    assert (run.path / ".lock").exists()
    with run.lock():
        pass


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(UsageError, match=r"--runs-path .*file: .* cannot be written"),
        Run(tmp_path / "file" / "run").lock(),
    ):
        pass


# --- options


def test_options_come_back_with_their_sources_and_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py", "train", "--data-path=my faces"])
    run = Run(tmp_path / "run")
    run.write_options({"data_path": "my faces", "lr1": 2e-4, "netg_path": None}, {"lr1": "flag"})
    assert run.read_options() == {
        "options": {"data_path": "my faces", "lr1": 2e-4, "netg_path": None},
        "sources": {"lr1": "flag"},
        "command": ["train", "--data-path=my faces"],
    }


@pytest.mark.parametrize("text", [None, "", "{", "[]", "3", '{"options": 3}', '{"other": {}}'])
def test_missing_or_damaged_options_are_told_in_one_line(tmp_path, text):
    run = Run(tmp_path)
    if text is not None:
        run.options_file.write_text(text)
    with pytest.raises(UsageError, match=r"options\.json is missing or damaged"):
        run.read_options()


# --- the record


def test_records_come_back_in_their_order(tmp_path):
    run = Run(tmp_path)
    assert list(run.history()) == []
    lines = [{"step": 20, "loss_d": 1.5}, {"step": 40, "loss_d": 0.25}]
    for line in lines:
        run.record(line)
    assert list(run.history()) == lines
    assert [json.loads(line) for line in run.metrics.read_text().splitlines()] == lines


@pytest.mark.parametrize("tail", [b'{"step": 40, "lo', b"\0\0\0\0", b"\xff\xfe\n", b"12", b"[1]\n"])
def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path, tail):
    run = Run(tmp_path)
    run.record({"step": 20})
    with run.metrics.open("ab") as file:
        file.write(tail)
    assert list(run.history()) == [{"step": 20}]


def test_forgetting_drops_what_lies_beyond_and_mends_the_record(tmp_path):
    run = make_run(tmp_path, "run", steps=(10, 25, 40))
    for step in (20, 25, 30, 40):
        run.record({"step": step})
    run.record({"note": "of no step"})
    with run.metrics.open("a") as file:
        file.write('{"step": 4')
    run.forget_after(25)
    assert list(run.history()) == [{"step": 20}, {"step": 25}, {"note": "of no step"}]
    assert run.metrics.read_text().endswith("\n")  # so that the next line stands alone
    assert [path.name for path in run.state_files()] == ["state_00000025.pt", "state_00000010.pt"]


def test_forgetting_clears_away_what_a_killed_process_left_half_written(tmp_path):
    run = make_run(tmp_path, "run", steps=(10,))
    for half in [run.states / ".state_00000020.pt.77.tmp", run.path / ".netg_last.pth.77.tmp"]:
        half.write_bytes(b"half")
    run.forget_after(10)
    left = {path.name for path in run.path.rglob("*") if path.is_file()}
    assert left == {"options.json", "state_00000010.pt"}


def test_states_are_sorted_by_their_number_and_others_are_none(tmp_path):
    run = make_run(tmp_path, "run", steps=(9, 100, 20))
    (run.states / "state_123456789.pt").write_bytes(b"")
    for other in ["state_x.pt", "state_5.pt.bak", ".state_00000300.pt.1.tmp"]:
        (run.states / other).write_bytes(b"")
    numbers = [int(path.stem.split("_")[1]) for path in run.state_files()]
    assert numbers == [123456789, 100, 20, 9]


# --- new runs


def test_a_run_without_a_name_is_named_by_date_and_preset(tmp_path):
    run = folder.new_run(str(tmp_path), None, "book")
    assert run.path.parent == tmp_path
    assert run.name.endswith("-book")
    assert len(run.name) == len("20250101-120000-book")
    assert folder.new_run(str(tmp_path), None, None).name.endswith("-default")


def test_two_runs_of_one_second_do_not_share_a_folder(tmp_path, monkeypatch):
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2025, 1, 2, 12)

    monkeypatch.setattr(folder, "datetime", Noon)
    names = []
    for _ in range(3):
        run = folder.new_run(str(tmp_path), None, None)
        names.append(run.name)
        run.path.mkdir()
    assert names == [
        "20250102-120000-default", "20250102-120000-default-2", "20250102-120000-default-3"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a", "my run", "v1.2", "lr=1e-4", "脸"])
def test_names_that_are_taken_as_they_are(tmp_path, name):
    assert folder.new_run(str(tmp_path), name, None).path == tmp_path / name


@pytest.mark.parametrize(
    "name", ["..", ".", ".hidden", "a/b", "../a", "/tmp/a", "a\\b", "c:a", "", "a" * 101]
)
def test_names_that_would_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match="--name"):
        folder.new_run(str(tmp_path), name, None)


def test_a_name_that_is_taken_is_refused_with_a_way_out(tmp_path):
    make_run(tmp_path, "old", steps=(10,))
    with pytest.raises(UsageError, match="add --resume"):
        folder.new_run(str(tmp_path), "old", None)
    for kept in ("netg_last.pth", "states/best.pt"):
        run = make_run(tmp_path, f"with {kept[:4]}")
        (run.path / kept).write_bytes(b"")
        with pytest.raises(UsageError) as caught:
            folder.new_run(str(tmp_path), run.name, None)
        assert caught.value.flags == ("--name",)
        assert "--resume" not in str(caught.value)


def test_a_run_that_was_killed_before_its_first_state_may_begin_again(tmp_path):
    run = make_run(tmp_path, "killed early")
    assert folder.new_run(str(tmp_path), "killed early", None) == run
    with run.lock():
        for ask in (
            lambda: folder.new_run(str(tmp_path), "killed early", None),
            lambda: find.to_resume(str(tmp_path), "killed early", True),
        ):
            with pytest.raises(UsageError, match=f"process {os.getpid()} on") as caught:
                ask()
            assert caught.value.flags == ("--name",)
            assert "delete" not in str(caught.value)


# --- a new run's folder belongs to one process


def test_a_claimed_folder_is_made_and_locked(tmp_path):
    with folder.claim(str(tmp_path), "a", None) as run:
        assert run.path.is_dir()
        with pytest.raises(UsageError), folder.claim(str(tmp_path), "a", None):
            pass
        run.write_options({}, {})
    assert run.options_file.exists()


def test_a_folder_in_which_nothing_came_to_be_is_removed(tmp_path):
    with folder.claim(str(tmp_path), "a", None):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_looked_at_again_once_it_is_locked(tmp_path, monkeypatch):
    """Another process trained in it and finished after it was chosen."""
    plain = Run.lock

    @contextmanager
    def late(run):
        make_run(tmp_path, "a", steps=(40,))
        with plain(run):
            yield

    monkeypatch.setattr(Run, "lock", late)
    with pytest.raises(UsageError) as caught, folder.claim(str(tmp_path), "a", None):
        raise AssertionError("it is taken")
    assert caught.value.flags == ("--name",)
    assert [path.name for path in (tmp_path / "a" / "states").iterdir()] == ["state_00000040.pt"]


def test_several_starts_in_one_second_get_different_folders(tmp_path, monkeypatch):
    plain, chosen = folder.new_run, []

    def slow(*choice):
        run = plain(*choice)
        if not chosen:  # another start is faster
            run.path.mkdir()
        chosen.append(run.name)
        return run

    monkeypatch.setattr(folder, "new_run", slow)
    with folder.claim(str(tmp_path), None, None) as run:
        assert run.name == chosen[1] != chosen[0]


def test_a_disk_without_locks_is_said_and_used(tmp_path, monkeypatch, said):
    def refused(lock, *args, **kwargs):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    with Run(tmp_path / "a").lock():
        pass
    assert [str(tmp_path / "a") in line for line in said] == [True]


def test_a_line_that_does_not_fit_the_disk_is_not_left_in_half(tmp_path, monkeypatch):
    run = Run(tmp_path)
    run.record({"step": 1})
    before = run.metrics.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limit[1]))
        with pytest.raises(OSError, match="space") as caught:
            run.record({"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.filename == str(run.metrics)
    assert run.metrics.read_bytes() == before


def test_a_deeply_nested_record_is_passed_over(tmp_path):
    run = Run(tmp_path)
    run.record({"step": 1})
    with run.metrics.open("a") as file:
        file.write("[" * 100_000 + "\n")
    run.options_file.write_text('{"options": ' + "[" * 100_000)
    assert list(run.history()) == [{"step": 1}]
    with pytest.raises(UsageError):
        run.read_options()


def test_a_place_that_cannot_be_written_is_told_before_anything_is_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            UsageError, match=f"--runs-path {root}: .*file is not a writable folder"
        ):
            folder.new_run(str(root), "run", None)
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(
        UsageError, match=f"--runs-path {tmp_path}/new: {tmp_path} is not a writable folder"
    ):
        folder.new_run(f"{tmp_path}/new", "run", None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# --- which run is meant


def test_runs_are_listed_by_their_last_change(tmp_path):
    for name, changed in [("b", 300), ("a", 100), ("c", 200)]:
        make_run(tmp_path, name, steps=(1,), changed=changed)
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").write_bytes(b"")
    assert [run.name for run in find.all_runs(str(tmp_path))] == ["a", "c", "b"]
    assert find.all_runs(str(tmp_path / "away")) == []


def test_a_new_state_is_a_change(tmp_path):
    make_run(tmp_path, "a", steps=(1,), changed=100)
    make_run(tmp_path, "b", steps=(1,), changed=200)
    state = tmp_path / "a" / "states" / "state_00000002.pt"
    state.write_bytes(b"x")
    os.utime(state, (300, 300))
    assert [run.name for run in find.all_runs(str(tmp_path))] == ["b", "a"]


def test_resume_takes_the_newest_run_that_has_a_state(tmp_path):
    make_run(tmp_path, "old", steps=(1,), changed=100)
    make_run(tmp_path, "newer", steps=(5, 9), changed=200)
    make_run(tmp_path, "newest", changed=300)
    run, states = find.to_resume(str(tmp_path), None, True)
    assert run.name == "newer"
    assert [path.name for path in states] == ["state_00000009.pt", "state_00000005.pt"]
    assert find.to_resume(str(tmp_path), "old", True)[0].name == "old"


def test_resume_takes_a_runs_folder_or_one_of_its_states(tmp_path, monkeypatch):
    run = make_run(tmp_path / "else where", "run", steps=(5, 9))
    assert find.to_resume("away", None, str(run.path))[1] == run.state_files()
    state = run.states / "state_00000005.pt"
    assert find.to_resume("away", None, str(state)) == (run, [state])
    for place, word in [(run.path, "states/state_00000005.pt"), (run.states, state.name)]:
        monkeypatch.chdir(place)
        found, (path,) = find.to_resume("away", None, word)
        assert (found.name, found.path.samefile(run.path)) == ("run", True)
        assert path.samefile(state)


def test_a_run_is_found_by_name_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("faces").mkdir()
    make_run("checkpoints", "faces")
    assert find.named("checkpoints", "faces") == Path("checkpoints/faces")
    assert find.named("checkpoints", "checkpoints/faces") == Path("checkpoints/faces")
    make_run(".", "faces")
    assert find.named("checkpoints", "faces") == Path("faces")


def test_resume_without_anything_to_resume_is_told(tmp_path):
    make_run(tmp_path, "empty")
    weights = tmp_path / "empty" / "netg_last.pth"
    weights.write_bytes(b"")
    cases: list[tuple[str | None, bool | str, str]] = [
        (None, True, "no run in .* has a state"),
        ("empty", True, "no state in"),
        ("away", True, "no state in"),
        (None, str(tmp_path / "empty"), "no state in"),
        (None, str(weights), "netg_last.pth: not a state"),
    ]
    for name, resume, words in cases:
        with pytest.raises(UsageError, match=words):
            find.to_resume(str(tmp_path), name, resume)


def test_needs_no_torch():
    script = "import sys, animegan.runs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_pipes_in_the_place_of_a_runs_files_do_not_hang(tmp_path):
    run = Run(tmp_path)
    for path in (run.options_file, run.metrics):
        os.mkfifo(path)
    with pytest.raises(UsageError):
        run.read_options()
    with pytest.raises(OSError, match="regular"):
        list(run.history())
