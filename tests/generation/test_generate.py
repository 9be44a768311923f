import json
import os
import weakref

import pytest
import torch
from PIL import Image
from torch import nn

from animegan import models
from animegan.config.resolve import resolve
from animegan.config.values import parse_indices
from animegan.core.errors import UsageError
from animegan.generation import generate
from animegan.generation.candidates import Noise
from animegan.generation.generate import best, draw, most_different
from animegan.generation.request import find_weights, request_of
from animegan.models import Spec
from animegan.runs import checkpoint
from animegan.runs.folder import Run
from tests.support.said import heard

CPU = torch.device("cpu")
SMALL = Spec(image_size=16, nz=5, ngf=2, ndf=2)


def nets_of(spec=SMALL):
    """Nets whose BatchNorm has seen something, so that eval and train mode differ."""
    torch.manual_seed(0)
    netg, netd = models.build_netg(spec), models.build_netd(spec)
    with torch.no_grad():
        for _ in range(20):
            netd(netg(torch.randn(16, spec.nz, 1, 1)))
        netg.main[-2].weight.mul_(20)  # strong colours
    return netg, netd


@pytest.fixture
def weights(tmp_path):
    """Flags that name a pair of weight files."""
    named = {}
    (tmp_path / "my run").mkdir()
    kinds: tuple[checkpoint.Kind, ...] = ("netg", "netd")
    for kind, net in zip(kinds, nets_of(), strict=True):
        path = tmp_path / "my run" / f"{kind}_last.pth"
        checkpoint.save_net(path, kind, net.state_dict(), SMALL, {})
        named[f"{kind}_path"] = str(path)
    return named


def run(**words):
    """The command with these flags: what it said."""
    said = heard()
    words = {name: str(value) for name, value in words.items()}
    config = resolve("generate", {"gpu": "false"} | words)[0]
    generate.generate(config, request_of(config))
    return said


# --- noise


def test_the_noise_of_an_index_is_the_same_whatever_is_drawn_beside_it():
    noise = Noise(seed=3, nz=5)
    whole = noise(range(200))
    assert whole.shape == (200, 5, 1, 1)
    for indices in ([0], [63, 64], [199, 7, 7, 128], range(60, 140)):
        assert torch.equal(noise(indices), whole[list(indices)])
    parts = torch.cat([noise(range(start, min(200, start + 33))) for start in range(0, 200, 33)])
    assert torch.equal(parts, whole)


def test_noise_depends_on_the_seed_and_on_nothing_global():
    torch.manual_seed(1)
    one = Noise(0, 5)(range(4))
    torch.manual_seed(2)
    assert torch.equal(Noise(0, 5)(range(4)), one)
    assert not torch.equal(Noise(1, 5)(range(4)), one)


def test_no_two_candidates_are_the_same():
    assert len({tuple(one.flatten().tolist()) for one in Noise(0, 2)(range(1000))}) == 1000


def test_mean_and_standard_deviation_are_those_asked_for():
    many = Noise(0, 50, mean=2.0, std=0.5)(range(2000))
    assert many.mean().item() == pytest.approx(2, abs=0.01)
    assert many.std().item() == pytest.approx(0.5, abs=0.01)
    plain = Noise(0, 50)(range(2000))
    torch.testing.assert_close(many, plain * 0.5 + 2)


# --- the best


class First(nn.Module):
    """The score is the first number, so that no rounding depends on the chunk."""

    def forward(self, images):
        return images[:, 0, 0, 0]


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
@pytest.mark.parametrize("keep", [1, 10, 500])
def test_the_running_best_are_those_of_a_sort_of_all(chunk, keep):
    noise = Noise(0, 5)
    scores = First()(noise(range(500)))
    order = scores.argsort(descending=True)[:keep]
    indices, kept = best(nn.Identity(), First(), noise, 500, keep, CPU, chunk=chunk)
    assert indices == order.tolist()
    assert kept == scores[order].tolist()


