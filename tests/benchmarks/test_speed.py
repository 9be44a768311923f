"""The benchmarks of loading, generating, cold start and growth run; no time is judged."""

import pytest

from animegan.models import Spec
from benchmarks.harness import memory, ratio
from benchmarks.speed import cold_start, generating, growth, loading

SMALL = Spec(image_size=16, nz=5, ngf=2, ndf=2)


def test_both_ways_of_loading_give_batches_of_one_kind(tmp_path, make_faces):
    make_faces(tmp_path / "set" / "a", n=6, size=96)
    (theirs, *more) = loading.folder_side(str(tmp_path / "set"), 96, 4, workers=0, batches=2)
    ours = loading.open_set(tmp_path / "set", image_size=96)
    assert len(more) == 1
    one = loading.Batches(ours, 4, 0).images(0)
    assert one.shape == theirs[0].shape
    assert one.dtype == theirs[0].dtype
    # the same pictures: each of theirs is one of ours
    whole = loading.Batches(ours, 6, 0).images(0)
    gaps = (theirs[0][:, None] - whole[None]).abs().amax((2, 3, 4)).amin(1)
    assert gaps.max() < 1e-6


def test_the_loading_table_has_a_row_a_side(tmp_path, make_faces, monkeypatch):
    monkeypatch.setattr(loading, "WORKERS", (0,))
    make_faces(tmp_path / "set" / "a", n=6, size=96)
    table = loading.table(str(tmp_path / "set"), 1, 1, 4, threads=1, width=2)
    assert [line.split(" | ")[0] for line in table.splitlines()[4:7]] == [
        "| cache", "| DataLoader, 0 workers", "| training step"
    ]  # fmt: skip


def test_both_ways_of_generating_write_a_sheet(tmp_path):
    generating.save_nets(SMALL, tmp_path)
    for side in generating.SIDES:
        generating.run(side, tmp_path, search=8, keep=4)
    assert (tmp_path / "one.png").exists()
    assert (tmp_path / "ours.png").exists()


def test_every_command_of_the_cold_start_ends_as_it_should(tmp_path):
    generating.save_nets(SMALL, tmp_path)
    (tmp_path / "empty").mkdir()
    wanted = cold_start.commands(tmp_path)
    for name in ("--help", "train: wrong values", "generate: no weights named"):
        cold_start.run(*wanted[name])
    with pytest.raises(SystemExit, match="exit code 2"):
        cold_start.run(["main.py", "train", "--bach-size=3"], 0)


def test_rows_of_the_cold_start_are_compared_with_the_imports():
    rows = cold_start.table({cold_start.IMPORTS: [2.0], "--help": [0.5]})
    assert rows[-1] == f"| --help | {ratio.Spread(0.5, 0.5, 0.5)} | 0.25 (0.25 to 0.25) |"


def test_a_simulated_set_is_opened_and_read(tmp_path, monkeypatch):
    monkeypatch.setattr(growth.cache, "_build", None)  # set anew by `opening`, put back after
    growth.make_folder(tmp_path / "20" / "pictures", 20)
    row = growth.opening(tmp_path / "20" / "pictures", size=8, batch=4, threads=1)
    assert row.keys() == {"listed", "opened", "first", "epoch", "load", "held"}
    assert "| 20 |" in growth.sets_table([{"count": 20, **row}])
    assert growth.training(16, 2, 4, threads=1, steps=1).keys() == {"step", "peak"}


def test_growth_is_drawn(tmp_path):
    sets = [{"count": count, "load": 1e-5, "held": 0.5} for count in (10, 100)]
    nets = [{"size": size, "width": 64, "batch": 64, "step": 0.1, "peak": 100} for size in (96, 32)]
    growth.draw(sets, nets, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000
    assert growth.nets_table(nets).splitlines()[2].startswith("| 96 | 64 | 64 |")


def test_memory_is_read():
    assert 0 < memory.megabytes("RssAnon") < memory.megabytes("VmHWM")
