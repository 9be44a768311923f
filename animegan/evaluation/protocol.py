"""Compare samples with real pictures by a fixed protocol; the floor is what real pictures score."""

import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from animegan.core.errors import refuse
from animegan.core.files import same_place
from animegan.data.cache import FaceSet
from animegan.evaluation import metrics
from animegan.evaluation.copying import QUANTILE, Copying, copying
from animegan.evaluation.extractors import Extractor
from animegan.evaluation.measure import FaceFinder, Measured, Pictures, measure, of_array, too_many

logger = logging.getLogger(__name__)

# Limitations of each number, found by damaging real faces (docs/evaluate.md); shown with results.
CANNOT = {
    "fd": "rewards copies of the reals; see copying",
    "kid": "rewards copies of the reals; see copying",
    "precision": "rewards copies of the reals; counts half of a set of drawn faces as real",
    "recall": "rewards copies of the reals; does not notice if half of a set is ten repeated "
    "pictures or drawn faces",
    "density": "does not notice a set of ten repeated pictures, or copies",
    "coverage": "rewards copies of the reals",
    "face_rate": "rises with noise and for drawn or repeated faces, does not notice checkerboard "
    "artefacts; shows that there are faces, not that they are good",
    "duplicates": "detects repetition and nothing else",
}

MOST = 10_000  # pictures per side, unless --eval-num asks for more
FEWEST = 32  # pictures per side below which the numbers mean nothing


