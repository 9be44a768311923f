"""A trainer small enough for tests: random 16 x 16 pictures, narrow DCGAN."""

from dataclasses import replace
from typing import Any

import torch

from animegan import models
from animegan.config.derived import spec_of
from animegan.config.resolve import resolve
from animegan.data.labels import Attributes, Labels, sizes_of
from animegan.runtime import seeds
from animegan.runtime.device import Runtime
from animegan.training.build import build_trainer
from animegan.training.throughput import noise_set

CPU = torch.device("cpu")
TEXTBOOK: dict[str, Any] = {
    "net": "dcgan", "loss": "bce", "flip": False, "augment": "none", "ema": 0,
}  # fmt: skip
TWO = Attributes(("hair", "eyes"), (("aqua", "blonde", "red"), ("blue", "red")))
ROWS = torch.tensor([[0, 1], [1, -1], [2, 0], [-1, -1]]).repeat(6, 1)  # of the face set's pictures


def face_set(count=24, size=16, channels=3):
    return noise_set(count, size, channels)


GIVEN = Labels(TWO, ROWS, face_set().files)


def config_of(**options):
    """The textbook's DCGAN, or what a loss, a preset or features bring, at a small size."""
    given: dict[str, Any] = {
        "image_size": 16, "nz": 5, "ngf": 2, "ndf": 2, "batch_size": 4, "vis": False,
    }  # fmt: skip
    if "d_features" not in options and "preset" not in options:
        given = {**TEXTBOOK, **given}
    if options.get("loss") == "r3gan":
        given.pop("ema", None)
    if options.keys() & {"patience", "on_collapse"}:
        given["eval_path"] = "."
    given |= {"flip": False} | options
    return resolve("train", {name: str(value) for name, value in given.items()})[0]


def trainer_of(
    device=CPU, netg=None, netd=None, objective=None, runtime=None, given=None, **options
):
    """A trainer of `options` on noise; `given` are labels, and a given net takes the place of one.

    `objective` is an objective without the options published with it.
    """
    named = {} if given is None else {"labels": "folders"}
    config = config_of(**(named | options))
    config = replace(config, loss=objective or config.loss)
    seeds.seed_everything(config.seed)
    spec = spec_of(config, sizes_of(given))
    nets = netg or models.build_netg(spec), netd or models.build_netd(spec)
    faces = face_set(size=config.image_size)
    return build_trainer(config, faces, runtime or Runtime(device), given, nets)


def weights_of(net):
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
