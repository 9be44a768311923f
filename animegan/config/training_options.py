"""Options of training: nets, objective, batches and rates, and the machine."""

from dataclasses import dataclass
from typing import ClassVar

from animegan.config import values
from animegan.config.options import option
from animegan.losses.objectives import OBJECTIVES


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    heading: ClassVar = "Labels"

    # fmt: off
    labels: str | None = option(
        None, "labels to condition on: folders (subfolders are classes), or a CSV file with a "
        "header such as file,hair,eyes (default: unconditional)", path=True)
    condition: str = option(
        "projection", "how the discriminator uses labels: projection, or acgan (an auxiliary "
        "classifier)",
        choices=("projection", "acgan"))
    aux: float = option(
        1, "weight of acgan's classification loss (cross-entropy)", low=0, high=1e6)
    label: str | None = option(
        None, "what to draw: hair=blonde,eyes=blue, or just the value if there is only one "
        "attribute (default: labels as frequent as in training)", on="generate video")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    heading: ClassVar = "Networks"

    # fmt: off
    net: str = option(
        "fastgan", "architecture of both networks",
        choices=("dcgan", "mlp", "resnet", "fastgan", "r3gan"), nets="netg netd")
    up: str | None = option(
        None, "upsampling in the generator (default: the architecture's own)",
        choices=("transposed", "nearest", "bilinear"), nets="netg")
    g_convs: int | None = option(
        None, "convolutions per stage in fastgan's generator, for maps up to a quarter of the "
        "image size (default: 1; 2 with --d-features)", low=1, high=2, nets="netg")
    d_norm: str | None = option(
        None, "normalisation in the discriminator (default: the architecture's own; none with a "
        "gradient penalty)", choices=("batch", "spectral", "layer", "none"), nets="netd")
    d_features: str | None = option(
        None, "pretrained, frozen network whose features the discriminator sees instead of pixels "
        "(projected GAN)", choices=("lite0",), nets="netd")
    d_input: int | None = option(
        None, "side length in pixels to which pictures are resized for --d-features; smaller is "
        "faster (default: image_size)", low=32, high=1024, nets="netd", shape=False)
    nz: int = option(100, "dimension of the noise vector", low=1, high=4096, nets="netg")
    ngf: int = option(
        32, "base width of the generator; all its feature maps scale with it", low=1, high=1024,
        nets="netg")
    ndf: int = option(
        32, "base width of the discriminator; all its feature maps scale with it", low=1, high=1024,
        nets="netd")
    netg_path: str | None = option(
        None, "generator weights to draw with; in train, to start from",
        on="train generate evaluate studio export video", path=True, scope="start", quality=True)
    netd_path: str | None = option(
        None, "discriminator weights to score with; in train, to start from",
        on="train generate", path=True, scope="start", quality=True)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    heading: ClassVar = "Objective"

    # fmt: off
    loss: str = option(
        "lsgan", "objective; sets the learning rates, betas and penalty published with it",
        choices=tuple(OBJECTIVES))
    gp: float = option(0, "weight of wgan-gp's or dragan's gradient penalty", low=0, high=1e6)
    r1: float = option(0, "weight of the R1 gradient penalty on real pictures", low=0, high=1e6)
    r2: float = option(
        0, "weight of the R2 gradient penalty on generated pictures", low=0, high=1e6)
    penalty_every: int = option(
        1, "apply the penalties only every n-th discriminator update, with n times the weight",
        low=1, high=1000)
    clip: float = option(
        0, "clip the discriminator's weights to this absolute value; 0: no clipping", low=0,
        high=1e6)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    heading: ClassVar = "Augmentation and averaging"

    # fmt: off
    augment: str = option(
        "color,translation",
        "none, auto (adaptive probability) or any of color,translation,cutout", check=values.parse)
    flip: bool = option(True, "mirror half of the pictures at random")
    ema: float = option(
        10_000, "half-life, in pictures, of the moving average of the generator's weights, which "
        "samples and weight files use; 0: no averaging", low=0, high=1e9)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    heading: ClassVar = "Training"

    # fmt: off
    batch_size: int = option(64, "pictures per batch, over all processes", low=2, high=65536)
    accumulate: int = option(
        1, "split each batch into this many pieces to save memory (gradient accumulation)", low=1,
        high=4096, quality=False)
    max_epoch: int = option(200, "total number of epochs", low=1, high=1_000_000, may_change=True)
    max_steps: int | None = option(
        None, "total number of steps (batches)", on="train", low=1, high=10**12, may_change=True)
    max_minutes: float | None = option(
        None, "save and stop after this many minutes", on="train demo", above=0, scope="session")
    optimizer: str = option("adam", "optimizer of both networks", choices=("adam", "rmsprop"))
    lr1: float = option(1e-3, "generator's learning rate", above=0, high=1)
    lr2: float = option(1e-3, "discriminator's learning rate", above=0, high=1)
    beta1: float = option(0.5, "Adam's decay rate of the first moment", low=0, high=0.9999)
    beta2: float = option(0.999, "Adam's decay rate of the second moment", low=0, high=0.999999)
    schedule: str = option(
        "none", "final values that learning rates, beta2 and penalty weights reach along a cosine, "
        "such as lr=0.25,beta2=0.99,penalty=0.1,until=0.5: lr and penalty as shares of the initial "
        "ones, constant after the share `until` of the run (default: its end)",
        check=values.parse_schedule)
    d_every: int = option(1, "update the discriminator every n batches", low=1, high=10000)
    g_every: int = option(1, "update the generator every n batches", low=1, high=10000)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    heading: ClassVar = "Machine"

    # fmt: off
    gpu: bool | None = option(
        None, "true: CUDA, or an error; false: CPU (default: CUDA, else MPS, else CPU)",
        on="train generate demo evaluate studio video", scope="session")
    device: str | None = option(
        None, "device to use, instead of --gpu: cpu, cuda, cuda:1 or mps",
        on="train generate demo evaluate studio video", scope="session")
    threads: int | None = option(
        None, "number of CPU threads (default: torch's choice)",
        on="train generate demo evaluate studio export video", low=1, high=1024, may_change=True)
    precision: str = option(
        "auto", "precision of the networks while training; auto: bf16 on devices with native "
        "support, else fp32 (on CUDA with TF32). Drawing and measuring always use plain fp32",
        on="train demo", choices=("auto", "fp32", "bf16"), quality=False)
    compile: bool = option(
        False, "compile the training passes with torch.compile; takes half a minute or more at "
        "the start", on="train demo", quality=False)
    # fmt: on
