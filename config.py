"""Every option of the tool, once: its default, its meaning, its range and the commands it is for.

lr1 is the generator's rate and lr2 the discriminator's, as in the textbook example. Options marked
`free` may differ when a run is resumed, since no weight depends on them.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animegan.errors import UsageError
from animegan.losses import OBJECTIVES
from animegan.options import Layer, Settled, option, options_of, settle


@dataclass(frozen=True)
class Config:
    """One run's options. Made by `resolve`, which checks them; never changed after that."""

    # fmt: off
    # --- the run
    name: str | None = option(
        None, "name of the run's folder; left out, date and preset", on="train demo", free=True)
    preset: str | None = option(
        None, "named set of options under your own: book (the textbook's values)",
        choices=("book",), free=True)
    config: str | None = option(
        None, "TOML file of options, under those of the command line", on="train generate",
        free=True)
    runs_path: str = option(
        "checkpoints/", "folder that holds the runs", on="train generate demo runs", free=True)
    resume: bool | str = option(
        False, "go on from the newest state (of --name, else of the newest run), or from a path",
        free=True)
    allow_changes: bool = option(
        False, "resume although options differ from the run's; it is another run from there on",
        free=True)
    dry_run: bool = option(False, "print the plan and stop", on="train demo", free=True)
    repeat: str | None = option(
        None, "print the command that repeats this run", on="runs", free=True)
    seed: int = option(0, "seed of all randomness", on="train generate demo", low=0, high=2**31 - 1)

    # --- data
    data_path: str = option("data/", "folder of pictures, or of one subfolder a class")
    image_size: int = option(96, "side of the pictures in pixels", low=8, high=1024)
    channels: int = option(3, "3 for colour, 1 for grey", low=1, high=3)
    background: str = option("white", "what shows through transparent pictures: a name or #rrggbb")
    resize: str = option(
        "crop", "crop: short side resized, centre cut out; pad: zeros around, never interpolated; "
        "native: pictures must have the size", choices=("crop", "pad", "native"))
    num_workers: int = option(
        4, "workers that decode the pictures when the cache is built", on="train demo", low=0,
        high=256, free=True)
    max_broken: float = option(
        0.01, "share of broken pictures above which to stop", low=0, high=1, free=True)

    # --- networks
    net: str = option(
        "dcgan", "family of both nets", choices=("dcgan", "mlp", "resnet", "fastgan", "r3gan"))
    up: str | None = option(
        None, "how the generator enlarges; left out, the family's own way", choices=("transposed",
        "nearest", "bilinear"))
    d_norm: str | None = option(
        None, "normalisation in the discriminator; left out, the family's own, none with a penalty",
        choices=("batch", "spectral", "layer", "none"))
    d_features: str | None = option(
        None, "judge frozen features instead of pixels (projected GAN)", choices=("lite0",))
    nz: int = option(100, "length of the noise vector", low=1, high=4096)
    ngf: int = option(
        64, "width of the generator: feature maps of its last stage", low=1, high=1024)
    ndf: int = option(
        64, "width of the discriminator: feature maps of its first stage", low=1, high=1024)
    netg_path: str | None = option(
        None, "generator's weights: to draw with; on train, to start from", on="train generate")
    netd_path: str | None = option(
        None, "discriminator's weights: to score with; on train, to start from", on="train "
        "generate")

    # --- objective
    loss: str = option(
        "bce", "objective; it brings its published rates, betas and penalty",
        choices=tuple(OBJECTIVES))
    gp: float = option(0, "weight of the penalty of wgan-gp and dragan", low=0, high=1e6)
    r1: float = option(0, "weight of the gradient penalty at real pictures", low=0, high=1e6)
    r2: float = option(0, "weight of the gradient penalty at generated pictures", low=0, high=1e6)
    penalty_every: int = option(
        1, "discriminator updates from one penalty to the next, which weighs as much more", low=1,
        high=1000)
    clip: float = option(
        0, "bound that the discriminator's weights are clipped to; 0 for none", low=0, high=1e6)
    instance_noise: float = option(
        0, "deviation of the noise on what the discriminator sees, at the start", low=0, high=10)
    instance_noise_pictures: float = option(
        1e6, "pictures after which instance noise has faded to nothing", above=0, high=1e12)

    # --- aids
    augment: str = option(
        "none", "none, auto (probability adapts), or some of color,translation,cutout")
    flip: bool = option(False, "mirror half of the pictures")
    ema: float = option(
        0, "pictures in which the moving average of the generator forgets half; 0 for none; it "
        "draws the samples and is what the weight files hold", low=0, high=1e9)

    # --- training
    batch_size: int = option(64, "pictures a batch", low=2, high=65536)
    accumulate: int = option(1, "pieces that a batch is cut into, to save memory", low=1, high=4096)
    max_epoch: int = option(200, "epochs to train in all", low=1, high=1_000_000, free=True)
    max_steps: int | None = option(
        None, "batches to train in all", on="train", low=1, high=10**12, free=True)
    max_minutes: float | None = option(
        None, "minutes after which this call saves and stops", on="train demo", above=0, free=True)
    optimizer: str = option("adam", "adam or rmsprop", choices=("adam", "rmsprop"))
    lr1: float = option(2e-4, "generator's learning rate", above=0, high=1)
    lr2: float = option(2e-4, "discriminator's learning rate", above=0, high=1)
    beta1: float = option(0.5, "Adam's decay of the first moment", low=0, high=0.9999)
    beta2: float = option(0.999, "Adam's decay of the second moment", low=0, high=0.999999)
    d_every: int = option(1, "batches from one discriminator update to the next", low=1, high=10000)
    g_every: int = option(1, "batches from one generator update to the next", low=1, high=10000)

    # --- machine
    gpu: bool | None = option(
        None, "true: CUDA or an error; false: the CPU; left out: CUDA, then MPS, then the CPU",
        on="train generate demo", free=True)
    device: str | None = option(
        None, "name the device outright: cpu, cuda, cuda:1, mps", on="train generate demo",
        free=True)
    threads: int | None = option(
        None, "CPU threads; left out, as many as torch takes", on="train generate demo", low=1,
        high=1024, free=True)

    # --- what a run leaves
    save_path: str | None = option(
        None, "folder of the sample grids; left out, samples/ in the run's folder", free=True)
    save_every: int = option(
        10, "epochs from one weight file and grid to the next", low=1, high=1_000_000, free=True)
    state_every_minutes: float = option(
        10, "minutes from one resumable state and grid to the next", above=0, free=True)
    keep: int = option(2, "resumable states kept", low=1, high=1000, free=True)
    debug_file: str = option(
        "/tmp/debuggan", "when this file appears, training enters the debugger", free=True)

    # --- watching
    vis: bool = option(
        True, "show losses and pictures in visdom; without a server training goes on",
        on="train generate demo", free=True)
    env: str = option(
        "GAN", "visdom environment; runs watched at one time need one each", on="train demo",
        free=True)
    visdom_server: str = option(
        "http://127.0.0.1", "address of the visdom server", on="train demo", free=True)
    visdom_port: int = option(
        8097, "port of the visdom server", on="train demo monitor", low=1, high=65535, free=True)
    host: str = option(
        "127.0.0.1", "address to listen on; 0.0.0.0 lets everyone on the network in, visdom has no "
        "login", on="monitor", free=True)
    plot_every: int = option(
        20, "batches from one look at the losses to the next", low=1, high=1_000_000, free=True)

    # --- drawing
    gen_img: str = option("result.png", "picture to write", on="generate", free=True)
    gen_num: int = option(64, "pictures to keep", on="generate", low=1, high=10**7, free=True)
    gen_search_num: int = option(
        512, "candidates to choose from", on="generate", low=1, high=10**9, free=True)
    gen_mean: float = option(0, "mean of the noise", on="generate", free=True)
    gen_std: float = option(1, "standard deviation of the noise", on="generate", above=0, free=True)
    save_each: str | None = option(
        None, "folder for every kept picture as a PNG of its own, with a manifest", on="generate",
        free=True)
    indices: str | None = option(
        None, "draw just these candidates, from a manifest: 3,17,40-44", on="generate", free=True)

    # fmt: on


