"""All options, in groups, each declared once: default, help text, range, commands and roles.

lr1 is the generator's learning rate and lr2 the discriminator's, as in the textbook example. The
groups' order is that of the help pages.
"""

from dataclasses import dataclass

from animegan.config.export_options import ExportOptions, VideoOptions
from animegan.config.options import options_of
from animegan.config.result_options import (
    CacheOptions,
    DatasetOptions,
    EvaluateOptions,
    GenerateOptions,
    ListOptions,
    StudioOptions,
)
from animegan.config.run_options import (
    DataOptions,
    FileOptions,
    MeasureOptions,
    RunOptions,
    WatchOptions,
)
from animegan.config.training_options import (
    AugmentOptions,
    LabelOptions,
    MachineOptions,
    NetworkOptions,
    ObjectiveOptions,
    TrainingOptions,
)


@dataclass(frozen=True, kw_only=True)
class Config(
    RunOptions,
    DataOptions,
    LabelOptions,
    NetworkOptions,
    ObjectiveOptions,
    AugmentOptions,
    TrainingOptions,
    MachineOptions,
    FileOptions,
    WatchOptions,
    MeasureOptions,
    GenerateOptions,
    StudioOptions,
    VideoOptions,
    ExportOptions,
    EvaluateOptions,
    ListOptions,
    CacheOptions,
    DatasetOptions,
):
    """The options of one run; `resolve` builds and checks it, and it is immutable from then on."""


OPTIONS = options_of(Config)
