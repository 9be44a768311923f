"""Distances between feature sets: against torch-fidelity, against answers known by hand."""

import importlib.util

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from animegan.evaluation import metrics

needs_reference = pytest.mark.skipif(
    importlib.util.find_spec("torch_fidelity") is None,
    reason="torch-fidelity is not installed; pip install -e '.[fid]'",
)


def cloud(count: int, dims: int, seed: int, shift: float = 0.0) -> NDArray[np.float32]:
    """Non-negative, correlated features, as a network with ReLU gives them."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dims, dims)) / dims**0.5
    return np.maximum(rng.normal(size=(count, dims)) @ mixing + shift, 0).astype(np.float32)


@needs_reference
@pytest.mark.parametrize("count", [40, 300])  # fewer and more pictures than features
def test_frechet_is_torch_fidelitys(count: int) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    real, fake = cloud(count, 64, 0), cloud(count + 30, 64, 1, shift=0.2)
    stats = [fid_features_to_statistics(torch.from_numpy(f).double()) for f in (fake, real)]
    expected = fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    assert metrics.frechet(real, fake) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_known_gaussians() -> None:
    """Along each axis: (m1 - m2)² + (s1 - s2)²."""
    base = np.concatenate([np.eye(3), -np.eye(3)])  # mean 0, variance 2 / 5 on each axis
    other = 3 * base + np.array([1.0, 0, 2])
    spread = (2 / 5) ** 0.5
    assert metrics.frechet(base, other) == pytest.approx(1 + 4 + 3 * (3 * spread - spread) ** 2)
    assert metrics.frechet(base, base) == pytest.approx(0, abs=1e-9)


@needs_reference
def test_kid_is_torch_fidelitys_with_the_same_subsets() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, fake = cloud(200, 64, 0), cloud(180, 64, 1, shift=0.2)
    expected = kid_features_to_metric(
        torch.from_numpy(fake).double(), torch.from_numpy(real).double(),
        kid_subsets=7, kid_subset_size=90, rng_seed=5, verbose=False,
    )  # fmt: skip
    mean, spread = metrics.kid(real, fake, norm_scaled=False, subsets=7, size=90, seed=5)
    assert mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-5)
    assert spread == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-4)


def test_norm_scaled_kid_does_not_see_the_length_of_vectors() -> None:
    real, fake = cloud(200, 64, 0), cloud(200, 64, 1, shift=0.2)
    scaled = metrics.kid(real, fake, norm_scaled=True, subsets=4)
    assert metrics.kid(real, 5 * fake, norm_scaled=True, subsets=4) == pytest.approx(scaled)
    by_hand = [f / np.linalg.norm(f, axis=1, keepdims=True) * 8 for f in (real, fake)]
    assert metrics.kid(*by_hand, norm_scaled=False, subsets=4) == pytest.approx(scaled, rel=1e-4)
    plain = metrics.kid(real, fake, norm_scaled=False, subsets=4)
    assert metrics.kid(real, 5 * fake, norm_scaled=False, subsets=4)[0] > 2 * plain[0]


def test_kid_of_all_is_kid_of_one_subset_of_all() -> None:
    real, fake = cloud(90, 32, 0), cloud(90, 32, 1, shift=0.1)
    whole, spread = metrics.kid(real, fake, norm_scaled=True, subsets=1, size=90)
    assert metrics.kid_of_all(real, fake, norm_scaled=True) == pytest.approx(whole, rel=1e-4)
    assert spread == 0


def test_kid_of_equal_sources_is_about_nought_whatever_the_number() -> None:
    values = [
        metrics.kid_of_all(cloud(60, 32, k), cloud(60, 32, 100 + k), norm_scaled=True)
        for k in range(40)
    ]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 3 * np.std(values) / 40**0.5


@pytest.mark.parametrize(("count", "size"), [(10_000, 1000), (2000, 1000), (600, 300), (3, 2)])
def test_subset_size(count: int, size: int) -> None:
    assert metrics.subset_size(count) == size


@needs_reference
def test_precision_and_recall_are_torch_fidelitys() -> None:
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    real, fake = cloud(300, 16, 0), cloud(250, 16, 1, shift=0.3)
    doubles = [torch.from_numpy(f).double() for f in (fake, real)]
    expected = calculate_precision_recall_full(*doubles)
    found = metrics.prdc(real, fake)
    assert (found.precision, found.recall) == pytest.approx(expected, abs=1e-6)
    assert 0 < found.recall < 1
    assert 0 < found.precision < 1


def test_density_and_coverage_are_their_definition_written_out() -> None:
    real, fake = cloud(80, 8, 0).astype(float), cloud(50, 8, 1, shift=0.3).astype(float)

    def distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
        return float(np.linalg.norm(a - b))

    reach = [sorted(distance(a, b) for b in real)[5] for a in real]
    inside = np.array(
        [[distance(f, r) <= reach[i] for i, r in enumerate(real)] for f in fake], dtype=float
    )
    found = metrics.prdc(real, fake)
    assert found.density == pytest.approx(inside.sum() / (5 * len(fake)))
    assert found.coverage == pytest.approx(inside.any(0).mean())


def test_collapse_keeps_precision_and_loses_recall() -> None:
    real = cloud(400, 16, 0)
    one_place = real[:1] + 1e-3 * cloud(400, 16, 7)
    found = metrics.prdc(real, one_place)
    assert found.precision > 0.99
    assert found.recall < 0.01
    assert found.coverage < 0.1
    assert found.density > 1


def test_equal_rows_are_at_no_distance() -> None:
    x = torch.from_numpy(np.repeat(cloud(3, 1280, 0), 4, axis=0))
    [(_, squares)] = metrics.squared_distances(x, x)
    assert (squares == 0).sum() == 3 * 4 * 4
    assert (metrics.radii(x, 3) == 0).all()
    assert (metrics.radii(x, 4) > 0).all()


def test_chunks_do_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = cloud(130, 16, 0), cloud(130, 16, 1, shift=0.1)
    thumbs = np.repeat(np.random.default_rng(0).integers(0, 256, (65, 12), dtype=np.uint8), 2, 0)
    whole = metrics.prdc(real, fake), metrics.near_identical(thumbs)
    distance = metrics.kid_of_all(real, fake, norm_scaled=True)
    monkeypatch.setattr(metrics, "ROWS", 37)
    assert (metrics.prdc(real, fake), metrics.near_identical(thumbs)) == whole
    assert metrics.kid_of_all(real, fake, norm_scaled=True) == pytest.approx(distance, rel=1e-5)


def test_near_identical_counts_what_could_be_dropped() -> None:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 256, (6, 3, 8, 8)), np.ones((1, 1, 8, 8)))
    pictures = blocks.astype(np.uint8)

    def count(these: NDArray[np.uint8]) -> int:
        return metrics.near_identical(metrics.thumbnails(torch.from_numpy(these)).numpy())

    assert count(pictures) == 0
    assert count(np.concatenate([pictures, pictures[:2]])) == 2
    assert count(np.repeat(pictures[:1], 10, axis=0)) == 9
    inside = np.clip(blocks.astype(float), 30, 220)
    assert count(np.stack([inside[0], inside[0] + 13]).astype(np.uint8)) == 1
    assert count(np.stack([inside[0], inside[0] + 15]).astype(np.uint8)) == 0


def test_thumbnails_are_averages() -> None:
    picture = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    picture[0, 0, 0, 0] = 100  # a quarter of the first 2 x 2 block
    thumb = metrics.thumbnails(picture)
    assert thumb.shape == (1, 256)
    assert thumb[0, :2].tolist() == [25, 0]