OPTIONS = options_of(Config)

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "book": {
        "image_size": 96, "batch_size": 256, "max_epoch": 200, "lr1": 2e-4, "lr2": 2e-4,
        "beta1": 0.5, "nz": 100, "ngf": 64, "ndf": 64, "plot_every": 20, "d_every": 1,
        "g_every": 5, "save_every": 10,
    },
}  # fmt: skip


FEATURES: Mapping[str, Mapping[str, Any]] = {  # what a projected discriminator was found to want
    "lite0": {
        "net": "fastgan", "loss": "hinge", "batch_size": 32, "lr1": 2e-4, "lr2": 2e-4,
        "beta1": 0.0, "beta2": 0.99, "d_norm": None, "augment": "color,translation", "ema": 10_000,
    },
}  # fmt: skip


def resolve(command: str, flags: Mapping[str, str], *under: Layer) -> tuple[Config, dict[str, str]]:
    """The Config of a command line, and where each value that is no default came from.

    Strongest are the flags, then the TOML file, the preset, `under` (a resumed run's options), and
    what the objective brings. Raises UsageError with every problem found.
    """
    layers = list(under)
    told = dict(flags)
    file_values, problems = _read_toml(flags.get("config"), command)
    preset = told.get("preset", file_values.get("preset"))
    if isinstance(preset, str) and preset in PRESETS:
        layers.append(Layer(f"preset {preset}", PRESETS[preset]))
    layers += [Layer(str(flags.get("config")), file_values), Layer("flag", told)]
    settled = settle(OPTIONS, [*_published(settle(OPTIONS, layers).values), *layers])
    problems += settled.problems
    config = Settled(settled.values, settled.sources, ()).build(Config)
    problems += _conflicts(command, config)
    if problems:
        raise UsageError(*dict.fromkeys(problems))
    return config, settled.sources