def test_equal_scores_are_ordered_by_index():
    class Three(nn.Module):
        """Scores 0, 1, 2, 0, 1, 2, ... by the candidate's place."""

        def __init__(self):
            super().__init__()
            self.seen = 0

        def forward(self, images):
            places = torch.arange(self.seen, self.seen + len(images))
            self.seen += len(images)
            return (places % 3).float()

    indices, scores = best(nn.Identity(), Three(), Noise(0, 2), 12, 6, CPU, chunk=5)
    assert indices == [2, 5, 8, 11, 1, 4]
    assert scores == [2, 2, 2, 2, 1, 1]


def test_fewer_candidates_than_asked_for_are_all_kept():
    netg, netd = nets_of()
    indices, scores = best(netg, netd, Noise(0, 5), 3, 10, CPU)
    assert sorted(indices) == [0, 1, 2]
    assert scores == sorted(scores, reverse=True)


def test_progress_counts_every_candidate():
    netg, netd = nets_of()
    done = []
    best(netg, netd, Noise(0, 5), 10, 2, CPU, done.append, chunk=4)
    assert done == [4, 4, 2]


def test_memory_is_that_of_a_chunk_however_many_candidates_there_are():
    alive, most = 0, 0

    def track(tensor):
        nonlocal alive, most
        count = len(tensor)

        def gone():
            nonlocal alive
            alive -= count

        alive += count
        most = max(most, alive)
        weakref.finalize(tensor, gone)
        return tensor

    class Draws(nn.Module):
        def forward(self, noise):
            return track(noise.expand(-1, 3, 4, 4).clone())

    class Scores(nn.Module):
        def forward(self, images):
            return track(images.mean(dim=(1, 2, 3)))

    peaks = []
    for count in (200, 5000):
        most = 0
        best(Draws(), Scores(), Noise(0, 1), count, 50, CPU, chunk=20)
        peaks.append(most)
    assert peaks[0] == peaks[1] <= 3 * 20
    most = 0
    assert sum(len(some) for some in draw(Draws(), Noise(0, 1), range(1000), CPU, chunk=20)) == 1000
    assert most <= 2 * 20


def test_chunks_shrink_as_pictures_grow():
    gpu = torch.device("cuda")
    assert generate.chunk_of(28, gpu) == generate.chunk_of(96, gpu) == generate.CHUNK
    assert generate.chunk_of(28, CPU) == generate.chunk_of(96, CPU) == generate.CHUNK_CPU
    for size in (128, 256, 512, 1024):
        assert 1 <= generate.chunk_of(size, gpu) <= generate.CHUNK * 96**2 / size**2
    assert generate.chunk_of(10**5, gpu) == 1


# --- drawing


def test_pictures_are_within_a_grey_level_whatever_the_chunk():
    netg, _ = nets_of()
    chosen = [5, 90, 3, 64, 64, *range(20, 40)]
    whole = torch.cat(list(draw(netg, Noise(0, 5), chosen, CPU)))
    assert whole.shape == (25, 3, 16, 16)
    assert whole.dtype == torch.uint8
    assert whole.float().std() > 30  # something to differ in
    for chunk in (1, 2, 7):
        parts = torch.cat(list(draw(netg, Noise(0, 5), chosen, CPU, chunk)))
        assert (parts.int() - whole.int()).abs().max() <= 1


def test_drawing_and_scoring_leave_the_nets_as_they_were():
    netg, netd = nets_of()
    before = {name: one.clone() for name, one in netg.state_dict().items()}
    best(netg, netd, Noise(0, 5), 20, 2, CPU)
    list(draw(netg, Noise(0, 5), range(20), CPU))
    assert all(torch.equal(one, before[name]) for name, one in netg.state_dict().items())
    assert netg.training
    assert netd.training


# --- the command


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def picture(path):
    with Image.open(path) as opened:
        return torch.tensor(list(opened.tobytes())).reshape(opened.height, opened.width, -1)


