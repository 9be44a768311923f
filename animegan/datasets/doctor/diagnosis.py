"""Diagnose a set from its surveyed pictures: facts, findings and advice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from animegan.datasets.doctor.survey import Seen
from animegan.datasets.duplicates import (
    Indices,
    choose,
    equal_to_earlier,
    pack,
    pairs_between,
    pairs_within,
)
from animegan.datasets.quality import Limits, why_dropped

_SIZES = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_HURTS = {  # share of pictures above which a problem hurts training
    "broken": 0.01, "uniform": 0.01, "grey": 0.1, "blurred": 0.1, "upscaled": 0.1,
    "too small": 0.05, "duplicate": 0.05, "in the other set": 0.005,
}  # fmt: skip
_MEANS = {
    "broken": "cannot be decoded; train skips up to --max-broken (1 in 100 by default) and stops "
    "if there are more",
    "uniform": "are nearly uniform",
    "grey": "are grey in a set of coloured ones",
    "blurred": "are blurred",
    "upscaled": "have no fine detail: enlarged from a smaller picture",
    "too small": "would have to be enlarged",
    "exact duplicate": "have exactly the pixels of another",
    "near duplicate": "look like another, possibly mirrored",
    "in the other set": "are also in the other set, or look like one there: evaluation against it "
    "would reward memorisation",
}
_AFFORDABLE = 128  # px; larger pictures are advised with what they cost
_NEAR_GREY = 24  # bits; different digits (strokes on an empty ground) can be within 56
DROPPED = ("broken", "too small", "uniform", "grey", "blurred", "upscaled")


@dataclass(frozen=True)
class Finding:
    """One finding; `hurts` says whether it hurts training."""

    hurts: bool
    words: str


@dataclass(frozen=True)
class Diagnosis:
    """The result of `doctor`. `why[i]` is the problem of picture i, or None."""

    facts: list[tuple[str, str]]
    findings: list[Finding]
    advice: list[str]
    why: list[str | None]
    like: Indices  # [N]: the picture that a duplicate repeats, or -1
    leak: Indices  # [N]: the picture of the other set that it repeats, or -1
    strange: Indices  # decodable pictures, the strongest outliers first

    @property
    def hurts(self) -> bool:
        """Whether any finding hurts training."""
        return any(finding.hurts for finding in self.findings)

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        lines = [f"{name}: {value}" for name, value in self.facts]
        lines += [f"{'HURTS' if f.hurts else 'note '} {f.words}" for f in self.findings]
        if not self.findings:
            lines.append("no problems found")
        return lines + [f"advice: {line}" for line in self.advice]


def diagnose(
    seen: Sequence[Seen],
    others: Sequence[Seen],
    limits: Limits,
    layout: Sequence[str] = (),
    left_out: str = "",
) -> Diagnosis:
    """Diagnose a set and its overlap with another.

    Args:
        seen: the pictures of the set.
        others: the pictures of the other set; may be empty.
        limits: quality limits; a `min_size` of 0 accepts any size.
        layout: problems of the folder's layout, which count as hurting training.
        left_out: what else is in the folder and not used, in words.
    """
    good = [i for i, picture in enumerate(seen) if not picture.problem]
    grey_set = 2 * sum(_colour(seen[i]) < limits.min_colour for i in good) > len(good)
    if grey_set:  # colour is not expected
        near = min(limits.near, _NEAR_GREY)
        limits = replace(limits, min_colour=0.0, near=near)
    why: list[str | None] = [
        "broken" if picture.measures is None
        else why_dropped(picture.side, 1.0, picture.measures, limits)
        for picture in seen
    ]  # fmt: skip
    like = _find_duplicates(seen, why, limits.near)
    leak = _find_leaks(seen, others, limits.near)
    for i in np.flatnonzero(leak >= 0).tolist():
        why[i] = why[i] or "in the other set"
    distances = _distances([seen[i].thumb for i in good])
    strange = np.array(good, dtype=np.int64)[np.argsort(-distances, kind="stable")]
    findings = [Finding(True, problem) for problem in layout]
    findings += _findings(why, leak, len(seen), len(good))
    far = int((distances > _far(distances)).sum())
    if far:
        findings.append(Finding(False, f"{far:,} outliers look unlike the others; see the report"))
    facts = _facts(seen, good)
    if left_out:
        facts.insert(1, ("not used", left_out))
    return Diagnosis(facts, findings, _advice(seen, good, grey_set), why, like, leak, strange)


def _find_duplicates(seen: Sequence[Seen], why: list[str | None], near: int) -> Indices:
    """Mark duplicates in `why`; return the picture that each repeats, or -1."""
    like = np.full(len(seen), -1, dtype=np.int64)
    sound = np.array([i for i, reason in enumerate(why) if reason is None], dtype=np.int64)
    measures = [m for i in sound.tolist() if (m := seen[i].measures) is not None]
    twin = equal_to_earlier([m.digest for m in measures])
    for i in np.flatnonzero(twin >= 0).tolist():
        why[int(sound[i])], like[sound[i]] = "exact duplicate", sound[twin[i]]
    if near:
        single = np.flatnonzero(twin < 0)
        hashes = pack([measures[i].phash for i in single.tolist()])
        mirrored = pack([measures[i].mirrored for i in single.tolist()])
        worth = np.array([seen[int(sound[i])].side for i in single.tolist()], dtype=np.float64)
        better = choose(len(single), pairs_within(hashes, mirrored, near), worth)
        for i in np.flatnonzero(better >= 0).tolist():
            place = int(sound[single[i]])
            why[place], like[place] = "near duplicate", sound[single[better[i]]]
    return like


def _find_leaks(seen: Sequence[Seen], others: Sequence[Seen], near: int) -> Indices:
    leak = np.full(len(seen), -1, dtype=np.int64)
    here = [(i, p.measures) for i, p in enumerate(seen) if p.measures is not None]
    there = [(j, p.measures) for j, p in enumerate(others) if p.measures is not None]
    if not here or not there:
        return leak
    where = {m.digest: j for j, m in reversed(there)}
    for i, m in here:
        leak[i] = where.get(m.digest, -1)
    if near:
        pairs = pairs_between(
            pack([m.phash for _, m in here]), pack([m.phash for _, m in there]),
            pack([m.mirrored for _, m in there]), near,
        )  # fmt: skip
        for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
            if leak[here[a][0]] < 0:
                leak[here[a][0]] = there[b][0]
    return leak


def _distances(thumbs: list[bytes]) -> NDArray[np.float64]:
    """Return the Mahalanobis distance of each thumbnail from the mean, or zeros for fewer than 50.

    It uses the first 24 principal components, and the mean variance for the remainder.
    """
    if len(thumbs) < 50:
        return np.zeros(len(thumbs))
    x = np.frombuffer(b"".join(thumbs), dtype=np.uint8).reshape(len(thumbs), -1).astype(np.float64)
    x -= x.mean(axis=0)
    values, axes = np.linalg.eigh(x.T @ x / len(x))
    along = (x @ axes[:, -24:]) ** 2
    rest = np.maximum((x**2).sum(axis=1) - along.sum(axis=1), 0.0)
    left = max(values[:-24].sum(), 1e-6)
    squares = (along / np.maximum(values[-24:], 1e-6)).sum(axis=1) + 24 * rest / left
    return np.asarray(np.sqrt(squares), dtype=np.float64)


def _far(distances: NDArray[np.float64]) -> float:
    if not len(distances):
        return 0.0
    middle = float(np.median(distances))
    return middle + 10 * float(np.median(np.abs(distances - middle))) + 1e-9


def _findings(why: list[str | None], leak: Indices, total: int, good: int) -> list[Finding]:
    counts = Counter(reason for reason in why if reason is not None)
    if counts["in the other set"] or (leak >= 0).any():
        counts["in the other set"] = int((leak >= 0).sum())
    findings = []
    if good < 100:
        findings.append(Finding(True, f"{good:,} pictures: fewer than 100 are memorised"))
    elif good < 1000:
        findings.append(Finding(False, f"{good:,} pictures are few; augmentation is essential"))
    copies = counts["exact duplicate"] + counts["near duplicate"]
    for name, means in _MEANS.items():
        if not counts[name]:
            continue
        copy = name.endswith("duplicate")
        share = (copies if copy else counts[name]) / total
        hurts = share > _HURTS["duplicate" if copy else name]
        findings.append(
            Finding(hurts, f"{name}: {counts[name]:,} ({counts[name] / total:.2%}) {means}")
        )
    return findings


def _facts(seen: Sequence[Seen], good: list[int]) -> list[tuple[str, str]]:
    sizes = Counter((seen[i].width, seen[i].height) for i in good)
    sides = [seen[i].side for i in good]
    common = ", ".join(f"{w}x{h} ({n:,})" for (w, h), n in sizes.most_common(3))
    modes = ", ".join(f"{m} ({n:,})" for m, n in Counter(seen[i].mode for i in good).most_common())
    facts = [("pictures", f"{len(seen):,}"), ("modes", modes)]
    facts.append(("sizes", f"{common}{', ...' if len(sizes) > 3 else ''}"))
    if sides:
        low, middle, high = (int(v) for v in np.percentile(sides, [5, 50, 95]))
        facts.append(("short side", f"{low} / {middle} / {high} px (5th, 50th, 95th percentile)"))
    return facts


def _advice(seen: Sequence[Seen], good: list[int], grey: bool) -> list[str]:
    if not good:
        return []
    sides = np.array([seen[i].side for i in good])
    enough = [size for size in _SIZES if (sides >= size).mean() >= 0.95] or [_SIZES[0]]
    size, channels, count = enough[-1], 1 if grey else 3, len(good)
    larger = next((s for s in _SIZES if sides.max() <= s <= 1.15 * sides.min()), size)
    how = "95% are at least that large"
    if larger > size:  # 28 px: padding rather than losing half the pixels
        size, how = larger, "with --resize pad, all fit entirely"
    lines = []
    if size > _AFFORDABLE:
        times = (size / _AFFORDABLE) ** 2
        lines.append(
            f"--image-size {_AFFORDABLE} to begin with: {size} px takes about {times:.0f} times as "
            "long a step and as much memory, and --budget tells before it starts"
        )
    lines += [
        f"--image-size {size} ({how}) --channels {channels}; "
        f"the cache takes {count * size * size * channels / 2**20:,.0f} MiB",
        "--budget 1h, or 3h or 1d: tries the presets on this machine and uses the better one",
        "--flip=False for letters or digits, which must not be mirrored",
    ]
    if 2 <= count < 128:
        lines.append(f"--batch-size {max(2, min(32, count // 4))}: too few pictures for one of 64")
    ratios = np.array([max(seen[i].width, seen[i].height) / max(seen[i].side, 1) for i in good])
    if (ratios > 1.2).mean() > 0.05:
        share = (ratios > 1.2).mean()
        lines.append(f"{share:.0%} are far from square, and training crops the centre: use prepare")
    return lines


def _colour(picture: Seen) -> float:
    return picture.measures.colour if picture.measures is not None else 0.0