@dataclass(frozen=True)
class Numbers:
    """The numbers of one set compared with the reals: the keys of the JSON, in order."""

    fd: float
    kid: float
    kid_std: float
    precision: float
    recall: float
    density: float
    coverage: float
    face_rate: float | None
    face_rate_real: float | None
    duplicates: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation: everything that the table, the JSON and the report show."""

    numbers: Numbers
    floor: Numbers
    protocol: dict[str, Any]
    copying: Copying
    samples: Pictures
    reals: Pictures
    train: Pictures

    def as_json(self) -> str:
        """Return the numbers as a JSON object on one line."""
        record = asdict(self.numbers) | {
            "copied": self.copying.copied, "unseen_left_out": self.copying.left_out,
            "floor": asdict(self.floor), "protocol": self.protocol,
        }  # fmt: skip
        return json.dumps(record)


def compare(real: Measured, fake: Measured, extractor: Extractor, seed: int) -> Numbers:
    """Compute all numbers for two sets of equal size."""
    assert len(real) == len(fake)
    kid, kid_std = metrics.kid(
        real.features, fake.features, norm_scaled=extractor.norm_scaled, seed=seed
    )
    return Numbers(
        metrics.frechet(real.features, fake.features), kid, kid_std,
        *metrics.prdc(real.features, fake.features),
        _rate(fake), _rate(real), metrics.near_identical(fake.thumbs),
    )  # fmt: skip


def _rate(of: Measured) -> float | None:
    return float(of.faces.mean()) if len(of.faces) else None


def evaluate(
    samples: Pictures, reals: FaceSet, *, against: str, extractor: Extractor,
    detector: FaceFinder | None, count: int | None = None, seed: int = 0,
    others: FaceSet | None = None, others_from: str = "", train: FaceSet | None = None,
    train_from: str = "",
) -> Evaluation:  # fmt: skip
    """Compare samples with reals, and for the floor other reals with the same reals.

    Args:
        samples: the samples; for a generator, `samples.count` may be any large number.
        reals: the pictures of the folder `against`.
        count: pictures per side (default: all of the reals or samples, at most MOST).
        others: reals for the floor, from the folder `others_from` (default: the rest of `reals`,
            or its two halves if it has fewer than 2 * count pictures).
        train: the training set, from the folder `train_from`; all of it is searched for copies.
            If it is the folder `against`, or not given so that the measured pictures of `reals`
            stand in for it, `others` are the unseen reals; without these, each of the reals is
            left out in turn.

    Raises:
        UsageError: fewer pictures than FEWEST or `count`.
    """
    n = _count(count, samples, reals, against, others, others_from)
    samples = replace(samples, count=n)
    order = np.random.RandomState(seed).permutation(len(reals))
    floor_n = min(n, len(others) if others is not None else len(reals) // 2)
    taken = max(n, floor_n if others is not None else 2 * floor_n)
    real_set = of_array(against, reals.images, order[:taken])
    real = measure(real_set, extractor, detector, mirrored=n)
    if others is not None:
        some = np.random.RandomState(seed).permutation(len(others))[:floor_n]
        other_set = of_array(others_from, others.images, some)
        other = measure(other_set, extractor, detector, mirrored=floor_n)
    else:
        other = real.rows(np.arange(floor_n, 2 * floor_n))
        if floor_n < n:
            logger.info(
                f"{against}: fewer than {2 * n} pictures, so the floor compares {floor_n} with "
                f"{floor_n}; for a floor of {n}, give a second folder of reals with --floor-path"
            )
    fake = measure(samples, extractor, detector, mirrored=n)
    train_set, known = real_set, real
    if train is not None:
        train_set = of_array(train_from, train.images)
        known = measure(train_set, extractor, None)
    unseen, unseen_are, own = real.rows(np.arange(n)), against, None
    if train is None or same_place(train_from, against):
        if others is not None and not same_place(others_from, against):
            unseen, unseen_are = other, others_from
        else:
            unseen_are = "each training picture against the others"
            own = np.arange(n) if train is None else order[:n]
    logger.info("counting distances")
    copies = copying(fake, known, unseen, unseen_are, own)
    protocol = _protocol(samples, real_set, extractor, detector, n, floor_n, others_from, seed)
    return Evaluation(
        compare(real.rows(np.arange(n)), fake, extractor, seed),
        compare(real.rows(np.arange(floor_n)), other, extractor, seed),
        protocol | {"copying": _how_copies_are_found(copies, train_set, train is None)},
        copies, samples, replace(real_set, count=n), train_set,
    )  # fmt: skip


def _count(
    asked: int | None, samples: Pictures, reals: FaceSet, against: str, others: FaceSet | None,
    others_from: str,
) -> int:  # fmt: skip
    """Return the number of pictures per side."""
    sets = [("--against", against, len(reals)), ("--samples", samples.name, samples.count)]
    if others is not None:
        sets.append(("--floor-path", others_from, len(others)))
    problems = [
        f"{flag} {name}: has {found} pictures; an evaluation needs at least {FEWEST}"
        for flag, name, found in sets
        if found < FEWEST
    ]
    refuse(problems)
    there = min(len(reals), samples.count)
    if asked is not None and asked > there:
        fewer = against if there == len(reals) else samples.name
        raise too_many(asked, fewer, there)
    return asked or min(there, MOST)


def _protocol(
    samples: Pictures, reals: Pictures, extractor: Extractor, detector: FaceFinder | None,
    n: int, floor_n: int, floor_of: str, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Return everything that the numbers depend on, and their limitations."""
    channels, height, width = reals.draw(0, 1).shape[1:]
    return {
        "samples": samples.name, "against": reals.name, "n": n,
        "floor_n": floor_n, "floor_of": floor_of or f"other pictures of {reals.name}",
        "image_size": [width, height], "channels": channels, "seed": seed,
        "extractor": extractor.name, "weights_sha256": extractor.weights,
        "resize": extractor.resize, "fd_is": extractor.fd_title, "kid_is": extractor.kid_title,
        "kid_subsets": metrics.KID_SUBSETS, "kid_subset_size": metrics.subset_size(n),
        "floor_kid_subset_size": metrics.subset_size(floor_n),
        "precision_recall_nearest": metrics.NEAREST,
        "density_coverage_nearest": metrics.NAEEM_NEAREST,
        "duplicate_rms": metrics.SAME_RMS,
        "detector": "animeface" if detector is not None else None,
        "device": extractor.device.type, "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "does_not_show": CANNOT,
    }  # fmt: skip