def test_the_best_are_drawn_and_any_one_can_be_drawn_again(tmp_path, weights):
    each, again = tmp_path / "each one", tmp_path / "again"
    run(
        **weights, gen_img=tmp_path / "grid.png", gen_num=10, gen_search_num=200, seed=9,
        save_each=each,
    )  # fmt: skip
    manifest = manifest_of(each)
    entries = manifest["pictures"]
    netg, netd = nets_of()
    indices, scores = best(netg, netd, Noise(9, 5), 200, 10, CPU)
    assert [one["index"] for one in entries] == indices
    assert [one["score"] for one in entries] == pytest.approx(scores, abs=1e-4)
    assert manifest["seed"] == 9
    assert {path.name for path in each.glob("*.png")} == {one["file"] for one in entries}

    wanted = [entries[7], entries[2]]
    run(
        netg_path=manifest["netg"], seed=manifest["seed"], gen_mean=manifest["gen_mean"],
        gen_std=manifest["gen_std"], gen_img=tmp_path / "two.png", save_each=again,
        indices=",".join(str(one["index"]) for one in wanted),
    )  # fmt: skip
    assert len(list(again.glob("*.png"))) == 2
    for one in wanted:
        first, second = picture(each / one["file"]), picture(again / one["file"])
        assert (first - second).abs().max() <= 1
    # and they lie on the grid where the manifest says
    grid = picture(tmp_path / "grid.png")
    place = entries.index(wanted[1])
    left = 2 + place * 18
    assert torch.equal(grid[2:18, left : left + 16], picture(each / wanted[1]["file"]))


def test_the_same_seed_draws_the_same_and_another_does_not(tmp_path, weights):
    for name, seed in [("a.png", 1), ("b.png", 1), ("c.png", 2)]:
        run(**weights, gen_img=tmp_path / name, gen_num=8, gen_search_num=32, seed=seed)
    one, same, other = (picture(tmp_path / name) for name in ("a.png", "b.png", "c.png"))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_without_a_discriminator_the_first_are_drawn_and_that_is_said(tmp_path, weights):
    each = tmp_path / "each"
    said = run(
        netg_path=weights["netg_path"], gen_img=tmp_path / "grid.png", gen_num=6,
        gen_search_num=3, save_each=each,
    )  # fmt: skip
    assert any("not ranked" in line for line in said)
    entries = manifest_of(each)["pictures"]
    assert [(one["index"], one["score"]) for one in entries] == [(k, None) for k in range(6)]


@pytest.mark.parametrize("name", ["grid.png", "grid.jpg", "grid.webp"])
def test_the_grid_of_grey_pictures_in_every_format(tmp_path, name):
    spec = Spec(28, 1, 5, 2, 2)
    checkpoint.save_net(
        tmp_path / "g.pth", "netg", models.build_netg(spec).state_dict(), spec, {}
    )  # fmt: skip
    each = tmp_path / "each"
    run(
        netg_path=tmp_path / "g.pth", gen_num=64, gen_img=tmp_path / "new folder" / name,
        save_each=each,
    )  # fmt: skip
    with Image.open(tmp_path / "new folder" / name) as opened:
        assert opened.size == (8 * 30 + 2, 8 * 30 + 2)
    with Image.open(each / "00000063.png") as opened:
        assert (opened.mode, opened.size) == ("L", (28, 28))


def test_a_sheet_too_large_shows_the_first_and_says_so(tmp_path, weights, monkeypatch):
    monkeypatch.setattr(generate, "SHEET_PIXELS", 100 * 16 * 16)
    drawn = []
    plain = generate.draw

    def counting(*args):
        for pictures in plain(*args):
            drawn.append(len(pictures))
            yield pictures

    monkeypatch.setattr(generate, "draw", counting)
    said = run(netg_path=weights["netg_path"], gen_img=tmp_path / "grid.png", gen_num=5000)
    assert sum(drawn) == 100  # the others would be drawn for nothing
    assert any("the first 100 of 5000" in line for line in said)
    with Image.open(tmp_path / "grid.png") as opened:
        assert opened.size == (10 * 18 + 2, 10 * 18 + 2)  # as wide as high


