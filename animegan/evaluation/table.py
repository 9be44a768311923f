"""The numbers of an evaluation in words: rows, the notes below them, and the table of both."""

from typing import NamedTuple

from animegan.evaluation.numbers import KID_NAME, kid_shown
from animegan.evaluation.protocol import CANNOT, Evaluation, Numbers

LOWER, HIGHER = "lower", "higher"


class Row(NamedTuple):
    """A number of the samples beside the floor's."""

    name: str
    samples: str
    floor: str
    better: str  # LOWER or HIGHER
    note: str  # the mark of the note on what it does not show, such as "[1]"


def rows(evaluation: Evaluation) -> list[Row]:
    """Return a row for each number that was measured."""
    protocol = evaluation.protocol
    kid = protocol["kid_is"].replace("KID", KID_NAME, 1)
    known = {"fd": (protocol["fd_is"], LOWER), "kid": (kid, LOWER)}
    known |= {key: (key, HIGHER) for key in ("precision", "recall", "density", "coverage")}
    if evaluation.numbers.face_rate is not None and evaluation.floor.face_rate is not None:
        known["face_rate"] = ("face rate", HIGHER)
    known["duplicates"] = ("near-identical", LOWER)
    marks = {key: f"[{k}]" for k, key in enumerate(CANNOT, 1)}
    return [
        Row(
            name, _shown(key, evaluation.numbers), _shown(key, evaluation.floor), better,
            marks.get(key, ""),
        )
        for key, (name, better) in known.items()
    ]  # fmt: skip


def _shown(key: str, numbers: Numbers) -> str:
    if key == "kid":
        return kid_shown(numbers.kid, numbers.kid_std)
    value = getattr(numbers, key)
    return f"{value:.{2 if key == 'fd' else 3}f}" if isinstance(value, float) else str(value)


def title(evaluation: Evaluation) -> str:
    """Say what is compared with what."""
    protocol = evaluation.protocol
    return f"{protocol['samples']} against {protocol['against']}, {protocol['n']} pictures each"


def table(evaluation: Evaluation) -> str:
    """Format the numbers for a terminal: samples, floor, which direction is better, and notes."""
    lines = [title(evaluation), f"{'':46}{'samples':>18}{'floor':>18}  better"]
    for row in rows(evaluation):
        line = f"{row.name:46}{row.samples:>18}{row.floor:>18}  {row.better:7}{row.note}"
        lines.append(line.rstrip())
    return "\n".join([*lines, "", *notes(evaluation)])


def notes(evaluation: Evaluation) -> list[str]:
    """Return the notes needed to interpret the numbers, one per line."""
    numbers, protocol = evaluation.numbers, evaluation.protocol
    lines = [f"[{k}] {key}: {limits}" for k, (key, limits) in enumerate(CANNOT.items(), 1)]
    lines.append(
        f"floor: {protocol['floor_of']}, {protocol['floor_n']} of them against as many reals"
    )
    if protocol["floor_n"] < protocol["n"]:
        lines.append(
            f"the floor's {protocol['fd_is']}, precision, recall and coverage depend on the number "
            f"of pictures and would differ for {protocol['n']}; KID does not depend on it"
        )
    if numbers.face_rate_real is not None:
        lines.append(
            f"face rate of the reals: {numbers.face_rate_real:.3f}; it is high for any set that "
            "was cropped by a detector, and for samples like it"
        )
    return lines + _copying_notes(evaluation)


def _copying_notes(evaluation: Evaluation) -> list[str]:
    copying, train = evaluation.copying, evaluation.train.name
    protocol = evaluation.protocol["copying"]
    lines = []
    if protocol["train"] is None:
        lines.append("copying: no --train-path, so the reals stand in for the training set")
    if protocol["train_changed"]:
        lines.append(
            f"copying: {train} does not hold the pictures of the training any more (other names or "
            "sizes), so copies of those that are missing are not found"
        )
    if copying.copied is None:
        lines.append(
            f"copying: unknown, as {train} has a near-identical picture of each of the "
            f"{copying.left_out} unseen reals ({copying.unseen_are})"
        )
        return lines
    lines.append(
        f"copying: {copying.copied:.1%} of the samples, mirrored or not, are closer to a picture "
        f"of {train} than 99 % of unseen reals are ({copying.unseen_are})"
    )
    if copying.left_out:
        lines.append(
            f"copying: {copying.left_out} of {protocol['unseen_n']} unseen reals do not count, as "
            f"{train} has a near-identical picture of each"
        )
    return lines