def _published(chosen: Mapping[str, Any]) -> list[Layer]:
    """What the chosen discriminator and objective bring along, below everything else."""
    layers = []
    features = chosen["d_features"]
    loss = chosen["loss"]
    if features is not None:
        layers.append(Layer(f"d-features {features}", FEATURES[features]))
        if loss == OPTIONS["loss"].default:
            loss = FEATURES[features]["loss"]
    published = OBJECTIVES[loss].defaults_at(chosen["image_size"])
    return [Layer(f"loss {loss}", published), *layers]


def _read_toml(path: str | None, command: str) -> tuple[dict[str, object], list[str]]:
    if path is None:
        return {}, []
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return {}, [
            f"--config {path}: cannot be read ({error.__class__.__name__}); name a TOML file"
        ]
    except tomllib.TOMLDecodeError as error:
        return {}, [f"--config {path}: not TOML: {error}"]
    names = {key: key.replace("-", "_") for key in values}
    problems = [
        f"--config {path}: '{key}' is not an option of {command}; "
        f"see `python main.py {command} --help`"
        for key, name in names.items()
        if name not in OPTIONS or command not in OPTIONS[name].on or name == "config"
    ]
    known = {names[key]: value for key, value in values.items() if names[key] in OPTIONS}
    return known, problems


def _conflicts(command: str, config: Config) -> list[str]:
    """What is wrong between options, and paths that are not there."""
    found = []
    if config.channels == 2:
        found.append("--channels 2: takes 3 (colour) or 1 (grey)")
    if config.gpu is not None and config.device is not None:
        found.append(f"--gpu and --device {config.device}: both name the device; keep one")
    if command == "train":
        if config.resume and (config.netg_path or config.netd_path):
            found.append(
                "--resume: goes on with the run's own weights; drop --netg-path/--netd-path, "
                "or drop --resume to start a new run from these weights"
            )
        parts = {"color", "translation", "cutout"}
        if config.augment not in ("none", "auto") and not set(config.augment.split(",")) <= parts:
            found.append(
                f"--augment {config.augment}: takes none, auto, or some of color,translation,cutout"
            )
        if config.accumulate > config.batch_size or config.batch_size % config.accumulate:
            found.append(
                f"--accumulate {config.accumulate}: must divide --batch-size {config.batch_size}"
            )
        for name in ("data_path", "netg_path", "netd_path"):
            path = getattr(config, name)
            if path is not None and not Path(path).exists():
                found.append(f"{OPTIONS[name].flag} {path}: no such file or folder")
        if isinstance(config.resume, str) and not Path(config.resume).exists():
            found.append(
                f"--resume {config.resume}: no such state or run folder; "
                "`python main.py runs` lists the runs"
            )
    if command == "generate":
        if config.netg_path is None:
            found.append(
                "--netg-path: missing; name the generator's weights, "
                "such as checkpoints/RUN/netg_last.pth"
            )
        if config.gen_num > config.gen_search_num and config.indices is None and config.netd_path:
            found.append(
                f"--gen-num {config.gen_num}: more than --gen-search-num "
                f"{config.gen_search_num}; raise that or lower this"
            )
        if not config.gen_img.lower().endswith((".png", ".jpg", ".jpeg", ".webp")):
            found.append(
                f"--gen-img {config.gen_img}: takes a name that ends in .png, .jpg or .webp"
            )
    return found
