"""Options of a run: what it is called, its pictures, its files, and how it is watched."""

from dataclasses import dataclass
from typing import ClassVar

from animegan.config import values
from animegan.config.options import option


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    heading: ClassVar = "Run"

    # fmt: off
    name: str | None = option(
        None, "name of the run's folder (default: date, time and preset)", on="train demo",
        scope="call")
    preset: str | None = option(
        None, "named set of options, which your own override: best (judges through a pretrained "
        "network), scratch (learns from your pictures alone) or book (the textbook's values); "
        "default: best, or scratch if you choose --net, --loss or --d-features yourself",
        choices=("best", "scratch", "book"), scope="start")
    budget: str | None = option(
        None, "time available for training, such as 30m, 3h or 1d: benchmarks this machine for 20 "
        "seconds, picks the most promising preset (unless one is given) and sets the number of "
        "steps to fit", scope="call", check=values.seconds_of)
    config: str | None = option(
        None, "TOML file of options; the command line overrides it", on="train generate",
        path=True, scope="call")
    runs_path: str = option(
        "checkpoints/", "folder that holds the runs",
        on="train generate demo runs evaluate studio export video", path=True, scope="call")
    resume: bool | str = option(
        False, "continue from the newest state of --name (default: of the newest run), or from "
        "the run folder or state file given", path=True, scope="call")
    allow_changes: bool = option(
        False, "resume even if options that affect the weights differ from the run's; the result "
        "is then no longer that of the original run", scope="call")
    dry_run: bool = option(False, "print the plan and exit", on="train download", scope="call")
    seed: int = option(
        0, "seed for all random numbers; random: a number chosen now, which the run records",
        on="train generate demo evaluate prepare studio video", low=0,
        high=2**31 - 1, quality=False)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    heading: ClassVar = "Data"

    # fmt: off
    data_path: str = option("data/", "folder of pictures, or of one subfolder per class",
        path=True, quality=False)
    image_size: int = option(
        96, "side length of the pictures in pixels; doctor keeps their own size unless this is "
        "set", low=8, high=1024, on="train evaluate prepare doctor", nets="netg netd")
    channels: int = option(
        3, "colour channels: 3 (RGB) or 1 (greyscale)", choices=(1, 3),
        on="train evaluate prepare", nets="netg netd")
    background: str = option(
        "white", "colour behind transparent pixels: a name or #rrggbb",
        on="train prepare doctor evaluate", quality=False)
    resize: str = option(
        "crop", "crop: resize the shorter side, then crop the centre; pad: pad with zeros, never "
        "resample; native: require exactly image_size", choices=("crop", "pad", "native"),
        on="train evaluate", quality=False)
    num_workers: int = option(
        4, "workers that decode, examine or draw pictures in parallel",
        on="train demo evaluate prepare doctor", low=0, high=256, may_change=True)
    max_broken: float = option(
        0.01, "stop if more than this share of the pictures is broken", low=0, high=1,
        on="train evaluate", may_change=True)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    heading: ClassVar = "Files of a run"

    # fmt: off
    save_path: str | None = option(
        None, "folder in which to create the run's folder of sample grids (default: samples/ in "
        "the run's folder)", path=True, may_change=True)
    save_every: int = option(
        10, "write weight files and a sample grid every n epochs", low=1, high=1_000_000,
        may_change=True)
    state_every_minutes: float = option(
        10, "write a resumable state and a sample grid every n minutes", above=0, may_change=True)
    keep: int = option(2, "number of resumable states to keep", low=1, high=1000, may_change=True)
    debug_file: str = option(
        "/tmp/debuggan", "enter the debugger when this file appears", path=True, may_change=True)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    heading: ClassVar = "Watching"

    # fmt: off
    vis: bool = option(
        True, "show losses and pictures in visdom; without a server, training continues",
        on="train generate demo", may_change=True)
    env: str = option(
        "GAN", "visdom environment; use a different one for each simultaneous run",
        on="train demo", may_change=True)
    visdom_server: str = option(
        "http://127.0.0.1", "URL of the visdom server", on="train demo", may_change=True)
    visdom_port: int = option(
        8097, "port of the visdom server", on="train demo monitor", low=1, high=65535,
        may_change=True)
    host: str = option(
        "127.0.0.1", "address to listen on; 0.0.0.0 admits everyone on the network who has the "
        "printed address", on="monitor", may_change=True)
    plot_every: int = option(
        20, "log and plot the losses every n batches", low=1, high=1_000_000, may_change=True)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    heading: ClassVar = "Measuring while training"

    # fmt: off
    eval_path: str | None = option(
        None, "folder of held-out pictures to measure KID and FD against while training",
        path=True, quality=False)
    eval_every: int = option(500, "measure every n steps", low=1, high=10**9, quality=False)
    eval_num: int | None = option(
        None, "pictures on each side of the comparison (default: 1,000 while training; in "
        "evaluate, all real pictures, at most 10,000)", on="train evaluate", low=10, high=10**6,
        quality=False)
    patience: int = option(
        0, "stop after this many measurements without a better KID; 0: never", low=0,
        high=10**6, quality=False)
    on_collapse: str = option(
        "tell", "what to do when a measurement shows trouble, such as mode collapse: tell (report "
        "it), stop, or rollback (return to the best state and continue with other random numbers)",
        choices=("tell", "stop", "rollback"), quality=False)
    # fmt: on
