"""The fault campaign damages what it says it damages, and tells faults from refusals."""

import random

import pytest

from animegan.core.errors import UsageError
from benchmarks.reliability.mutations import changed
from benchmarks.reliability.tally import Tally, watched


@pytest.mark.parametrize("text", [True, False])
def test_damage_always_changes_the_content(text):
    intact = b'{"step": 1, "loss": 0.5}'
    rng = random.Random(0)
    assert all(changed(intact, rng, text)[0] != intact for _ in range(300))


def raising(error):
    raise error


def test_a_try_is_an_answer_a_refusal_or_a_fault():
    assert watched(lambda: 3) == ("answer", 3)
    assert watched(lambda: raising(UsageError("--a 1: wrong")))[0] == "refused"
    assert watched(lambda: raising(KeyError("a")))[0] == "tracebacks"


def test_faults_are_counted_and_the_first_are_kept():
    tally = Tally("kind")
    for outcome in ("right", "refused", "wrong", "tracebacks", "hangs"):
        tally.add(outcome, "detail")
    assert (tally.tried, tally.faults, len(tally.examples)) == (5, 3, 3)
