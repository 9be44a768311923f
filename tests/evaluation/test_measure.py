"""Sets in numbers: in one pass, kept by content, in flat memory."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from animegan.evaluation.extractors import BATCH
from animegan.evaluation.measure import Pictures, measure, of_array
from animegan.evaluation.metrics import mirrored_thumbnails, thumbnails
from tests.support.blocks import Blocks, Red, as_batch, spots


def test_all_that_is_told_of_each_picture() -> None:
    images = spots(40, 0)
    found = measure(of_array("spots", images), Blocks(), Red())
    assert len(found) == 40
    squares = (images[3, ::4, ::4] / 255).transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(found.features[3], squares, rtol=1e-5)
    assert found.thumbs.shape == (40, 3 * 256)
    means = images.mean((1, 2))
    np.testing.assert_array_equal(found.faces, means[:, 0] > means[:, 2])
    some = found.rows(np.array([5, 2]))
    np.testing.assert_array_equal(some.features, found.features[[5, 2]])
    assert measure(of_array("spots", images), Blocks(), None).rows(np.arange(3)).faces.size == 0


def test_a_folders_numbers_are_kept_by_content_not_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    images, net, detector = spots(40, 0), Blocks(), Red()
    first = measure(of_array("here", images), net, detector)
    assert "measuring here" in capsys.readouterr().err
    again = measure(of_array("there", images.copy()), net, detector)
    assert (net.seen, detector.seen) == (40, 40)
    assert capsys.readouterr().err == ""
    for name in ("features", "thumbs", "faces"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert getattr(first, name).dtype == getattr(again, name).dtype
    images[0, 0, 0, 0] ^= 128
    measure(of_array("here", images), net, detector)
    assert (net.seen, detector.seen) == (80, 80)
    measure(of_array("here", images, np.arange(39)), net, detector)
    assert net.seen == 80 + 39


def test_features_made_another_way_are_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, net = of_array("here", spots(40, 0)), Blocks()
    threads = torch.get_num_threads()
    measure(pictures, net, None)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads + 1)
        measure(pictures, net, None)
    assert net.seen == 80
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "0.4.1")
        measure(pictures, net, None)
    assert net.seen == 120
    with monkeypatch.context() as patch:
        patch.setattr(net, "device", torch.device("meta"))
        measure(pictures, net, None)
    assert net.seen == 160
    measure(pictures, net, None)
    assert net.seen == 160


def test_a_damaged_cache_is_measured_again(own_cache: Path) -> None:
    pictures, net = of_array("here", spots(40, 0)), Blocks()
    first = measure(pictures, net, None)
    for file in (own_cache / "features").iterdir():
        content = bytearray(file.read_bytes())
        content[200] ^= 4
        file.write_bytes(content)
    again = measure(pictures, net, None)
    assert net.seen == 80
    np.testing.assert_array_equal(again.features, first.features)
    np.testing.assert_array_equal(again.thumbs, first.thumbs)
    measure(pictures, net, None)
    assert net.seen == 80


def test_what_is_missing_is_measured_alone() -> None:
    images, net, detector = spots(40, 0), Blocks(), Red()
    measure(of_array("here", images), net, None)
    measure(of_array("here", images), net, detector)
    assert (net.seen, detector.seen) == (40, 40)


def test_samples_are_drawn_once_a_batch_at_a_time_and_not_kept() -> None:
    images = as_batch(spots(BATCH + 20, 0))
    asked: list[tuple[int, int]] = []

    def draw(start: int, count: int) -> Tensor:
        asked.append((start, count))
        return images[start : start + count]

    net = Blocks()
    samples = Pictures("netg.pth", len(images), draw)
    measure(samples, net, Red())
    assert asked == [(0, BATCH), (BATCH, 20)]
    measure(samples, net, Red())
    assert net.seen == 2 * len(images)


def test_order_and_single_pictures() -> None:
    images = spots(10, 0)
    order = np.array([7, 1, 4])
    pictures = of_array("spots", images, order)
    assert pictures.count == 3
    assert torch.equal(pictures.draw(1, 2), as_batch(images[[1, 4]]))
    assert torch.equal(pictures.at([2, 0]), as_batch(images[[4, 7]]))
    assert pictures.source != of_array("spots", images, order[::-1]).source


def test_mirror_images_of_the_first_in_the_same_pass() -> None:
    images = spots(BATCH + 60, 0)
    asked: list[int] = []

    def draw(start: int, count: int) -> Tensor:
        asked.append(start)
        return as_batch(images[start : start + count])

    pictures, count = Pictures("netg.pth", len(images), draw), BATCH + 20
    found = measure(pictures, Blocks(), None, mirrored=count)
    assert asked == [0, BATCH]
    mirror_images = np.ascontiguousarray(images[:, :, ::-1])
    expected = measure(of_array("mirrored", mirror_images), Blocks(), None)
    np.testing.assert_array_equal(found.mirrored, expected.features[:count])
    np.testing.assert_array_equal(mirrored_thumbnails(found.thumbs), expected.thumbs)
    assert len(found) == len(images)
    assert len(measure(pictures, Blocks(), None, mirrored=10).mirrored) == 10
    assert measure(pictures, Blocks(), None).mirrored.shape == (0, 48)


def test_rows_with_their_mirror_images_where_all_have_been_measured() -> None:
    found = measure(of_array("spots", spots(40, 0)), Blocks(), None, mirrored=10)
    np.testing.assert_array_equal(found.rows(np.array([9, 2])).mirrored, found.mirrored[[9, 2]])
    assert len(found.rows(np.array([9, 10])).mirrored) == 0


def test_mirror_images_are_kept_apart() -> None:
    pictures, net = of_array("here", spots(40, 0)), Blocks()
    plain = measure(pictures, net, None)
    both = measure(pictures, net, None, mirrored=10)
    assert net.seen == 50
    again = measure(pictures, net, None, mirrored=10)
    assert net.seen == 50
    np.testing.assert_array_equal(both.features, plain.features)
    np.testing.assert_array_equal(again.mirrored, both.mirrored)
    measure(pictures, net, None, mirrored=20)
    assert net.seen == 70


@pytest.mark.parametrize(("size", "channels"), [(16, 3), (50, 3), (33, 1)])
def test_mirrored_thumbnails_are_those_of_mirror_images(size: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    pixels = as_batch(rng.integers(0, 256, (20, size, size, channels), dtype=np.uint8))
    found = mirrored_thumbnails(thumbnails(pixels).numpy())
    assert np.array_equal(found, thumbnails(pixels.flip(3)).numpy())
    assert not np.array_equal(found, thumbnails(pixels).numpy())


def test_grey_pictures() -> None:
    found = measure(of_array("grey", spots(6, 0, channels=1)), Blocks(), Red())
    assert found.features.shape == (6, 48)
    assert not found.faces.any()
