import pytest
import torch

from animegan.core.errors import Ended, TrainingStopped, UsageError
from animegan.runtime import device
from animegan.runtime.device import Runtime
from animegan.runtime.distributed import ProcessGroup, remember_run, remembered_run
from animegan.runtime.launch import Launch, launched
from tests.support.ranks_worker import together

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8", "MASTER_ADDR": "host", "MASTER_PORT": "29500"}


def failing(fails):
    if fails:
        raise UsageError("--data-path x: is not there")
    return "done"


def ends(make):
    try:
        return make()
    except (UsageError, TrainingStopped) as error:
        return type(error).__name__, str(error)
    except Ended as end:
        return "Ended", end.code


def exchanges(runtime, folder):
    group, mine = runtime.group, float(runtime.group.rank)
    grid = torch.full((2, 3, 2, 2), mine).to(memory_format=torch.channels_last)
    tensors = [torch.full((2,), mine), grid, torch.tensor(mine)]
    group.all_reduce_mean_(tensors)
    copied = torch.full((2, 3, 2, 2), mine + 5).to(memory_format=torch.channels_last)
    group.copy_from_main([copied])
    found = {
        "shared": tensors, "copied": copied, "rows": group.rows(6),
        "most": group.max(group.rank, -group.rank), "gathered": group.gather(f"of {group.rank}"),
        "from main": group.from_main(lambda: ["main", group.rank]),
        "nobody fails": ends(lambda: group.run_on_all(lambda: group.rank)),
        "one fails": ends(lambda: group.run_on_all(lambda: failing(group.rank == 1))),
        "all fail": ends(lambda: group.run_on_all(lambda: failing(True))),
        "main fails": ends(lambda: group.from_main(lambda: failing(True))),
        "stopped": ends(lambda: [][0] if group.size < 2 else _raise(group.stopped("no"))),
    }  # fmt: skip
    launch = launched()
    found["before"] = group.from_main(lambda: remembered_run(launch))
    if group.is_main:
        remember_run(launch, "checkpoints/a run")
    found["after"] = group.from_main(lambda: remembered_run(launch))
    return found


def _raise(error):
    raise error


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return together(exchanges, tmp_path_factory.mktemp("exchanges"))


def test_tensors_are_averaged_in_place(found):
    for one in found:
        assert all(torch.equal(tensor, torch.full_like(tensor, 0.5)) for tensor in one["shared"])
        assert one["shared"][1].is_contiguous(memory_format=torch.channels_last)


def test_the_main_process_gives_its_tensors(found):
    assert all(torch.equal(one["copied"], torch.full((2, 3, 2, 2), 5.0)) for one in found)


def test_rows_share_a_batch_out(found):
    assert [one["rows"] for one in found] == [slice(0, 3), slice(3, 6)]


def test_all_agree(found):
    for one in found:
        assert one["most"] == (1, 0)
        assert one["gathered"] == ["of 0", "of 1"]
        assert one["from main"] == ["main", 0]
    assert [one["nobody fails"] for one in found] == [0, 1]


def test_a_failure_anywhere_ends_all_and_is_told_once(found):
    fact = "--data-path x: is not there"
    assert found[0]["one fails"] == ("UsageError", f"{fact} (process 1)")
    assert found[0]["all fail"] == found[0]["main fails"] == ("UsageError", fact)
    assert found[0]["stopped"] == ("TrainingStopped", "no")
    for case in ("one fails", "all fail", "main fails"):
        assert found[1][case] == ("Ended", 2)
    assert found[1]["stopped"] == ("Ended", 1)


def test_torchrun_keeps_the_name_of_the_run(found):
    for one in found:
        assert (one["before"], one["after"]) == (None, "checkpoints/a run")


def dies(runtime, folder):
    runtime.group.mean_of(torch.ones(2))  # both have met
    if runtime.group.rank == 1:
        return None
    with pytest.raises(TrainingStopped) as caught:
        runtime.group.mean_of(torch.ones(2))
    return str(caught.value)


def test_a_process_that_is_gone_is_told(tmp_path):
    said = together(dies, tmp_path)[0]
    assert said.startswith("lost contact with another process of this training")
    assert "--resume" in said


# --- alone


def test_alone_nothing_is_exchanged():
    group, tensor = ProcessGroup(), torch.ones(2)
    assert group.is_main
    assert group.mean_of(tensor) is tensor
    group.all_reduce_mean_([tensor])
    group.copy_from_main([tensor])
    assert group.max(3, 0) == (3, 0)
    assert group.gather("x") == ["x"]
    assert group.from_main(lambda: 1) == group.run_on_all(lambda: 1) == 1
    assert group.rows(6) == slice(0, 6)
    group.leave()
    assert remembered_run(Launch()) is None


def test_the_environment_tells_who_this_is(monkeypatch):
    for name in [*TORCHRUN, "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_USE_AGENT_STORE"]:
        monkeypatch.delenv(name, raising=False)
    assert launched() == Launch()
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert launched() == Launch(3, 8, 3, 8, "host", 29500)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    assert launched() == Launch(3, 8, 1, 2, "host", 29500, True)


# --- devices


@pytest.fixture
def eight(monkeypatch):
    """The fourth of eight processes, on machines of two; joins nobody."""
    said = {**TORCHRUN, "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    joined = []
    monkeypatch.setattr(
        device,
        "join",
        lambda launch, cuda: joined.append(cuda) or ProcessGroup(launch.rank, launch.size),
    )
    before = torch.get_num_threads()
    yield joined
    torch.set_num_threads(before)


def test_cores_are_shared_out_unless_told(eight, monkeypatch):
    monkeypatch.setattr(device, "_cores", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # torchrun's doing
    assert Runtime.start_together(gpu=False).group == ProcessGroup(3, 8)
    assert torch.get_num_threads() == 3
    Runtime.start_together(gpu=False, threads=2)
    assert torch.get_num_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    Runtime.start_together(gpu=False)
    assert torch.get_num_threads() == 2
    assert eight == [False, False, False]


def test_each_process_takes_its_own_card(eight, monkeypatch):
    taken = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert Runtime.start_together().device == torch.device("cuda:1")
    assert (taken, eight) == ([1], [True])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="--nproc-per-node 2: there are 1 CUDA devices"):
        Runtime.start_together()


def test_a_device_that_cannot_be_shared_is_told(eight, monkeypatch):
    monkeypatch.setattr(device, "_named", torch.device)
    with pytest.raises(UsageError, match="--device cuda:1: each of the 2 processes"):
        Runtime.start_together(device="cuda:1")
    with pytest.raises(UsageError, match="--device mps: 8 processes cannot"):
        Runtime.start_together(device="mps")
