from benchmarks.harness.ratio import Spread, in_turn, ratio


def test_every_side_runs_once_a_round_and_no_side_always_first():
    ran = []
    seconds = in_turn({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, rounds=3)
    assert "".join(ran) == "abbaab"
    assert list(seconds) == ["a", "b"]
    assert [len(rounds) for rounds in seconds.values()] == [3, 3]
    assert min(seconds["a"] + seconds["b"]) > 0


def test_a_ratio_is_taken_within_each_round():
    found = ratio([2.0, 30.0, 8.0], [1.0, 10.0, 2.0])
    assert found == Spread(3.0, 2.0, 4.0)
    assert str(found) == "3 (2 to 4)"
