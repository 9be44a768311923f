"""Create trainers without a run folder, for the trials of --budget and for benchmarks."""

from typing import TYPE_CHECKING

from animegan import models
from animegan.config.derived import spec_of
from animegan.data.batches import Batches
from animegan.data.cache import FaceSet
from animegan.data.labels import Labels, sizes_of
from animegan.losses.objectives import OBJECTIVES
from animegan.runtime import seeds
from animegan.runtime.device import Runtime
from animegan.training.step.gan_trainer import Trainer

if TYPE_CHECKING:
    from animegan.config.config import Config


def trainer_of(
    config: "Config", faces: FaceSet, on: Runtime, labels: Labels | None = None
) -> Trainer:
    """Return a trainer at step 0 with newly initialised nets."""
    seeds.seed_everything(config.seed)
    spec = spec_of(config, sizes_of(labels))
    batches = Batches(
        faces, config.batch_size, config.seed, flip=config.flip, device=on.device,
        rank=on.ranks.rank, world_size=on.ranks.size, resident=on.has_room(faces.images.nbytes),
    )  # fmt: skip
    netg, netd = models.build_netg(spec), models.build_netd(spec)
    return Trainer(config, netg, netd, OBJECTIVES[config.loss], batches, on, labels)
