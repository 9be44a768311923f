"""The protocol: equal numbers, a floor, a JSON with just its keys, the same numbers twice."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from animegan.core.errors import UsageError
from animegan.evaluation.measure import Folder, Pictures, of_array
from animegan.evaluation.protocol import CANNOT, Evaluation, Numbers, evaluate
from tests.support.blocks import Blocks, Red, as_batch, face_set, spots

KEYS = ["fd", "kid_x1000", "kid_x1000_std", "precision", "recall", "density", "coverage"]
KEYS += ["face_rate", "face_rate_real", "duplicates"]


def run(
    samples: NDArray[np.uint8], reals: NDArray[np.uint8], count: int | None = None,
    others: NDArray[np.uint8] | None = None, train: NDArray[np.uint8] | None = None, seed: int = 0,
    others_from: str = "more", train_from: str = "train", trained_on: str = "",
) -> Evaluation:  # fmt: skip
    batch = as_batch(samples)
    return evaluate(
        Pictures("netg.pth", len(samples), lambda start, n: batch[start : start + n]),
        folder("reals", reals), extractor=Blocks(), detector=Red(), count=count, seed=seed,
        others=None if others is None else folder(others_from, others),
        train=None if train is None else folder(train_from, train), trained_on=trained_on,
    )  # fmt: skip


def folder(path: str, images: NDArray[np.uint8]) -> Folder:
    return Folder(path, replace(face_set(images), digest=f"{len(images)} pictures"))


def test_json_is_one_object_with_the_promised_keys() -> None:
    evaluation = run(spots(60, 0), spots(120, 1), count=50)
    text = evaluation.as_json()
    assert "\n" not in text
    record = json.loads(text)
    assert record["kid_x1000"] == 1000 * evaluation.numbers.kid
    assert record["floor"]["kid_x1000_std"] == 1000 * evaluation.floor.kid_std
    assert set(record["protocol"]["does_not_show"]) <= set(KEYS)
    assert list(record) == [*KEYS, "copied", "unseen_left_out", "floor", "protocol"]
    assert 0 <= record["copied"] <= 1
    assert list(record["floor"]) == KEYS
    for key in ("extractor", "n", "resize", "seed", "weights_sha256", "floor_n", "against"):
        assert key in record["protocol"]
    assert record["protocol"]["n"] == record["protocol"]["floor_n"] == 50


def test_samples_like_the_reals_score_as_the_floor_and_damaged_ones_worse() -> None:
    reals = spots(400, 1)
    good = run(spots(200, 2), reals, count=200)
    dark = run(spots(200, 2) // 2, reals, count=200)
    assert good.numbers.fd == pytest.approx(good.floor.fd, rel=0.3)
    assert abs(good.numbers.kid) < 4 * good.floor.kid_std
    assert good.numbers.coverage > 0.8
    assert dark.floor == good.floor
    assert dark.numbers.fd > 3 * good.numbers.fd
    assert dark.numbers.kid > 10 * good.floor.kid_std
    assert dark.numbers.coverage < good.numbers.coverage / 2


def test_the_same_numbers_twice_and_others_for_another_seed() -> None:
    reals, samples = spots(200, 1), spots(100, 2)
    first = run(samples, reals, count=80)
    assert run(samples, reals, count=80).as_json() == first.as_json()
    assert run(samples, reals, count=80, seed=1).numbers.fd != first.numbers.fd


def test_the_numbers_are_compared_at_equal_n() -> None:
    found = run(spots(90, 0), spots(64, 1))
    assert found.protocol["n"] == 64
    assert found.samples.count == 64
    assert run(spots(50, 0), spots(64, 1)).protocol["n"] == 50


def test_with_few_reals_the_floor_takes_halves_and_says_so(said: list[str]) -> None:
    found = run(spots(64, 0), spots(64, 1))
    assert found.protocol["floor_n"] == 32
    assert sum("--floor-path" in line for line in said) == 1
    assert not run(spots(64, 0), spots(128, 1), count=64).protocol["floor_n"] < 64


def test_a_second_folder_makes_the_floor() -> None:
    reals, more = spots(64, 1), spots(100, 2) // 2
    found = run(spots(64, 0), reals, others=more)
    assert found.protocol["floor_n"] == 64
    assert found.protocol["floor_of"] == "more"
    assert found.floor.fd > found.numbers.fd  # the second folder is darker than the samples
    assert found.floor.face_rate_real == found.numbers.face_rate_real


@pytest.mark.parametrize("few", [1, 5, 31])
def test_too_few_pictures_for_the_floor_are_refused_before_measuring(few: int) -> None:
    network = Blocks()
    with pytest.raises(UsageError) as caught:
        evaluate(
            of_array("samples", spots(64, 0)), folder("reals", spots(64, 1)), extractor=network,
            detector=None, others=folder("more", spots(few, 2)),
        )  # fmt: skip
    assert caught.value.flags == ("--floor-path",)
    assert network.seen == 0


def test_copied_samples_are_told_as_copies() -> None:
    train, reals = spots(150, 3), spots(150, 1)
    honest = run(spots(100, 2), reals, count=100, train=train)
    assert honest.copying.unseen_are == "reals"
    assert honest.copying.copied < 0.1
    thief = run(train[:100], reals, count=100, train=train)
    assert thief.copying.copied == 1
    assert thief.train.name == "train"


@pytest.mark.parametrize(
    ("trained_on", "changed"), [("", None), ("150 pictures", False), ("151 pictures", True)]
)
def test_a_training_set_that_changed_is_recorded(trained_on: str, changed: bool | None) -> None:
    found = run(spots(50, 2), spots(64, 1), train=spots(150, 3), trained_on=trained_on)
    assert found.protocol["copying"]["train_changed"] is changed
    stand_in = run(spots(50, 2), spots(64, 1), trained_on=trained_on)
    assert stand_in.protocol["copying"]["train_changed"] is None


def test_without_a_training_set_the_reals_are_taken_for_it() -> None:
    reals = spots(150, 1)
    found = run(reals[:100], reals, count=100)
    assert found.train.name == "reals"
    assert found.copying.copied > 0.9
    assert run(reals[:100], reals, count=100, others=spots(90, 4)).copying.unseen_are == "more"


def distances(queries: NDArray[np.uint8], base: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[n, m], of each query to each picture of the base, or of its mirror image if that is less."""
    net = Blocks()
    each = net(as_batch(base)).double()
    sides = (as_batch(queries), as_batch(queries).flip(3))
    return np.minimum(*((net(side).double()[:, None] - each).norm(dim=2).numpy() for side in sides))


