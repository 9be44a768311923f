"""Build a trainer: for a session, for the trials of --budget, for benchmarks and tests."""

from typing import TYPE_CHECKING

from torch import nn

from animegan import models
from animegan.config.derived import spec_of
from animegan.data.batches import Batches
from animegan.data.face_set import FaceSet
from animegan.data.labels import Labels, sizes_of
from animegan.losses.objectives import OBJECTIVES
from animegan.runtime import seeds
from animegan.runtime.device import Runtime
from animegan.training.step.gan_trainer import GanTrainer

if TYPE_CHECKING:
    from animegan.config.config import Config


def build_trainer(
    config: "Config",
    faces: FaceSet,
    runtime: Runtime,
    labels: Labels | None = None,
    nets: tuple[nn.Module, nn.Module] | None = None,
) -> GanTrainer:
    """Return a trainer at step 0, of `nets` (netg, netd) or, without them, of new ones.

    The labels are those of `faces`, in the same order. Raises UsageError if the set is smaller than
    a batch.
    """
    if nets is None:
        seeds.seed_everything(config.seed)
        spec = spec_of(config, sizes_of(labels))
        nets = models.build_netg(spec), models.build_netd(spec)
    batches = Batches(
        faces, config.batch_size, config.seed, flip=config.flip, device=runtime.device,
        rank=runtime.group.rank, world_size=runtime.group.size,
        resident=runtime.has_room(faces.images.nbytes),
    )  # fmt: skip
    return GanTrainer(config, *nets, OBJECTIVES[config.loss], batches, runtime, labels)
