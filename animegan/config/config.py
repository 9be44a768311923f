"""All options, each declared once: default, help text, range and the commands that accept it.

lr1 is the generator's learning rate and lr2 the discriminator's, as in the textbook example.
Options marked `free` may differ when a run is resumed, since the weights do not depend on them.
"""

from dataclasses import dataclass

from animegan.config.options import option, options_of
from animegan.losses.objectives import OBJECTIVES


@dataclass(frozen=True)
class Config:
    """The options of one run; `resolve` builds and checks it, and it is immutable from then on."""

    # fmt: off
    name: str | None = option(
        None, "name of the run's folder (default: date, time and preset)", on="train demo",
        free=True,
        heading="Run")
    preset: str | None = option(
        None, "named set of options, which your own override: book (the textbook's values) or "
        "best (far better faces; needs the eval extra)",
        choices=("book", "best"), free=True)
    budget: str | None = option(
        None, "time available for training, such as 30m, 3h or 1d: benchmarks this machine for 20 "
        "seconds, picks the most promising preset (unless one is given) and sets the number of "
        "steps to fit", free=True)
    config: str | None = option(
        None, "TOML file of options; the command line overrides it", on="train generate",
        free=True)
    runs_path: str = option(
        "checkpoints/", "folder that holds the runs", on="train generate demo runs evaluate studio",
        free=True)
    resume: bool | str = option(
        False, "continue from the newest state of --name (default: of the newest run), or from "
        "the run folder or state file given", free=True)
    allow_changes: bool = option(
        False, "resume even if options that affect the weights differ from the run's; the result "
        "is then no longer that of the original run", free=True)
    dry_run: bool = option(False, "print the plan and exit", on="train download", free=True)
    repeat: str | None = option(
        None, "print the command that repeats this run", on="runs", free=True)
    seed: int = option(
        0, "seed for all random numbers", on="train generate demo evaluate prepare studio", low=0,
        high=2**31 - 1)

    data_path: str = option("data/", "folder of pictures, or of one subfolder per class",
        heading="Data")
    image_size: int = option(
        96, "side length of the pictures in pixels; doctor keeps their own size unless this is "
        "set", low=8, high=1024, on="train evaluate prepare doctor")
    channels: int = option(
        3, "colour channels: 3 (RGB) or 1 (greyscale)", choices=(1, 3),
        on="train evaluate prepare")
    background: str = option(
        "white", "colour behind transparent pixels: a name or #rrggbb",
        on="train prepare doctor evaluate")
    resize: str = option(
        "crop", "crop: resize the shorter side, then crop the centre; pad: pad with zeros, never "
        "resample; native: require exactly image_size", choices=("crop", "pad", "native"),
        on="train evaluate")
    num_workers: int = option(
        4, "workers that decode, examine or draw pictures in parallel",
        on="train demo evaluate prepare doctor", low=0, high=256, free=True)
    max_broken: float = option(
        0.01, "stop if more than this share of the pictures is broken", low=0, high=1, free=True,
        on="train evaluate")

    labels: str | None = option(
        None, "labels to condition on: folders (subfolders are classes), or a CSV file with a "
        "header such as file,hair,eyes (default: unconditional)",
        heading="Labels")
    condition: str = option(
        "projection", "how the discriminator uses labels: projection, or acgan (an auxiliary "
        "classifier)",
        choices=("projection", "acgan"))
    aux: float = option(
        1, "weight of acgan's classification loss (cross-entropy)", low=0, high=1e6)
    label: str | None = option(
        None, "what to draw: hair=blonde,eyes=blue, or just the value if there is only one "
        "attribute (default: labels as frequent as in training)", on="generate")

    net: str = option(
        "fastgan", "architecture of both networks",
        choices=("dcgan", "mlp", "resnet", "fastgan", "r3gan"),
        heading="Networks")
    up: str | None = option(
        None, "upsampling in the generator (default: the architecture's own)",
        choices=("transposed", "nearest", "bilinear"))
    g_convs: int | None = option(
        None, "convolutions per stage in fastgan's generator, for maps up to a quarter of the "
        "image size (default: 1; 2 with --d-features)", low=1, high=2)
    d_norm: str | None = option(
        None, "normalisation in the discriminator (default: the architecture's own; none with a "
        "gradient penalty)", choices=("batch", "spectral", "layer", "none"))
    d_features: str | None = option(
        None, "pretrained, frozen network whose features the discriminator sees instead of pixels "
        "(projected GAN)", choices=("lite0",))
    d_pixels: int = option(
        0, "width of a second discriminator, which sees the pixels, next to --d-features; 0: none",
        low=0, high=1024)
    d_input: int | None = option(
        None, "side length in pixels to which pictures are resized for --d-features; smaller is "
        "faster (default: image_size)", low=32, high=1024)
    nz: int = option(100, "dimension of the noise vector", low=1, high=4096)
    ngf: int = option(
        32, "base width of the generator; all its feature maps scale with it", low=1, high=1024)
    ndf: int = option(
        32, "base width of the discriminator; all its feature maps scale with it", low=1, high=1024)
    netg_path: str | None = option(
        None, "generator weights to draw with; in train, to start from",
        on="train generate evaluate studio")
    netd_path: str | None = option(
        None, "discriminator weights to score with; in train, to start from",
        on="train generate")

    loss: str = option(
        "lsgan", "objective; sets the learning rates, betas and penalty published with it",
        choices=tuple(OBJECTIVES),
        heading="Objective")
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
    instance_noise: float = option(
        0, "initial standard deviation of the noise added to the discriminator's inputs", low=0,
        high=10)
    instance_noise_pictures: float = option(
        1e6, "pictures over which instance noise decays to zero", above=0, high=1e12)

    augment: str = option(
        "color,translation",
        "none, auto (adaptive probability) or any of color,translation,cutout",
        heading="Augmentation and averaging")
    flip: bool = option(True, "mirror half of the pictures at random")
    ema: float = option(
        10_000, "half-life, in pictures, of the moving average of the generator's weights, which "
        "samples and weight files use; 0: no averaging", low=0, high=1e9)

    batch_size: int = option(64, "pictures per batch, over all processes", low=2, high=65536,
        heading="Training")
    accumulate: int = option(
        1, "split each batch into this many pieces to save memory (gradient accumulation)", low=1,
        high=4096)
    max_epoch: int = option(200, "total number of epochs", low=1, high=1_000_000, free=True)
    max_steps: int | None = option(
        None, "total number of steps (batches)", on="train", low=1, high=10**12, free=True)
    max_minutes: float | None = option(
        None, "save and stop after this many minutes", on="train demo", above=0,
        free=True)
    optimizer: str = option("adam", "optimizer of both networks", choices=("adam", "rmsprop"))
    lr1: float = option(1e-3, "generator's learning rate", above=0, high=1)
    lr2: float = option(1e-3, "discriminator's learning rate", above=0, high=1)
    beta1: float = option(0.5, "Adam's decay rate of the first moment", low=0, high=0.9999)
    beta2: float = option(0.999, "Adam's decay rate of the second moment", low=0, high=0.999999)
    burn_in: float = option(
        1, "share of the run over which learning rates, beta2 and penalty weights follow a cosine "
        "to their *_end values; constant after that", above=0, high=1)
    lr_end: float = option(1, "final learning rates, as a share of the initial ones",
        low=0, high=1)
    beta2_end: float | None = option(
        None, "final value of Adam's beta2 (default: beta2)", low=0, high=0.999999)
    penalty_end: float = option(
        1, "final penalty weights, as a share of the initial ones", low=0, high=1)
    d_every: int = option(1, "update the discriminator every n batches", low=1, high=10000)
    g_every: int = option(1, "update the generator every n batches", low=1, high=10000)
    share_fakes: bool = option(
        True, "when a batch updates both networks, use the same fakes for both updates (one pass "
        "through --d-features); false: draw new ones for the generator's, which is slower")

    gpu: bool | None = option(
        None, "true: CUDA, or an error; false: CPU (default: CUDA, else MPS, else CPU)",
        on="train generate demo evaluate studio", free=True,
        heading="Machine")
    device: str | None = option(
        None, "device to use, instead of --gpu: cpu, cuda, cuda:1 or mps",
        on="train generate demo evaluate studio", free=True)
    threads: int | None = option(
        None, "number of CPU threads (default: torch's choice)",
        on="train generate demo evaluate studio", low=1, high=1024, free=True)

    precision: str = option(
        "auto", "precision of the networks while training; auto: bf16 on devices with native "
        "support, else fp32 (on CUDA with TF32). Drawing and measuring always use plain fp32",
        on="train demo", choices=("auto", "fp32", "bf16"))
    compile: bool = option(
        False, "compile the training passes with torch.compile; takes half a minute or more at "
        "the start", on="train demo")

    save_path: str | None = option(
        None, "folder in which to create the run's folder of sample grids (default: samples/ in "
        "the run's folder)", free=True,
        heading="Files of a run")
    save_every: int = option(
        10, "write weight files and a sample grid every n epochs", low=1, high=1_000_000,
        free=True)
    state_every_minutes: float = option(
        10, "write a resumable state and a sample grid every n minutes", above=0, free=True)
    keep: int = option(2, "number of resumable states to keep", low=1, high=1000, free=True)
    debug_file: str = option(
        "/tmp/debuggan", "enter the debugger when this file appears", free=True)

    vis: bool = option(
        True, "show losses and pictures in visdom; without a server, training continues",
        on="train generate demo", free=True,
        heading="Watching")
    env: str = option(
        "GAN", "visdom environment; use a different one for each simultaneous run",
        on="train demo", free=True)
    visdom_server: str = option(
        "http://127.0.0.1", "URL of the visdom server", on="train demo", free=True)
    visdom_port: int = option(
        8097, "port of the visdom server", on="train demo monitor", low=1, high=65535,
        free=True)
    host: str = option(
        "127.0.0.1", "address to listen on; 0.0.0.0 admits everyone on the network who has the "
        "printed address", on="monitor", free=True)
    plot_every: int = option(
        20, "log and plot the losses every n batches", low=1, high=1_000_000, free=True)

    eval_path: str | None = option(
        None, "folder of held-out pictures to measure KID and FD against while training",
        heading="Measuring while training")
    eval_every: int = option(500, "measure every n steps", low=1, high=10**9)
    eval_num: int | None = option(
        None, "pictures on each side of the comparison (default: 1,000 while training; in "
        "evaluate, all real pictures, at most 10,000)", on="train evaluate", low=10, high=10**6)
    eval_share: float = option(
        0.1, "largest share of the training to spend on measuring; if --eval-every would exceed "
        "it, measure less often", above=0, high=1)
    patience: int = option(
        0, "stop after this many measurements without a better KID; 0: never", low=0,
        high=10**6)
    on_collapse: str = option(
        "tell", "what to do when a measurement shows trouble, such as mode collapse: tell (report "
        "it), stop, or rollback (return to the best state and continue with other random numbers)",
        choices=("tell", "stop", "rollback"))
    rollbacks: int = option(3, "maximum number of rollbacks", low=1, high=1000)

    gen_img: str = option(
        "result.png", "image file to write the grid to", on="generate", free=True,
        heading="Generating")
    gen_num: int = option(
        64, "number of pictures to keep", on="generate", low=1, high=10**7, free=True)
    gen_search_num: int = option(
        512, "number of candidates to choose from", on="generate", low=1, high=10**9, free=True)
    gen_mean: float = option(0, "mean of the noise", on="generate evaluate", low=-1e3, high=1e3,
        free=True)
    gen_std: float = option(
        1, "standard deviation of the noise", on="generate evaluate", above=0, high=1e3,
        free=True)
    diverse: bool = option(
        False, "among the 8 x gen_num best-scored candidates, keep those that differ most, so that "
        "ranking does not favour a single kind of face", on="generate", free=True)
    save_each: str | None = option(
        None, "folder to write each kept picture to as a separate PNG, with a manifest",
        on="generate", free=True)
    indices: str | None = option(
        None, "draw only these candidates, numbered as in a manifest: 3,17,40-44", on="generate",
        free=True)
    recipes: str | None = option(
        None, "draw the faces of a JSON file, such as the studio's favourites, or of the JSON "
        "itself", on="generate", free=True)
    port: int = option(
        8098, "port of the studio's page, on this machine only", on="studio", low=1, high=65535,
        free=True,
        heading="Studio")
    browser: bool = option(
        True, "open the studio's page in the browser", on="studio", free=True)

    against: str | None = option(
        None, "folder of held-out real pictures to compare with; in doctor, a second set to check "
        "for shared pictures", on="evaluate doctor",
        heading="Evaluating")
    samples: str | None = option(
        None, "folder of pictures to evaluate instead of --netg-path", on="evaluate")
    floor_path: str | None = option(
        None, "folder of other real pictures to compute the floor from (default: the rest of "
        "--against, or its two halves)", on="evaluate")
    train_path: str | None = option(
        None, "training set to search for copies (default: the folder the run was trained on)",
        on="evaluate")
    extractor: str = option(
        "lite0", "feature network: lite0 or lite2 (both work offline; lite2 is not the network "
        "behind --d-features lite0), or inception (FID)", choices=("lite0", "lite2", "inception"),
        on="train evaluate")
    inception_file: str | None = option(
        None, "weight file of the standard FID network", on="train evaluate", free=True)
    report: str | None = option(
        None, "HTML report to write (default: evaluate.html next to the weights; in doctor, none)",
        on="evaluate doctor")
    json: bool = option(False, "print a JSON object instead of the table", on="evaluate")

    src: str | None = option(
        None, "folder, zip or tar archive of illustrations; only read", on="prepare", bare="SRC",
        heading="Building a dataset")
    folder: str | None = option(
        None, "set of pictures to examine; only read", on="doctor", bare="DIR")
    dataset: str | None = option(
        None, "anime-faces, mnist, cifar10, lsun-bedroom, archive or hf:OWNER/NAME",
        on="download", bare="NAME")
    out: str | None = option(
        None, "folder to write to (required in prepare; default in download: data/NAME)",
        on="prepare download")
    fix: str | None = option(
        None, "folder to write a copy to, without the pictures found faulty", on="doctor")
    archive: str | None = option(None, "local copy of the set to read instead", on="download")
    limit: int | None = option(
        None, "maximum number of pictures to write", on="download", low=1, high=10**9)
    detect: bool = option(
        True, "detect faces; --no-detect crops the central square of each picture", on="prepare")
    cascade: str | None = option(
        None, "OpenCV cascade file to detect faces with, instead of animeface", on="prepare")
    native: bool = option(False, "write each face at its own size", on="prepare")
    margin: float = option(
        0.2, "margin around a face's box, as a share of its side", on="prepare", low=0, high=2)
    upright: bool = option(False, "rotate faces so that the eyes are level", on="prepare")
    min_size: int | None = option(
        None, "smallest side of a face in the source, in pixels (default: image_size)",
        on="prepare", low=1, high=10_000)
    min_score: float = option(
        0.35, "lowest detector confidence to accept", on="prepare", low=0, high=1)
    min_spread: float = option(
        12, "lowest standard deviation of brightness, in grey levels; anything below counts as "
        "uniform", on="prepare doctor", low=0, high=128)
    min_colour: float = option(
        6, "lowest colourfulness; anything below counts as grey", on="prepare doctor", low=0,
        high=255)
    min_sharpness: float = option(
        0.03, "lowest sharpness; anything below counts as blurred", on="prepare doctor", low=0,
        high=10)
    min_detail: float = option(
        -37.5, "lowest high-frequency power in dB; anything below counts as upscaled",
        on="prepare doctor", low=-200, high=0)
    near: int = option(
        56, "pictures whose 256-bit hashes differ in at most this many bits count as duplicates; "
        "0: only pictures with identical pixels", on="prepare doctor", low=0, high=80)
    classes: str = option(
        "one", "put all faces into one class, or take the classes from-folders of the source",
        on="prepare", choices=("one", "from-folders"))
    heldout: float = option(
        0.1, "share of faces held out for evaluation; faces from one source picture are never "
        "split", on="prepare", low=0,
        high=0.9)
    # fmt: on


OPTIONS = options_of(Config)
