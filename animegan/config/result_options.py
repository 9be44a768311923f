"""Options of the commands beside training: drawing, evaluating, building a dataset."""

from dataclasses import dataclass
from typing import ClassVar

from animegan.config import values
from animegan.config.options import option


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    heading: ClassVar = "Generating"

    # fmt: off
    gen_img: str = option(
        "result.png", "image file to write the grid to", on="generate", path=True, may_change=True)
    gen_num: int = option(
        64, "number of pictures to keep", on="generate", low=1, high=10**7, may_change=True)
    gen_search_num: int = option(
        512, "number of candidates to choose from", on="generate", low=1, high=10**9,
        may_change=True)
    gen_mean: float = option(0, "mean of the noise", on="generate evaluate", low=-1e3, high=1e3,
        may_change=True)
    gen_std: float = option(
        1, "standard deviation of the noise", on="generate evaluate video", above=0, high=1e3,
        may_change=True)
    diverse: bool = option(
        False, "among the 8 x gen_num best-scored candidates, keep those that differ most, so that "
        "ranking does not favour a single kind of face", on="generate", may_change=True)
    save_each: str | None = option(
        None, "folder to write each kept picture to as a separate PNG, with a manifest",
        on="generate", path=True, may_change=True)
    indices: str | None = option(
        None, "draw only these candidates, numbered as in a manifest: 3,17,40-44", on="generate",
        may_change=True, check=values.parse_indices)
    recipes: str | None = option(
        None, "draw the faces of a JSON file, such as the studio's favourites, or of the JSON "
        "itself", on="generate", path=True, may_change=True)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class StudioOptions:
    heading: ClassVar = "Studio"

    # fmt: off
    port: int = option(
        8098, "port of the studio's page, on this machine only", on="studio", low=1, high=65535,
        may_change=True)
    browser: bool = option(
        True, "open the studio's page in the browser", on="studio", may_change=True)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    heading: ClassVar = "Listing runs"

    # fmt: off
    repeat: str | None = option(
        None, "print the command that repeats this run", on="runs", path=True, may_change=True)
    format: str = option(
        "table", "how to list the runs: table (blocks in a narrow terminal), json or csv",
        on="runs", choices=("table", "json", "csv"), may_change=True)
    sort: str = option(
        "time", "order of the runs: time (the newest last), name, steps (the most last) or kid "
        "(the best last)", on="runs", choices=("time", "name", "steps", "kid"), may_change=True)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    heading: ClassVar = "The cache"

    # fmt: off
    clear: bool = option(False, "delete what the cache holds", on="cache", may_change=True)
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    heading: ClassVar = "Evaluating"

    # fmt: off
    against: str | None = option(
        None, "folder of held-out real pictures to compare with; in doctor, a second set to check "
        "for shared pictures", on="evaluate doctor", path=True)
    samples: str | None = option(
        None, "folder of pictures to evaluate instead of --netg-path", on="evaluate", path=True)
    floor_path: str | None = option(
        None, "folder of other real pictures to compute the floor from (default: the rest of "
        "--against, or its two halves)", on="evaluate", path=True)
    train_path: str | None = option(
        None, "training set to search for copies (default: the folder the run was trained on)",
        on="evaluate", path=True)
    extractor: str = option(
        "lite0", "feature network: lite0 or lite2 (both work offline; lite2 is not the network "
        "behind --d-features lite0), or inception (FID)", choices=("lite0", "lite2", "inception"),
        on="train evaluate", quality=False)
    inception_file: str | None = option(
        None, "weight file of the standard FID network", on="train evaluate",
        path=True, may_change=True)
    report: str | None = option(
        None, "HTML report to write (default: evaluate.html next to the weights; in doctor, none)",
        on="evaluate doctor", path=True)
    json: bool = option(False, "print a JSON object instead of the table", on="evaluate")
    # fmt: on


@dataclass(frozen=True, kw_only=True)
class DatasetOptions:
    heading: ClassVar = "Building a dataset"

    # fmt: off
    src: str | None = option(
        None, "folder, zip or tar archive of illustrations; only read", on="prepare", bare="SRC",
        path=True)
    folder: str | None = option(
        None, "set of pictures to examine; only read", on="doctor", bare="DIR", path=True)
    dataset: str | None = option(
        None, "anime-faces, mnist, cifar10, lsun-bedroom, archive or hf:OWNER/NAME",
        on="download", bare="NAME")
    out: str | None = option(
        None, "folder to write to (default in download: data/NAME); in export and video, the file",
        on="prepare download export video", path=True)
    fix: str | None = option(
        None, "folder to write a copy to, without the pictures found faulty", on="doctor",
        path=True)
    archive: str | None = option(None, "local copy of the set to read instead", on="download",
        path=True)
    limit: int | None = option(
        None, "maximum number of pictures to write", on="download", low=1, high=10**9)
    detect: bool = option(
        True, "detect faces; --no-detect crops the central square of each picture", on="prepare")
    cascade: str | None = option(
        None, "OpenCV cascade file to detect faces with, instead of animeface", on="prepare",
        path=True)
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
