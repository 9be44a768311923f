"""Compare samples with real pictures by a fixed protocol; the floor is what real pictures score."""

import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from animegan.core.errors import refuse
from animegan.core.files import same_place
from animegan.evaluation import metrics
from animegan.evaluation.copying import QUANTILE, Copying, copying
from animegan.evaluation.extractors import Extractor
from animegan.evaluation.measure import (
    FaceFinder,
    Folder,
    Measured,
    Pictures,
    measure,
    of_array,
    too_many,
)
from animegan.evaluation.numbers import KID_SCALE

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
    """The numbers of one set compared with the reals.

    The JSON has them in this order and under these keys, but for KID, which is shown x 1000
    everywhere: `kid` and `kid_std` are `kid_x1000` and `kid_x1000_std` there.
    """

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

    def as_shown(self) -> dict[str, Any]:
        """Return the numbers as the JSON has them."""
        values = asdict(self)
        for key in ("kid", "kid_std"):
            values[key] *= KID_SCALE
        return {_JSON_KEYS.get(key, key): value for key, value in values.items()}


_JSON_KEYS = {"kid": f"kid_x{KID_SCALE}", "kid_std": f"kid_x{KID_SCALE}_std"}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation: all that the table, the JSON and the report show."""

    numbers: Numbers
    floor: Numbers
    protocol: dict[str, Any]
    copying: Copying
    samples: Pictures
    reals: Pictures
    train: Pictures

    def as_json(self) -> str:
        """Return the numbers as a JSON object on one line."""
        return json.dumps(self.record())

    def record(self) -> dict[str, Any]:
        """Return what the JSON object holds."""
        return self.numbers.as_shown() | {
            "copied": self.copying.copied, "unseen_left_out": self.copying.left_out,
            "floor": self.floor.as_shown(), "protocol": self.protocol,
        }  # fmt: skip


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
    samples: Pictures, reals: Folder, *, extractor: Extractor, detector: FaceFinder | None,
    count: int | None = None, seed: int = 0, others: Folder | None = None,
    train: Folder | None = None, trained_on: str = "",
) -> Evaluation:  # fmt: skip
    """Compare samples with reals, and for the floor other reals with the same reals.

    Args:
        samples: the samples; for a generator, `samples.count` may be any large number.
        reals: the real pictures.
        extractor: the network in whose features the sets are compared.
        detector: finds faces; None: no face rates.
        count: pictures per side (default: all of the reals or samples, at most MOST).
        seed: of the choice of reals, and of KID's subsets.
        others: reals for the floor (default: the rest of `reals`, or its two halves if it has fewer
            than 2 * count pictures).
        train: the training set; all of it is searched for copies. If it is the folder of `reals`,
            or not given so that the measured pictures of `reals` stand in for it, `others` are the
            unseen reals; without these, each of the reals is left out in turn.
        trained_on: digest of the training set when the generator was trained; "" if unknown.

    Raises:
        UsageError: fewer pictures than FEWEST or `count`.
    """
    n = _count(count, samples, reals, others)
    samples = replace(samples, count=n)
    order = np.random.RandomState(seed).permutation(len(reals.faces))
    floor_n = min(n, len(others.faces) if others is not None else len(reals.faces) // 2)
    taken = max(n, floor_n if others is not None else 2 * floor_n)
    real_set = of_array(reals.path, reals.faces.images, order[:taken])
    real = measure(real_set, extractor, detector, mirrored=n)
    if others is not None:
        chosen = np.random.RandomState(seed).permutation(len(others.faces))[:floor_n]
        other_set = of_array(others.path, others.faces.images, chosen)
        other = measure(other_set, extractor, detector, mirrored=floor_n)
    else:
        other = real.rows(np.arange(floor_n, 2 * floor_n))
        if floor_n < n:
            logger.info(
                f"{reals.path}: fewer than {2 * n} pictures, so the floor compares {floor_n} with "
                f"{floor_n}; for a floor of {n}, give a second folder of reals with --floor-path"
            )
    fake = measure(samples, extractor, detector, mirrored=n)
    train_set, known = real_set, real
    if train is not None:
        train_set = of_array(train.path, train.faces.images)
        known = measure(train_set, extractor, None)
    unseen, unseen_are, own = real.rows(np.arange(n)), reals.path, None
    if train is None or same_place(train.path, reals.path):
        if others is not None and not same_place(others.path, reals.path):
            unseen, unseen_are = other, others.path
        else:
            unseen_are = "each training picture against the others"
            own = np.arange(n) if train is None else order[:n]
    logger.info("counting distances")
    copies = copying(fake, known, unseen, unseen_are, own)
    floor_of = others.path if others is not None else f"other pictures of {reals.path}"
    protocol = _protocol(samples, real_set, extractor, detector, n, floor_n, floor_of, seed)
    return Evaluation(
        compare(real.rows(np.arange(n)), fake, extractor, seed),
        compare(real.rows(np.arange(floor_n)), other, extractor, seed),
        protocol | {"copying": _copying_protocol(copies, train_set, train, trained_on)},
        copies, samples, replace(real_set, count=n), train_set,
    )  # fmt: skip


def _count(asked: int | None, samples: Pictures, reals: Folder, others: Folder | None) -> int:
    """Return the number of pictures per side."""
    sizes = [
        ("--against", reals.path, len(reals.faces)), ("--samples", samples.name, samples.count)
    ]  # fmt: skip
    if others is not None:
        sizes.append(("--floor-path", others.path, len(others.faces)))
    refuse(
        f"{flag} {name}: has {size} pictures; an evaluation needs at least {FEWEST}"
        for flag, name, size in sizes
        if size < FEWEST
    )
    available = min(len(reals.faces), samples.count)
    if asked is not None and asked > available:
        fewer = reals.path if available == len(reals.faces) else samples.name
        raise too_many(asked, fewer, available)
    return asked or min(available, MOST)


def _protocol(
    samples: Pictures, reals: Pictures, extractor: Extractor, detector: FaceFinder | None,
    n: int, floor_n: int, floor_of: str, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Return everything that the numbers depend on, and their limitations."""
    channels, height, width = reals.draw(0, 1).shape[1:]
    return {
        "samples": samples.name, "against": reals.name, "n": n,
        "floor_n": floor_n, "floor_of": floor_of,
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
        "does_not_show": {_JSON_KEYS.get(key, key): words for key, words in CANNOT.items()},
    }  # fmt: skip


def _copying_protocol(
    copies: Copying, searched: Pictures, train: Folder | None, trained_on: str
) -> dict[str, Any]:
    """Return the protocol of the copying test; without `train`, the reals stand in for it.

    `train_changed` is None where it is unknown: no training set, or an older weight file.
    """
    known = train is not None and trained_on and train.faces.digest
    return {
        "train": None if train is None else searched.name, "train_n": searched.count,
        "train_changed": train.faces.digest != trained_on if train is not None and known else None,
        "mirrored": True,
        "unseen": copies.unseen_are, "unseen_n": len(copies.unseen) + copies.left_out,
        "unseen_left_out": copies.left_out, "unseen_quantile": QUANTILE, "near": copies.near,
    }  # fmt: skip
