"""The table: every number beside the floor's, KID x 1000, and the notes that apply."""

from dataclasses import replace

import pytest

from animegan.evaluation.measure import Folder, of_array
from animegan.evaluation.protocol import CANNOT, Evaluation, evaluate
from animegan.evaluation.table import HIGHER, LOWER, notes, rows, table
from tests.support.blocks import Blocks, Red, face_set, spots


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(
        of_array("samples", spots(64, 0)), Folder("reals", face_set(spots(128, 1))),
        extractor=Blocks(), detector=Red(), train=Folder("train", face_set(spots(50, 2))),
    )  # fmt: skip


def test_a_row_for_each_number(evaluation: Evaluation) -> None:
    numbers, floor = evaluation.numbers, evaluation.floor
    fd, kid, precision, *_, duplicates = rows(evaluation)
    assert len(rows(evaluation)) == 8
    assert (float(fd.samples), float(fd.floor)) == (round(numbers.fd, 2), round(floor.fd, 2))
    assert float(precision.samples) == round(numbers.precision, 3)
    assert int(duplicates.samples) == numbers.duplicates
    mean, std = map(float, kid.samples.split(" ± "))
    assert mean == pytest.approx(1000 * numbers.kid, abs=0.5)
    assert std == pytest.approx(1000 * numbers.kid_std, abs=0.5)
    assert "x 1000" in kid.name
    assert [row.better for row in rows(evaluation)] == [LOWER, LOWER, *[HIGHER] * 5, LOWER]


def test_marks_lead_to_the_limits_of_the_number(evaluation: Evaluation) -> None:
    lines = notes(evaluation)
    keys = ["fd", "kid", "precision", "recall", "density", "coverage", "face_rate", "duplicates"]
    for key, row in zip(keys, rows(evaluation), strict=True):
        [note] = [line for line in lines if line.startswith(row.note)]
        assert CANNOT[key] in note
    shown = table(evaluation).splitlines()
    assert shown[-len(lines) :] == lines
    assert len(shown) == 2 + 8 + 1 + len(lines)


def test_without_a_detector_there_is_no_face_rate(evaluation: Evaluation) -> None:
    numbers = replace(evaluation.numbers, face_rate=None, face_rate_real=None)
    floor = replace(evaluation.floor, face_rate=None, face_rate_real=None)
    without = replace(evaluation, numbers=numbers, floor=floor)
    assert len(rows(without)) == 7
    assert len(notes(without)) == len(notes(evaluation)) - 1


@pytest.mark.parametrize(
    ("change", "more"),
    [({}, 0), ({"train": None}, 1), ({"train_changed": True}, 1), ({"train_changed": False}, 0)],
)
def test_a_training_set_that_is_missing_or_changed_is_noted(
    evaluation: Evaluation, change: dict[str, object], more: int
) -> None:
    protocol = evaluation.protocol | {"copying": evaluation.protocol["copying"] | change}
    changed = replace(evaluation, protocol=protocol)
    assert len(notes(changed)) == len(notes(evaluation)) + more


def test_reals_that_do_not_count_and_a_small_floor_are_noted(evaluation: Evaluation) -> None:
    few = replace(evaluation, copying=evaluation.copying._replace(left_out=10))
    assert len(notes(few)) == len(notes(evaluation)) + 1
    none = replace(evaluation, copying=evaluation.copying._replace(left_out=64, copied=None))
    assert len(notes(none)) == len(notes(evaluation))
    assert notes(none)[-1] != notes(evaluation)[-1]
    small = replace(evaluation, protocol=evaluation.protocol | {"floor_n": 32})
    assert len(notes(small)) == len(notes(evaluation)) + 1
