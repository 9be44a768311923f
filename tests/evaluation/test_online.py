"""The evaluator of a training: cheap, repeatable, and it disturbs nothing."""

import numpy as np
import pytest
import torch

from animegan.evaluation import metrics
from animegan.evaluation.online import OnlineEvaluator
from tests.support.blocks import Blocks, as_batch, face_set, spots


def test_scores_order_and_repeat() -> None:
    evaluator = OnlineEvaluator(face_set(spots(200, 1)), Blocks(), n=150)
    good, dark = as_batch(spots(150, 2)), as_batch(spots(150, 2) // 2)
    told = evaluator.score(lambda start, n: good[start : start + n])
    assert set(told) == {"kid", "fd"}
    assert told == evaluator.score(lambda start, n: good[start : start + n])
    worse = evaluator.score(lambda start, n: dark[start : start + n])
    assert worse["fd"] > 3 * told["fd"]
    assert worse["kid"] > 10 * abs(told["kid"])


def test_it_scores_against_the_reals_of_its_seed() -> None:
    images = spots(100, 1)
    evaluator = OnlineEvaluator(face_set(images), Blocks(), n=60, seed=3)
    chosen = np.sort(np.random.RandomState(3).permutation(100)[:60])
    samples = as_batch(spots(60, 2))
    features = [Blocks()(batch).numpy() for batch in (as_batch(images[chosen]), samples)]
    told = evaluator.score(lambda start, n: samples[start : start + n])
    assert told["fd"] == pytest.approx(metrics.frechet(*features))
    assert told["kid"] == pytest.approx(metrics.kid_of_all(*features, norm_scaled=False))


def test_reals_are_measured_once_even_across_runs() -> None:
    net, images = Blocks(), spots(40, 1)
    OnlineEvaluator(face_set(images), net, n=1000)
    assert OnlineEvaluator(face_set(images), net, n=1000).n == 40
    assert net.seen == 40


def test_global_random_state_is_left_alone() -> None:
    samples = as_batch(spots(40, 2))
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.random.get_rng_state().clone(), np.random.get_state()[1].copy()
    OnlineEvaluator(face_set(spots(40, 1)), Blocks()).score(lambda s, n: samples[s : s + n])
    assert torch.equal(torch.random.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