def test_every_picture_is_saved_although_the_sheet_is_full(tmp_path, weights, monkeypatch):
    monkeypatch.setattr(generate, "SHEET", 5)
    monkeypatch.setattr(generate, "CHUNK", 3)
    each = tmp_path / "each"
    run(
        netg_path=weights["netg_path"], gen_img=tmp_path / "grid.png", gen_num=10, save_each=each
    )  # fmt: skip
    assert sorted(path.name for path in each.glob("*.png")) == [f"{k:08d}.png" for k in range(10)]
    assert len(manifest_of(each)["pictures"]) == 10
    grid = picture(tmp_path / "grid.png")
    assert grid.shape == (20, 5 * 18 + 2, 3)
    assert torch.equal(grid[2:18, 2 + 4 * 18 : 18 + 4 * 18], picture(each / "00000004.png"))


def test_the_largest_sheets_fit_the_formats():
    for size in (8, 96, 256, 512, 1024):
        shown = min(generate.SHEET, generate.SHEET_PIXELS // size**2)
        assert shown >= 64
        assert (int(shown**0.5) + 1) * (size + 2) + 2 <= 16383  # WebP's limit


# --- what is refused


def problem_of(**words):
    with pytest.raises(UsageError) as caught:
        run(**words)
    return "\n".join(caught.value.problems)


def test_weights_that_are_not_there_are_named(tmp_path, weights):
    away = tmp_path / "away.pth"
    assert f"--netg-path {away}: no such file" in problem_of(netg_path=away)
    away_d = weights | {"netd_path": str(away), "gen_img": str(tmp_path / "grid.png")}
    assert f"--netd-path {away}: no such file" in problem_of(**away_d)


@pytest.mark.parametrize("other", [Spec(32, 3, 5, 2, 2), Spec(16, 1, 5, 2, 2)])
def test_nets_that_do_not_belong_together_are_refused(tmp_path, weights, other):
    path = tmp_path / "d.pth"
    checkpoint.save_net(path, "netd", models.build_netd(other).state_dict(), other, {})
    problem = problem_of(**weights | {"netd_path": str(path)}, gen_img=tmp_path / "grid.png")
    assert "take both from one run" in problem
    assert str(other.image_size) in problem
    assert not (tmp_path / "grid.png").exists()


def test_places_that_cannot_be_written_are_told_together_and_before_any_work(
    tmp_path, weights, monkeypatch
):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(checkpoint, "load_net", None)  # would raise
    problem = problem_of(
        **weights, gen_img=tmp_path / "file" / "grid.png", save_each=tmp_path / "file",
    )  # fmt: skip
    assert [line.partition(" ")[0] for line in problem.splitlines()] == [
        "--gen-img", "--save-each"
    ]  # fmt: skip


def test_pictures_of_an_earlier_call_are_not_mixed_with_new_ones(tmp_path, weights):
    each = tmp_path / "each"
    words = {"netg_path": weights["netg_path"], "gen_img": tmp_path / "grid.png"}
    run(**words, save_each=each, gen_num=2)
    before = {path.name: path.read_bytes() for path in each.iterdir()}
    problem = problem_of(**words, save_each=each, gen_num=3, seed=1)
    assert problem.startswith(f"--save-each {each}: ")
    assert {path.name: path.read_bytes() for path in each.iterdir()} == before
    (tmp_path / "empty").mkdir()
    run(**words, save_each=tmp_path / "empty", gen_num=2)


def test_a_folder_that_may_not_be_written_is_told_before_any_work(tmp_path, weights, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    problem = problem_of(**weights, gen_img=tmp_path / "grid.png")
    assert f"--gen-img {tmp_path}: cannot be written" in problem


def test_a_folder_is_no_picture(tmp_path, weights):
    (tmp_path / "grid.png").mkdir()
    assert "is a folder" in problem_of(**weights, gen_img=tmp_path / "grid.png")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", [3]),
        ("3,17,40-44", [3, 17, 40, 41, 42, 43, 44]),
        (" 5 , 2 ", [5, 2]),
        ("7-7,7", [7, 7]),
    ],
)
def test_indices_are_read(text, expected):
    assert parse_indices(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1",
        "1-",
        "5-3",
        "1..3",
        "1,,2",
        "²",
        "٣",
        "1.5",
        "0-9999999999",
        "9" * 5000,
        "1 2",
    ],
)
def test_indices_that_are_none_are_told_in_a_line(text):
    with pytest.raises(ValueError, match=r"write 3,17,40-44|give fewer") as caught:
        parse_indices(text)
    assert str(caught.value).isprintable()


