"""The networks that training starts with: new ones, or ones loaded from weight files."""

from torch import nn

from animegan import models
from animegan.config.config import OPTIONS, Config
from animegan.config.derived import penalised, spec_of
from animegan.config.options import Layer
from animegan.core.errors import UsageError, refuse
from animegan.data.labels import Attributes, Labels, sizes_of
from animegan.models import has_batch_norm
from animegan.runs import checkpoint
from animegan.runs.checkpoint import LoadedNet
from animegan.runtime import seeds


def layers(netg_path: str | None, netd_path: str | None) -> list[Layer]:
    """Return the options that weight files bring, which stand under a command line.

    Raises UsageError for files that cannot be loaded, or do not go together.
    """
    loaded = _loaded(netg_path, netd_path)
    shared = {(net.spec.image_size, net.spec.channels, net.spec.net) for net in loaded.values()}
    if len(shared) > 1:
        raise UsageError(
            "--netg-path, --netd-path: differ in image size, channels or --net; take both from one "
            "run"
        )
    return [
        Layer(path, {name: getattr(loaded[kind].spec, name) for name, option in OPTIONS.items()
                     if kind in option.nets}, fixed=True)
        for kind, path in (("netg", netg_path), ("netd", netd_path))
        if path is not None
    ]  # fmt: skip


def nets(config: Config, labels: Labels | None) -> tuple[nn.Module, nn.Module]:
    """Return netg and netd, each new, or loaded from --netg-path or --netd-path.

    Raises UsageError for nets that cannot be built, and for files that conflict with the objective
    or the labels.
    """
    seeds.seed_everything(config.seed)
    loaded = _loaded(config.netg_path, config.netd_path)
    spec = spec_of(config, sizes_of(labels))
    problems = []
    if penalised(config) and "netd" in loaded and has_batch_norm(loaded["netd"].net):
        problems.append(
            f"--netd-path {config.netd_path}: has BatchNorm, which mixes the pictures of a batch, "
            "but the gradient penalty needs them separate; leave it out, or use an objective "
            "without a penalty"
        )
    attributes = None if labels is None else labels.attributes
    for kind, start in loaded.items():
        saved = start.about.get("labels")
        other_way = kind == "netd" and start.spec.condition != spec.condition
        if (None if saved is None else Attributes.read(saved)) != attributes or other_way:
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
    )


def _loaded(netg_path: str | None, netd_path: str | None) -> dict[str, LoadedNet]:
    loaded = {}
    if netg_path is not None:
        loaded["netg"] = checkpoint.load_net(netg_path, "netg")
    if netd_path is not None:
        loaded["netd"] = checkpoint.load_net(netd_path, "netd")
    return loaded
