"""KID is x 1000 wherever it is shown, with a decimal where it is small."""

import pytest

from animegan.evaluation.numbers import kid_shown


@pytest.mark.parametrize(
    ("kid", "std", "shown"),
    [
        (0.0042, None, "4.2"), (-0.0013, 0.0029, "-1.3 ± 2.9"), (0.5421, 0.0152, "542 ± 15"),
        (4.6314, None, "4631"), (0.0, None, "0.0"),
    ],
)  # fmt: skip
def test_kid(kid: float, std: float | None, shown: str) -> None:
    assert kid_shown(kid, std) == shown