# --- the textbook's paths


def test_the_textbooks_paths_mean_the_newest_run_that_has_the_files(tmp_path, weights):
    root = tmp_path / "checkpoints"
    for name, files in [("a", ("netg", "netd")), ("b", ("netg",))]:
        Run(root / name).write_options({}, {})
        os.utime(root / name / "options.json", (100 + ord(name), 100 + ord(name)))
        for kind in files:
            (root / name / f"{kind}_200.pth").write_bytes(b"")
    words = {"runs_path": str(root), "netg_path": str(root / "netg_200.pth")}
    said = heard()
    both = words | {"netd_path": str(root / "netd_200.pth")}
    found = find_weights(resolve("generate", both)[0])
    assert found == (root / "a" / "netg_200.pth", root / "a" / "netd_200.pth")
    assert "the newest run, a" in said[0]
    alone = find_weights(resolve("generate", words)[0])
    assert alone == (root / "b" / "netg_200.pth", None)
    # a file that is there is what was meant
    (root / "netg_200.pth").write_bytes(b"")
    assert find_weights(resolve("generate", words)[0]) == (
        root / "netg_200.pth", None
    )  # fmt: skip


def test_paths_elsewhere_mean_what_they_say(tmp_path):
    root = tmp_path / "checkpoints"
    Run(root / "a").write_options({}, {})
    (root / "a" / "netg_200.pth").write_bytes(b"")
    words = {"runs_path": str(root), "netg_path": str(tmp_path / "netg_200.pth")}
    with pytest.raises(UsageError) as caught:
        find_weights(resolve("generate", words)[0])
    assert caught.value.flags == ("--netg-path",)


# --- the best weights of a run


def run_with(root, name, *files, changed=100):
    Run(root / name).write_options({}, {})
    os.utime(root / name / "options.json", (changed, changed))
    for file in files:
        (root / name / file).write_bytes(b"")
    return root / name


@pytest.mark.parametrize(
    ("files", "best"),
    [
        (["netg_10.pth", "netg_last.pth", "netg_best.pth"], "netg_best.pth"),
        (["netg_10.pth", "netg_last.pth"], "netg_last.pth"),
        (["netg_10.pth"], "netg_10.pth"),
    ],
)
def test_a_run_stands_for_its_best_weights(tmp_path, monkeypatch, files, best):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "checkpoints"
    folder = run_with(root, "a", *files, *(name.replace("netg", "netd") for name in files))
    run_with(root, "empty", changed=200)
    said = heard()
    for words in ({}, {"netg_path": "a"}, {"netg_path": str(folder)}):
        config = resolve("generate", {"runs_path": str(root), **words})[0]
        assert find_weights(config) == (folder / best, None)
        assert best in said.pop()
    both = {"runs_path": str(root), "netg_path": "a", "netd_path": "a"}
    assert find_weights(resolve("generate", both)[0]) == (
        folder / best, folder / best.replace("netg", "netd"),
    )  # fmt: skip


def test_a_missing_file_names_what_is_there(tmp_path):
    folder = run_with(tmp_path, "a", "netg_10.pth", "netg_last.pth")
    for path in (folder / "netg_200.pth", tmp_path / "netg_200.pth"):
        words = {"runs_path": str(tmp_path), "netg_path": str(path)}
        with pytest.raises(UsageError, match=r"netg_10\.pth, netg_last\.pth") as caught:
            find_weights(resolve("generate", words)[0])
        assert caught.value.flags == ("--netg-path",)