def _how_copies_are_found(copies: Copying, train: Pictures, stands_in: bool) -> dict[str, Any]:
    """Return the protocol of the copying test; stands_in: the reals are used as training set."""
    return {
        "train": None if stands_in else train.name, "train_n": train.count, "mirrored": True,
        "unseen": copies.unseen_are, "unseen_n": len(copies.unseen) + copies.left_out,
        "unseen_left_out": copies.left_out, "unseen_quantile": QUANTILE, "near": copies.near,
    }  # fmt: skip


def table(found: Evaluation) -> str:
    """Format the numbers for a terminal: samples, floor, which direction is better, and notes."""
    told, floor, protocol = found.numbers, found.floor, found.protocol
    rows = [(protocol["fd_is"], f"{told.fd:.2f}", f"{floor.fd:.2f}", "lower")]
    kids = [f"{1000 * one.kid:.2f} ± {1000 * one.kid_std:.2f}" for one in (told, floor)]
    rows.append((protocol["kid_is"] + " x 1000", kids[0], kids[1], "lower"))
    for name in ("precision", "recall", "density", "coverage"):
        rows.append((name, f"{getattr(told, name):.3f}", f"{getattr(floor, name):.3f}", "higher"))
    if told.face_rate is not None and floor.face_rate is not None:
        rows.append(("face rate", f"{told.face_rate:.3f}", f"{floor.face_rate:.3f}", "higher"))
    rows.append(("near-identical", str(told.duplicates), str(floor.duplicates), "lower"))
    keys = ["fd", "kid", "precision", "recall", "density", "coverage", "face_rate", "duplicates"]
    marks = {key: f"[{k}]" for k, key in enumerate(CANNOT, 1)}
    lines = [f"{protocol['samples']} against {protocol['against']}, {protocol['n']} pictures each"]
    lines.append(f"{'':46}{'samples':>18}{'floor':>18}  better")
    present = [key for key in keys if key != "face_rate" or told.face_rate is not None]
    for key, (name, value, other, better) in zip(present, rows, strict=True):
        lines.append(f"{name:46}{value:>18}{other:>18}  {better:7}{marks.get(key, '')}".rstrip())
    lines += ["", *notes(found)]
    return "\n".join(lines)


def notes(found: Evaluation) -> list[str]:
    """Return the notes needed to interpret the numbers, one per line."""
    told, protocol = found.numbers, found.protocol
    lines = [f"[{k}] {key}: {said}" for k, (key, said) in enumerate(CANNOT.items(), 1)]
    lines.append(
        f"floor: {protocol['floor_of']}, {protocol['floor_n']} of them against as many reals"
    )
    if protocol["floor_n"] < protocol["n"]:
        lines.append(
            f"the floor's {protocol['fd_is']}, precision, recall and coverage depend on the number "
            f"of pictures and would differ for {protocol['n']}; KID does not depend on it"
        )
    if told.face_rate_real is not None:
        lines.append(
            f"face rate of the reals: {told.face_rate_real:.3f}; it is high for any set that was "
            "cropped by a detector, and for samples like it"
        )
    return lines + _copying_notes(found)


def _copying_notes(found: Evaluation) -> list[str]:
    copied, train, protocol = found.copying, found.train.name, found.protocol["copying"]
    lines = []
    if protocol["train"] is None:
        lines.append("copying: no --train-path, so the reals stand in for the training set")
    if copied.copied is None:
        lines.append(
            f"copying: unknown, as {train} has a near-identical picture of each of the "
            f"{copied.left_out} unseen reals ({copied.unseen_are})"
        )
        return lines
    lines.append(
        f"copying: {copied.copied:.1%} of the samples, mirrored or not, are closer to a picture of "
        f"{train} than 99 % of unseen reals are ({copied.unseen_are})"
    )
    if copied.left_out:
        lines.append(
            f"copying: {copied.left_out} of {protocol['unseen_n']} unseen reals do not count, as "
            f"{train} has a near-identical picture of each"
        )
    return lines
