"""Presets, and the defaults that --d-features and --loss bring."""

from collections.abc import Mapping, Sequence
from typing import Any

from animegan.config.config import OPTIONS
from animegan.config.options import Layer, Settled, settle
from animegan.losses.objectives import OBJECTIVES

DEFAULT_PRESET = "best"
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "book": {
        "image_size": 96, "batch_size": 256, "max_epoch": 200, "lr1": 2e-4, "lr2": 2e-4,
        "beta1": 0.5, "nz": 100, "ngf": 64, "ndf": 64, "plot_every": 20, "d_every": 1,
        "g_every": 5, "save_every": 10, "net": "dcgan",
        "loss": "bce", "flip": False, "augment": "none", "ema": 0,
    },
    "best": {"d_features": "lite0"},  # docs/recipes.md
    "scratch": {},
}  # fmt: skip


FEATURES: Mapping[str, Mapping[str, Any]] = {  # defaults under --d-features, see docs/recipes.md
    "lite0": {
        "net": "fastgan", "loss": "hinge", "batch_size": 32, "lr1": 2e-3, "lr2": 2e-3,
        "beta1": 0.0, "beta2": 0.99, "d_norm": None, "ngf": 64, "g_convs": 2, "ndf": 64,
    },
}  # fmt: skip


def preset_of(layers: Sequence[Layer]) -> str:
    """Return the preset of a training: the one that `layers` name, else `best`.

    Whoever chooses the networks or the objective, as weight files and saved runs do, gets `scratch`
    instead, which adds nothing to the choice.
    """
    chosen = settle(OPTIONS, layers)
    if chosen.values["preset"] is not None:
        return str(chosen.values["preset"])
    return "scratch" if {"net", "loss", "d_features"} & chosen.sources.keys() else DEFAULT_PRESET


def published(settled: Settled) -> list[Layer]:
    """Return the defaults of the chosen discriminator and objective, the weakest layers of all."""
    layers = []
    chosen = settled.values
    features = chosen["d_features"]
    loss = chosen["loss"]
    if features is not None:
        wanted = dict(FEATURES[features])
        if chosen["net"] != wanted["net"]:  # another net was asked for: drop fastgan's own option
            del wanted["g_convs"]
        layers.append(Layer(f"d-features {features}", wanted))
        if "loss" not in settled.sources:
            loss = FEATURES[features]["loss"]
    published = OBJECTIVES[loss].defaults_at(chosen["image_size"])
    if chosen["net"] == "r3gan":  # has no normalisation, so the objective cannot choose one
        published.pop("d_norm", None)
    return [Layer(f"loss {loss}", published), *layers]


def usual(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each option is without its own flag, under the preset, the features, the loss and
    the image size of `chosen`, values of options by name.
    """
    known = {name: value for name, value in chosen.items() if name in OPTIONS}
    preset = PRESETS.get(str(known.get("preset")), {})
    layers = published(settle(OPTIONS, [Layer("run", known)]))
    return settle(OPTIONS, [*layers, Layer("preset", preset)]).values