@pytest.mark.parametrize("words", [{}, {"netg_path": "empty"}])
def test_no_weights_at_all(tmp_path, words):
    run_with(tmp_path, "empty")
    with pytest.raises(UsageError) as caught:
        find_weights(resolve("generate", {"runs_path": str(tmp_path), **words})[0])
    assert caught.value.flags == ("--netg-path",)


# --- a folder of pictures that a call was ended in


def test_a_call_that_was_ended_goes_on_in_its_folder(tmp_path, weights, monkeypatch):
    each = tmp_path / "each"
    words = {**weights, "save_each": each, "gen_img": tmp_path / "grid.png", "gen_num": 5,
             "gen_search_num": 9}  # fmt: skip
    plain, calls = generate.images.save_picture, []

    def ended(picture, path):
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        plain(picture, path)

    with monkeypatch.context() as patch:
        patch.setattr(generate.images, "save_picture", ended)
        with pytest.raises(KeyboardInterrupt):
            run(**words)
    assert len(list(each.glob("*.png"))) == 2
    (each / ".00000001.png.7.tmp").write_bytes(b"half")  # as a kill leaves it
    assert "--save-each" in problem_of(**words | {"seed": 1})
    run(**words)
    manifest = json.loads((each / "manifest.json").read_text())
    assert {path.name for path in each.iterdir()} == {
        "manifest.json", *(picture["file"] for picture in manifest["pictures"])
    }  # fmt: skip


@pytest.mark.parametrize("held", ["mine.png", "manifest.json"])
def test_files_of_others_are_left_alone(tmp_path, weights, held):
    each = tmp_path / "each"
    each.mkdir()
    (each / held).write_bytes(b"mine")
    words = {**weights, "save_each": each, "gen_img": tmp_path / "grid.png", "gen_num": 1}
    assert "--save-each" in problem_of(**words)
    assert [(path.name, path.read_bytes()) for path in each.iterdir()] == [(held, b"mine")]


@pytest.mark.parametrize(
    "labels",
    [
        {"rows": [[5]], "counts": [1]},
        {"rows": [[0, 0]], "counts": [1]},
        {"rows": [[0]], "counts": [-1]},
        {"rows": [[0]], "counts": [float("nan")]},
        {"rows": [[0.5]], "counts": [1]},
        {"rows": [[0]], "counts": [1, 1]},
        {"rows": 3, "counts": 3},
        {},
    ],
)
def test_labels_that_a_file_cannot_have_are_refused(tmp_path, labels):
    spec = Spec(image_size=16, nz=5, ngf=2, ndf=2, classes=(2,))
    saved = {"names": ["hair"], "values": [["red", "blue"]], **labels}
    path = tmp_path / "netg.pth"
    weights = models.build_netg(spec).state_dict()
    checkpoint.save_net(path, "netg", weights, spec, {"labels": saved})
    assert "--netg-path" in problem_of(netg_path=path, gen_img=tmp_path / "grid.png")


class Blank(nn.Module):
    """Draws a flat picture, as bright as its noise's first value."""

    def forward(self, noise):
        return noise[:, :1].tanh().expand(-1, 3, 16, 16)


def test_the_most_different_are_kept_and_the_best_among_them():
    noise = Noise(seed=0, nz=5)
    ranked = list(range(40))
    kept = most_different(Blank(), noise, ranked, 4, torch.device("cpu"))
    assert kept[0] == 0
    assert len(set(kept)) == 4
    bright = noise(ranked)[:, 0, 0, 0].tanh()
    assert {int(bright.argmin()), int(bright.argmax())} & set(kept)
    assert bright[kept].sort().values.diff().min() > 2 * bright[:4].sort().values.diff().min()


def test_each_candidate_is_kept_once_though_all_pictures_are_the_same():
    noise = Noise(seed=0, nz=5, std=0)
    kept = most_different(Blank(), noise, list(range(40)), 4, torch.device("cpu"))
    assert len(set(kept)) == 4