def test_unseen_reals_are_the_reals_where_the_training_set_is_another_folder() -> None:
    train, reals, more = spots(90, 3), spots(70, 1), spots(60, 4)
    chosen = np.random.RandomState(0).permutation(70)[:50]
    expected = distances(reals[chosen], train).min(1)
    for others in (None, more):
        found = run(spots(50, 2), reals, count=50, train=train, others=others)
        np.testing.assert_allclose(found.copying.unseen, expected)
        assert found.copying.unseen_are == "reals"


@pytest.mark.parametrize("train", [True, False])
def test_unseen_reals_are_the_others_where_the_reals_are_the_training_set(train: bool) -> None:
    reals, more = spots(50, 1), spots(60, 4)
    given: dict[str, Any] = {"train": reals, "train_from": "reals"} if train else {}
    found = run(spots(50, 2), reals, others=more, **given)
    chosen = np.random.RandomState(0).permutation(60)[:50]
    np.testing.assert_allclose(found.copying.unseen, distances(more[chosen], reals).min(1))
    assert found.copying.unseen_are == "more"


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("others", [True, False])
def test_without_unseen_reals_each_is_left_out_in_turn(train: bool, others: bool) -> None:
    reals = spots(100, 1)
    given: dict[str, Any] = {"train": reals, "train_from": "./reals"} if train else {}
    given |= {"others": reals, "others_from": "reals/"} if others else {}
    found = run(spots(50, 2), reals, count=50, **given)
    order = np.random.RandomState(0).permutation(100)
    base = order if train or not others else order[:50]
    apart = distances(reals[order[:50]], reals[base])
    apart[order[:50, None] == base] = np.inf
    np.testing.assert_allclose(found.copying.unseen, apart.min(1))
    assert found.copying.unseen_are == "each training picture against the others"


def test_all_of_the_training_set_is_searched_when_it_is_the_folder_of_the_reals() -> None:
    reals = spots(300, 1)
    measured = np.random.RandomState(0).permutation(300)[:100]
    rest = np.setdiff1d(np.arange(300), measured)
    found = run(reals[rest[:50]], reals, count=50, train=reals, train_from="reals/")
    assert found.copying.copied == 1
    assert found.train.count == found.protocol["copying"]["train_n"] == 300
    np.testing.assert_array_equal(found.copying.samples.rows, rest[:50])
    assert found.protocol["copying"]["train"] == "reals/"
    stand_in = run(reals[rest[:50]], reals, count=50)
    assert stand_in.copying.copied < 0.1
    assert stand_in.protocol["copying"]["train"] is None


