"""What follows from a Config: the networks' Spec, whether a penalty applies, the steps planned."""

from dataclasses import fields

from animegan.config.config import Config
from animegan.losses.objectives import OBJECTIVES
from animegan.models import Spec


def spec_of(config: Config, classes: tuple[int, ...] = ()) -> Spec:
    """Return the Spec for a run's options and the sizes of its label attributes."""
    known = {
        field.name: getattr(config, field.name) for field in fields(Spec) if field.name != "classes"
    }
    if not classes:
        known["condition"] = None
    if penalised(config) and known["d_norm"] is None and known["d_features"] is None:
        known["d_norm"] = "none"  # penalties need per-sample gradients
    return Spec(**known, classes=classes)


def penalised(config: Config) -> bool:
    """Whether the options use a gradient penalty on the discriminator."""
    objective = OBJECTIVES[config.loss]
    return bool((objective.penalty and config.gp) or config.r1 or config.r2)


def planned_steps(config: Config, per_epoch: int) -> int:
    """Return the total number of steps that --max-epoch and --max-steps allow."""
    steps = config.max_epoch * per_epoch
    return steps if config.max_steps is None else min(steps, config.max_steps)


def shares_fakes(config: Config) -> bool:
    """Whether the two updates of a batch show the discriminator the same fakes.

    They do if every batch that makes one makes the other, and the objective allows it. Else, such
    as for the textbook's g_every=5 and WGAN's, netg's update draws new ones.
    """
    return config.d_every == config.g_every and OBJECTIVES[config.loss].shares_fakes
