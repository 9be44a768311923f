"""The networks that training starts with: new ones, or ones loaded from weight files."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from animegan import models
from animegan.config.config import OPTIONS, Config
from animegan.config.conflicts import untrainable
from animegan.config.derived import penalised, spec_of
from animegan.config.resolve import brought, told_by
from animegan.core.errors import refuse
from animegan.data.labels import Attributes, Labels, sizes_of
from animegan.losses.objectives import OBJECTIVES
from animegan.models import has_batch_norm
from animegan.runs import checkpoint
from animegan.runtime import seeds


def nets(
    config: Config, sources: Mapping[str, str], labels: Labels | None
) -> tuple[Any, Any, Config, Mapping[str, str]]:
    """Return netg, netd, and the config and sources updated with the sizes of loaded networks.

    Each network is new, or loaded from --netg-path or --netd-path. Raises UsageError for files that
    conflict with each other or with the options, and for options under which netd cannot learn.
    """
    seeds.seed_everything(config.seed)
    loaded: dict[str, Any] = {}
    told: dict[str, str] = {}
    problems = []
    if config.netd_path is not None:
        loaded["netd"] = checkpoint.load_net(config.netd_path, "netd")
        config, sources = _with_features(config, sources, loaded["netd"].spec.d_features)
    for kind, path, names in (
        ("netg", config.netg_path, ("image_size", "channels", "nz", "ngf", "net", "up", "g_convs")),
        (
            "netd",
            config.netd_path,
            ("image_size", "channels", "ndf", "net", "d_norm", "d_features", "d_input"),
        ),
    ):
        if path is None:
            continue
        start = loaded[kind] = loaded.get(kind) or checkpoint.load_net(path, kind)  # type: ignore[arg-type]
        for name in names:
            theirs = getattr(start.spec, name)
            untyped = sources.get(name, "loss ").startswith(("loss ", "d-features "))
            if not untyped and getattr(config, name) != theirs:
                problems.append(
                    f"{OPTIONS[name].flag} {getattr(config, name)}{told_by(name, sources)}: {path} "
                    f"has {theirs}; leave this option out"
                )
            config = dataclasses.replace(config, **{name: theirs})
            if untyped:
                told[name] = path
    untyped = sources.get("g_convs", "").startswith("d-features ") and "netg" not in loaded
    if untyped and not models.FAMILIES[config.net].convs:  # net is from netd's file
        config = dataclasses.replace(config, g_convs=None)
    by_size: dict[str, Any] = {
        name: rule(config.image_size)
        for name, rule in OBJECTIVES[config.loss].by_size.items()
        if sources.get(name, "").startswith("loss ")
    }
    config = dataclasses.replace(config, **by_size)
    problems += untrainable(config)
    kinds = {(one.spec.image_size, one.spec.channels, one.spec.net) for one in loaded.values()}
    if len(kinds) > 1:
        problems.append(
            "--netg-path, --netd-path: differ in image size, channels or --net; take both from one "
            "run"
        )
    if penalised(config) and "netd" in loaded and has_batch_norm(loaded["netd"].net):
        problems.append(
            f"--netd-path {config.netd_path}: has BatchNorm, which mixes the pictures of a batch, "
            "but the gradient penalty needs them separate; leave it out, or use an objective "
            "without a penalty"
        )
    spec = spec_of(config, sizes_of(labels))
    named = None if labels is None else labels.attributes
    for kind, start in loaded.items():
        saved = start.about.get("labels")
        other_way = kind == "netd" and start.spec.condition != spec.condition
        if (None if saved is None else Attributes.read(saved)) != named or other_way:
            problems.append(
                f"--labels {config.labels}: {kind} was trained with different labels, without "
                "labels, or with a different --condition; start from networks trained with the same"
            )
    refuse(problems)
    models.check(spec, penalised(config))
    netg, netd = models.build_netg(spec), models.build_netd(spec)
    return (
        loaded["netg"].net if "netg" in loaded else netg,
        loaded["netd"].net if "netd" in loaded else netd,
        config,
        {**sources, **told},
    )


def _with_features(
    config: Config, sources: Mapping[str, str], features: str | None
) -> tuple[Config, Mapping[str, str]]:
    """Return the config and sources with the defaults of `resolve.FEATURES` added, if a loaded
    discriminator sees features and --d-features was not given.
    """
    if features is None or config.d_features is not None or "d_features" in sources:
        return config, sources
    typed = {one for one, source in sources.items() if not source.startswith("loss ")}
    usual = brought({**{one: getattr(config, one) for one in typed}, "d_features": features})
    wanted = {
        one: value
        for one, value in usual.items()
        if "train" in OPTIONS[one].on and one not in typed and value != OPTIONS[one].default
    }
    plain = {one: OPTIONS[one].default for one in sources if one not in typed}
    config = dataclasses.replace(config, **{**plain, **wanted})
    kept = {one: sources[one] for one in typed}
    return config, {**kept, **dict.fromkeys(wanted, f"d-features {features}")}
