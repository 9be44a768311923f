"""Every option of the tool, once: its default, its meaning, its range and the commands it is for.

lr1 is the generator's rate and lr2 the discriminator's, as in the textbook example. Options marked
`free` may differ when a run is resumed, since no weight depends on them.
"""

from dataclasses import dataclass

from animegan.losses import OBJECTIVES
from animegan.options import option, options_of


@dataclass(frozen=True)
class Config:
    """One run's options. Made by `resolve`, which checks them; never changed after that."""

    # fmt: off
    # --- the run
    name: str | None = option(
        None, "name of the run's folder; left out, date and preset", on="train demo", free=True)
    preset: str | None = option(
        None, "named set of options under your own: book (the textbook's values), best (far "
        "better faces; needs the extra eval)",
        choices=("book", "best"), free=True)
    budget: str | None = option(
        None, "time there is, such as 30m, 3h or 1d: measures this machine for 20 seconds, takes "
        "the preset that is worth most (unless one is named) and plans as many steps", free=True)
    config: str | None = option(
        None, "TOML file of options, under those of the command line", on="train generate",
        free=True)
    runs_path: str = option(
        "checkpoints/", "folder that holds the runs", on="train generate demo runs evaluate",
        free=True)
    resume: bool | str = option(
        False, "go on from the newest state (of --name, else of the newest run), or from a "
        "path", free=True)
    allow_changes: bool = option(
        False, "resume although options differ from the run's; it is another run from there on",
        free=True)
    dry_run: bool = option(False, "print the plan and stop", on="train download", free=True)
    repeat: str | None = option(
        None, "print the command that repeats this run", on="runs", free=True)
    seed: int = option(
        0, "seed of all randomness", on="train generate demo evaluate prepare", low=0,
        high=2**31 - 1)

    # --- data
    data_path: str = option("data/", "folder of pictures, or of one subfolder a class")
    image_size: int = option(
        96, "side of the pictures in pixels; doctor takes their own unless told", low=8, high=1024,
        on="train evaluate prepare doctor")
    channels: int = option(
        3, "3 for colour, 1 for grey", choices=(1, 3), on="train evaluate prepare")
    background: str = option(
        "white", "what shows through transparent pictures: a name or #rrggbb",
        on="train prepare doctor evaluate")
    resize: str = option(
        "crop", "crop: short side resized, centre cut out; pad: zeros around, never "
        "interpolated; native: pictures must have the size", choices=("crop", "pad", "native"),
        on="train evaluate")
    num_workers: int = option(
        4, "workers that decode the pictures when the cache is built",
        on="train demo evaluate prepare doctor", low=0, high=256, free=True)
    max_broken: float = option(
        0.01, "share of broken pictures above which to stop", low=0, high=1, free=True,
        on="train evaluate")

    # --- labels
    labels: str | None = option(
        None, "what nets learn of each picture: folders (subfolders are classes), or a CSV whose "
        "first line is like file,hair,eyes; none for nothing")
    condition: str = option(
        "projection", "how the discriminator uses labels: projection, or acgan (it names them)",
        choices=("projection", "acgan"))
    aux: float = option(
        1, "weight of acgan's loss, the cross-entropy of the labels", low=0, high=1e6)
    label: str | None = option(
        None, "what to draw: hair=blonde,eyes=blue, or a value alone where there is one "
        "attribute; left out, labels as frequent as in training", on="generate")

    # --- networks
    net: str = option(
        "fastgan", "family of both nets", choices=("dcgan", "mlp", "resnet", "fastgan", "r3gan"))
    up: str | None = option(
        None, "how the generator enlarges; left out, the family's own way",
        choices=("transposed", "nearest", "bilinear"))
    g_convs: int | None = option(
        None, "convolutions a stage of fastgan's generator up to a quarter of the side: 1 or 2; "
        "left out, 1, and 2 with --d-features", low=1, high=2)
    d_norm: str | None = option(
        None, "normalisation in the discriminator; left out, the family's own, none with a "
        "penalty", choices=("batch", "spectral", "layer", "none"))
    d_features: str | None = option(
        None, "judge frozen features instead of pixels (projected GAN)", choices=("lite0",))
    d_pixels: int = option(
        0, "width of a discriminator of the pixels beside that of the features; 0 for none", low=0,
        high=1024)
    d_input: int | None = option(
        None, "side in pixels to which pictures are resized before the features; smaller is "
        "faster; left out, image_size", low=32, high=1024)
    nz: int = option(100, "length of the noise vector", low=1, high=4096)
    ngf: int = option(
        32, "width of the generator: all its feature maps grow with it", low=1, high=1024)
    ndf: int = option(
        32, "width of the discriminator: all its feature maps grow with it", low=1, high=1024)
    netg_path: str | None = option(
        None, "generator's weights: to draw with; on train, to start from",
        on="train generate evaluate")
    netd_path: str | None = option(
        None, "discriminator's weights: to score with; on train, to start from",
        on="train generate")

    # --- objective
    loss: str = option(
        "lsgan", "objective; it brings its published rates, betas and penalty",
        choices=tuple(OBJECTIVES))
    gp: float = option(0, "weight of the penalty of wgan-gp and dragan", low=0, high=1e6)
    r1: float = option(0, "weight of the gradient penalty at real pictures", low=0, high=1e6)
    r2: float = option(0, "weight of the gradient penalty at generated pictures", low=0, high=1e6)
    penalty_every: int = option(
        1, "discriminator updates from one penalty to the next, which weighs as much more",
        low=1, high=1000)
    clip: float = option(
        0, "bound that the discriminator's weights are clipped to; 0 for none", low=0, high=1e6)
    instance_noise: float = option(
        0, "deviation of the noise on what the discriminator sees, at the start", low=0,
        high=10)
    instance_noise_pictures: float = option(
        1e6, "pictures after which instance noise has faded to nothing", above=0, high=1e12)

    # --- aids
    augment: str = option(
        "color,translation",
        "none, auto (probability adapts), or some of color,translation,cutout")
    flip: bool = option(True, "mirror half of the pictures")
    ema: float = option(
        10_000, "pictures in which the moving average of the generator forgets half; 0 for none; "
        "it draws the samples and is what the weight files hold", low=0, high=1e9)

    # --- training
    batch_size: int = option(64, "pictures a batch", low=2, high=65536)
    accumulate: int = option(1, "pieces that a batch is cut into, to save memory", low=1, high=4096)
    max_epoch: int = option(200, "epochs to train in all", low=1, high=1_000_000, free=True)
    max_steps: int | None = option(
        None, "batches to train in all", on="train", low=1, high=10**12, free=True)
    max_minutes: float | None = option(
        None, "minutes after which this call saves and stops", on="train demo", above=0,
        free=True)
    optimizer: str = option("adam", "adam or rmsprop", choices=("adam", "rmsprop"))
    lr1: float = option(1e-3, "generator's learning rate", above=0, high=1)
    lr2: float = option(1e-3, "discriminator's learning rate", above=0, high=1)
    beta1: float = option(0.5, "Adam's decay of the first moment", low=0, high=0.9999)
    beta2: float = option(0.999, "Adam's decay of the second moment", low=0, high=0.999999)
    burn_in: float = option(
        1, "share of the planned pictures over which what has an end moves to it by a cosine; "
        "after that it stays", above=0, high=1)
    lr_end: float = option(1, "both learning rates at the end, as a share of those at the start",
        low=0, high=1)
    beta2_end: float | None = option(
        None, "Adam's beta2 at the end; left out, as at the start", low=0, high=0.999999)
    penalty_end: float = option(
        1, "weight of the penalties at the end, as a share of that at the start", low=0, high=1)
    d_every: int = option(1, "batches from one discriminator update to the next", low=1, high=10000)
    g_every: int = option(1, "batches from one generator update to the next", low=1, high=10000)
    share_fakes: bool = option(
        True, "in a batch that updates both nets, draw the fakes once for both updates (and show "
        "them once to --d-features); false: new ones for the generator's, which takes longer")

    # --- machine
    gpu: bool | None = option(
        None, "true: CUDA or an error; false: the CPU; left out: CUDA, then MPS, then the CPU",
        on="train generate demo evaluate", free=True)
    device: str | None = option(
        None, "name the device outright: cpu, cuda, cuda:1, mps",
        on="train generate demo evaluate", free=True)
    threads: int | None = option(
        None, "CPU threads; left out, as many as torch takes",
        on="train generate demo evaluate", low=1, high=1024, free=True)

    precision: str = option(
        "auto", "what the nets compute in while training; auto: bf16 on devices that have "
        "instructions for it, else fp32. Drawing and measuring are fp32", on="train demo",
        choices=("auto", "fp32", "bf16"))
    compile: bool = option(
        False, "compile the nets' training passes (torch.compile); takes half a minute or more at "
        "the start", on="train demo")

    # --- what a run leaves
    save_path: str | None = option(
        None, "where a folder of the run's sample grids goes; left out, samples/ in its own",
        free=True)
    save_every: int = option(
        10, "epochs from one weight file and grid to the next", low=1, high=1_000_000,
        free=True)
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
        8097, "port of the visdom server", on="train demo monitor", low=1, high=65535,
        free=True)
    host: str = option(
        "127.0.0.1", "address to listen on; 0.0.0.0 lets everyone on the network in, visdom has "
        "no login", on="monitor", free=True)
    plot_every: int = option(
        20, "batches from one look at the losses to the next", low=1, high=1_000_000, free=True)

    # --- measuring while training
    eval_path: str | None = option(
        None, "folder of held-out pictures to measure KID and FD against while training")
    eval_every: int = option(500, "steps from one measurement to the next", low=1, high=10**9)
    eval_num: int | None = option(
        None, "pictures on each side; left out, 1,000 while training, else all reals, at most "
        "10,000", on="train evaluate", low=10, high=10**6)
    eval_share: float = option(
        0.1, "share of the steps that measuring may cost; it comes more rarely if it would be "
        "more", above=0, high=1)
    patience: int = option(
        0, "measurements without a better KID after which to stop; 0 for never", low=0,
        high=10**6)
    on_collapse: str = option(
        "tell", "what to do when a measurement is alarmed: tell, stop, or rollback to the best "
        "state with new randomness", choices=("tell", "stop", "rollback"))
    rollbacks: int = option(3, "how often to roll back at most", low=1, high=1000)

    # --- drawing
    gen_img: str = option("result.png", "picture to write", on="generate", free=True)
    gen_num: int = option(64, "pictures to keep", on="generate", low=1, high=10**7, free=True)
    gen_search_num: int = option(
        512, "candidates to choose from", on="generate", low=1, high=10**9, free=True)
    gen_mean: float = option(0, "mean of the noise", on="generate evaluate", free=True)
    gen_std: float = option(
        1, "standard deviation of the noise", on="generate evaluate", above=0, free=True)
    diverse: bool = option(
        False, "of the best 8 x gen_num keep those that differ most, so that selection by score "
        "does not narrow to one kind of face", on="generate", free=True)
    save_each: str | None = option(
        None, "folder for every kept picture as a PNG of its own, with a manifest",
        on="generate", free=True)
    indices: str | None = option(
        None, "draw just these candidates, from a manifest: 3,17,40-44", on="generate",
        free=True)


    # --- measuring
    against: str | None = option(
        None, "folder of real pictures to compare with: held-out ones; on doctor, a set to "
        "compare for duplicates", on="evaluate doctor")
    samples: str | None = option(
        None, "folder of pictures to judge, instead of --netg-path", on="evaluate")
    floor_path: str | None = option(
        None, "folder of other reals for the floor; left out, the rest of --against, else halves "
        "of it", on="evaluate")
    train_path: str | None = option(
        None, "training set to look for copies in; left out, the folder the run was trained on",
        on="evaluate")
    extractor: str = option(
        "lite0", "features: lite0, lite2 (both offline; lite2 did not judge --d-features lite0) or "
        "inception (FID)", choices=("lite0", "lite2", "inception"),
        on="train evaluate")
    inception_file: str | None = option(
        None, "weight file of the standard FID network", on="train evaluate", free=True)
    report: str | None = option(
        None, "HTML page to write; left out, evaluate.html beside the weights, and none for doctor",
        on="evaluate doctor")
    json: bool = option(False, "print one JSON object instead of the table", on="evaluate")

    # --- making a set
    src: str | None = option(
        None, "folder, zip or tar of illustrations; never written to", on="prepare", bare="SRC")
    folder: str | None = option(
        None, "set of pictures to examine; never written to", on="doctor", bare="DIR")
    dataset: str | None = option(
        None, "anime-faces, mnist, cifar10, lsun-bedroom, archive or hf:OWNER/NAME",
        on="download", bare="NAME")
    out: str | None = option(None, "folder to write to", on="prepare download")
    fix: str | None = option(None, "folder for a copy without what was found", on="doctor")
    archive: str | None = option(None, "copy of the set that lies on this machine", on="download")
    limit: int | None = option(None, "pictures to write at most", on="download", low=1, high=10**9)
    detect: bool = option(
        True, "find faces; --no-detect takes the middle square of each picture", on="prepare")
    cascade: str | None = option(
        None, "OpenCV cascade file to find faces with instead", on="prepare")
    native: bool = option(False, "write each face at its own size", on="prepare")
    margin: float = option(
        0.2, "room around a face's box, as a share of its side", on="prepare", low=0, high=2)
    upright: bool = option(False, "turn faces so that the eyes are level", on="prepare")
    min_size: int | None = option(
        None, "smallest side of a face in the source, in pixels; left out, image_size",
        on="prepare", low=1, high=10_000)
    min_score: float = option(
        0.35, "least confidence of the detector", on="prepare", low=0, high=1)
    min_spread: float = option(
        12, "least deviation of brightness, in grey levels; below is nearly uniform",
        on="prepare doctor", low=0, high=128)
    min_colour: float = option(
        6, "least colourfulness; below is grey", on="prepare doctor", low=0, high=255)
    min_sharpness: float = option(
        0.03, "least sharpness; below is blurred", on="prepare doctor", low=0, high=10)
    min_detail: float = option(
        -37.5, "least high-frequency power in dB; below is enlarged from a smaller picture",
        on="prepare doctor", low=-200, high=0)
    near: int = option(
        56, "bits of 256 in which two pictures may differ and be one; 0: equal pixels only",
        on="prepare doctor", low=0, high=80)
    classes: str = option(
        "one", "one class for all, or from-folders of the source", on="prepare", choices=("one",
        "from-folders"))
    heldout: float = option(
        0.1, "share of the faces kept aside for evaluation, never of one source picture",
        on="prepare", low=0,
        high=0.9)
    # fmt: on


OPTIONS = options_of(Config)