@pytest.mark.parametrize("step", [1, -1], ids=["copied", "mirrored"])
def test_copies_are_told_although_some_reals_are_in_the_training_set(step: int) -> None:
    train, reals = spots(150, 3), spots(100, 1)
    reals[:10] = train[:10, :, ::step]
    samples = np.concatenate([train[50:100, :, ::step], spots(50, 2)])
    found = run(samples, reals, train=train)
    assert found.copying.copied == pytest.approx(0.5, abs=0.05)
    assert found.copying.samples.mirrored[:50].all() == (step == -1)
    record = json.loads(found.as_json())
    assert record["unseen_left_out"] == found.copying.left_out == 10
    assert record["protocol"]["copying"] == {
        "train": "train", "train_n": 150, "train_changed": None, "mirrored": True,
        "unseen": "reals", "unseen_n": 100, "unseen_left_out": 10,
        "unseen_quantile": 0.01, "near": found.copying.near,
    }  # fmt: skip
    assert run(samples, reals[10:], train=train).copying.left_out == 0


def test_reals_that_are_all_in_the_training_set_tell_nothing_of_copies() -> None:
    train = spots(100, 3)
    found = run(spots(50, 2), train[:60], train=train)
    record = json.loads(found.as_json())
    assert record["copied"] is None
    assert record["unseen_left_out"] == 50
    assert record["protocol"]["copying"]["near"] is None


def test_repeated_samples_are_counted() -> None:
    samples = spots(100, 2)
    samples[:50] = samples[0]
    assert run(samples, spots(200, 1), count=100).numbers.duplicates == 49


def test_face_rates() -> None:
    red, blue = spots(100, 2), spots(200, 1)
    red[..., 2] //= 2
    blue[..., 0] //= 2
    found = run(red, blue, count=100)
    assert found.numbers.face_rate is not None
    assert found.numbers.face_rate_real is not None
    assert found.numbers.face_rate > 0.9 > 0.1 > found.numbers.face_rate_real


def test_folder_against_folder_without_detector() -> None:
    found = evaluate(
        of_array("samples", spots(64, 0)), folder("reals", spots(64, 1)), extractor=Blocks(),
        detector=None,
    )  # fmt: skip
    assert found.numbers.face_rate is None
    assert json.loads(found.as_json())["face_rate"] is None


def test_limits_are_those_of_numbers_that_exist() -> None:
    assert CANNOT
    assert set(CANNOT) <= set(Numbers.__dataclass_fields__)


@pytest.mark.parametrize(
    ("samples", "reals", "count", "flag"),
    [
        (100, 5, None, "--against"), (5, 100, None, "--samples"), (100, 50, 60, "--eval-num"),
        (50, 100, 60, "--eval-num"),
    ],
)  # fmt: skip
def test_too_few_pictures(samples: int, reals: int, count: int | None, flag: str) -> None:
    with pytest.raises(UsageError) as caught:
        run(spots(samples, 0), spots(reals, 1), count=count)
    assert caught.value.flags == (flag,)


@pytest.mark.faces
@pytest.mark.skipif("ANIMEGAN_DATA" not in os.environ, reason="ANIMEGAN_DATA names no real faces")
def test_real_faces_with_the_real_network_twice_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from animegan.datasets.faces.detector import FaceDetector
    from animegan.evaluation.extractors import build_extractor

    faces = Path(os.environ["ANIMEGAN_DATA"]) / "heldout" / "faces"
    images = np.stack([np.asarray(Image.open(file)) for file in sorted(faces.iterdir())[:120]])
    blurred = np.stack(
        [np.asarray(Image.fromarray(i).filter(ImageFilter.GaussianBlur(2))) for i in images[80:]]
    )
    extractor, detector = build_extractor("lite0"), FaceDetector()

    def measured(samples: NDArray[np.uint8], cache: str) -> Evaluation:
        monkeypatch.setenv("ANIMEGAN_CACHE", str(tmp_path / cache))
        return evaluate(
            of_array("samples", samples), folder("reals", images[:80]), extractor=extractor,
            detector=detector,
        )  # fmt: skip

    first = measured(images[80:], "one")
    assert measured(images[80:], "two").as_json() == first.as_json()
    assert first.numbers.face_rate is not None
    assert first.numbers.face_rate > 0.8
    bad = measured(blurred, "one")
    assert bad.numbers.fd > 1.3 * first.numbers.fd
    assert bad.numbers.kid > first.numbers.kid + 0.5
    assert bad.numbers.face_rate is not None
    assert bad.numbers.face_rate < 0.2
