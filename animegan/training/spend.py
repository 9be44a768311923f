"""`--budget`: time each preset that fits the command line, and set the run's options accordingly.

Everything that can be refused is refused before any time is spent on trials.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from animegan.config.config import OPTIONS, Config
from animegan.config.options import Layer, seconds_of
from animegan.config.resolve import resolve
from animegan.core.errors import UsageError
from animegan.data.folder import Listing
from animegan.runtime.device import Runtime
from animegan.training import budget
from animegan.training.budget import Candidate
from animegan.training.session import check

logger = logging.getLogger(__name__)

# options that affect the weights but not the quality of the faces
INDIFFERENT = (
    "seed", "data_path", "background", "resize", "accumulate", "precision", "compile", "extractor",
    "eval_path", "eval_every", "eval_num", "patience", "on_collapse",
)  # fmt: skip
COMPARED = tuple(
    name
    for name, one in OPTIONS.items()
    if "train" in one.on and not one.free and name not in INDIFFERENT
)


def within_budget(
    config: Config, words: Mapping[str, str], listing: Listing
) -> tuple[Config, dict[str, str]]:
    """Return the config and sources of the best training that fits into --budget.

    Presets that conflict with the command line `words` are left out, with a message. The result
    holds the chosen preset and number of steps but no budget, so resuming or repeating the run
    measures nothing again. Raises UsageError if every preset conflicts.
    """
    seconds = seconds_of(config.budget or "")
    source = f"budget {config.budget}"
    on = Runtime.start_together(config.gpu, config.device, config.threads).at(config.precision)
    candidates, refused, labels = [], [], None
    for name in budget.EXPECTED if config.preset is None else (config.preset,):
        preset = Layer(source, {"preset": name})
        try:
            one, sources = resolve("train", words, preset)
            labels = check(one, sources, listing)
        except UsageError as error:
            refused.append((name, error))
            continue
        places = {"data_path": one.data_path, "runs_path": one.runs_path}
        bare, _ = resolve("train", places, preset)
        candidates.append(Candidate(name, one, _unlike(one, bare)))
    if not candidates:
        raise refused[0][1]
    for name, why in refused:
        logger.info(f"{Candidate(name, config).called}: left out ({why.problems[0]})")
    trial = min(budget.SECONDS, seconds / 40)
    size = len(listing.names)
    choice = budget.choose(_different(candidates), seconds, on, labels, trial, size)
    for line in choice.told:
        logger.info(line)
    config, sources = resolve("train", words, Layer(source, {"preset": choice.preset}))
    bought: dict[str, Any] = {
        "max_steps": choice.steps,
        "max_minutes": seconds / 60,
        "max_epoch": OPTIONS["max_epoch"].high,  # only the number of steps limits the run
    }
    del sources["budget"]
    return replace(config, budget=None, **bought), {**sources, **dict.fromkeys(bought, source)}


def _unlike(one: Config, other: Config) -> tuple[str, ...]:
    """Return the flags of the compared options in which the two differ."""
    return tuple(
        OPTIONS[name].flag for name in COMPARED if getattr(one, name) != getattr(other, name)
    )


def _different(candidates: list[Candidate]) -> list[Candidate]:
    """Drop duplicates: of candidates that would train alike, keep the one closest to its preset."""
    kept: list[Candidate] = []
    for one in sorted(candidates, key=lambda one: len(one.unlike)):
        if all(_unlike(one.config, other.config) for other in kept):
            kept.append(one)
    return [one for one in candidates if one in kept]
