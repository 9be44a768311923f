"""Install the browser scripts that visdom's page needs, but its wheel lacks, through npm.

visdom's own server downloads them from three CDNs and crashes if one is unreachable. Here pinned
versions come from the npm registry, verified by SHA-512, and go into a copy of visdom's static
folder in the cache; visdom's own folder is never written to.
"""

import logging
import re
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from animegan.core import npm
from animegan.core.npm import NpmError, Package

logger = logging.getLogger(__name__)

_FONT = "dist/fonts/glyphicons-halflings-regular"
_COMMON = (
    Package(
        "jquery",
        "3.1.1",
        "zuiWRmx65Kd1oFGdWLvAjbsumdOBFvs3r1vuqCyKFF79R7exBHNbiNEJ8LR+xkzgfxqBznMD/4Cv6PHXS6mvEw==",
        {"dist/jquery.min.js": "js/jquery.min.js"},
    ),
    Package(
        "bootstrap",
        "3.3.7",
        "qcFaisBrcBhTFkz1IUnGDYnX6ZWfFzH8zOixUDtHW9Ip+r+7MfMFav2rzy7cIHc7rgIg7xjhWBoo1mS/U26j4g==",
        {
            "dist/js/bootstrap.min.js": "js/bootstrap.min.js",
            "dist/css/bootstrap.min.css": "css/bootstrap.min.css",
        }
        | {
            f"{_FONT}.{kind}": f"fonts/glyphicons-halflings-regular.{kind}"
            for kind in ("eot", "svg", "ttf", "woff", "woff2")
        },
    ),
    Package(
        "react",
        "16.2.0",
        "ZmIomM7EE1DvPEnSFAHZn9Vs9zJl5A9H7el0EGTE6ZbW9FKe/14IYAlPbC8iH25YarEQxZL+E8VW7Mi7kfQrDQ==",
        {"umd/react.production.min.js": "js/react-react.min.js"},
    ),
    Package(
        "react-dom",
        "16.2.0",
        "zpGAdwHVn9K0091d+hr+R0qrjoJ84cIBFL2uU60KvWBPfZ7LPSrfqviTxGHWN0sjPZb2hxWzMexwrvJdKePvjg==",
        {"umd/react-dom.production.min.js": "js/react-dom.min.js"},
    ),
    Package(
        "plotly.js-dist-min",
        "2.11.1",
        "F9WWNht0D3yBLZGHbLoJNfvplXvy+GUPSsA/lCbMuYd/UwzSu6Vmyprxlps9Einw1LDS1hYBrJeioK0lE3ieXA==",
        {"plotly.min.js": "js/plotly-plotly.min.js"},
    ),
    Package(
        "layout-bin-packer",
        "1.4.0",
        "dQOZnajbOBGIcS9YlzKrkRtMCGa2oEpyf1zGRn93suphSvPclJe54Sbgtb053GJ21DUk84IBzaeQvjn+Gb10fA==",
        {"dist/layout-bin-packer.js": "js/layout_bin_packer.js"},
    ),
    Package(
        "d3",
        "3.5.17",
        "yFk/2idb8OHPKkbAL8QaOaqENNoMhIaSHZerk3oQsECwkObkCpJyjYwCe+OHiq6UEdhe1m8ZGARRRO3ljFjlKg==",
        {"d3.min.js": "js/d3.v3.min.js"},
    ),
    Package(
        "d3-selection-multi",
        "1.0.1",
        "mEnRkJ6A+Otd1LuRPV3az+s/RLDmIEhuz/MnT21O2nPcWNH7wZotdIlRjMA4Wpr+n7AESQ5fD8v1J3nL2Mnw9g==",
        {"build/d3-selection-multi.js": "js/d3-selection-multi.v1.js"},
    ),
    Package(
        "save-svg-as-png",
        "1.4.17",
        "7QDaqJsVhdFPwviCxkgHiGm9omeaMBe1VKbHySWU6oFB2LtnGCcYS13eVoslUgq6VZC6Tjq/HddBd1K6p2PGpA==",
        {"lib/saveSvgAsPng.js": "js/saveSvgAsPng.js"},
    ),
)
_MATHJAX = "js/mathjax/2.7.5"
_FOR_0_2 = (
    Package(
        "react-resizable",
        "1.4.6",
        "4zLORO51u0/mlDsrVCAA4p266d+3mb2ZMNdiWOotAh/PdnfrRzZhgePmKE08PSQatXVIfMjmyD+Sapay8tmxdQ==",
        {"css/styles.css": "css/react-resizable-styles.css"},
    ),
    Package(
        "react-grid-layout",
        "0.16.3",
        "ytP92EqUjqcFhGzvdeKrK610dQ04GdFwRCWtD6PoeL5wR3liETcFISO7k8RBqnosV86JtXf/DwIfrL0COLs0gg==",
        {"css/styles.css": "css/react-grid-layout-styles.css"},
    ),
    Package(
        "mathjax",
        "2.7.5",
        "OzsJNitEHAJB3y4IIlPCAvS0yoXwYjlo2Y4kmm9KQzyIBZt2d8yKRalby3uTRNN4fZQiGL2iMXjpdP1u2Rq2DQ==",
        {
            name: f"{_MATHJAX}/{name}"
            for name in (
                "MathJax.js",
                "config/TeX-AMS-MML_HTMLorMML.js",
            )
        },
    ),
)
_FOR_0_3 = (
    Package(
        "react-resizable",
        "3.1.3",
        "liJBNayhX7qA4tBJiBD321FDhJxgGTJ07uzH5zSORXoE8h7PyEZ8mLqmosST7ppf6C4zUsbd2gzDMmBCfFp9Lw==",
        {"css/styles.css": "css/react-resizable-styles.css"},
    ),
    Package(
        "react-grid-layout",
        "2.2.3",
        "OAEJHBxmfuxQfVtZwRzmsokijGlBgzYIJ7MUlLk/VSa43SaGzu15w5D0P2RDrfX5EvP9POMbL6bFrai/huDzbQ==",
        {"css/styles.css": "css/react-grid-layout-styles.css"},
    ),
    Package(
        "mathjax",
        "3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        {"es5/tex-mml-svg.js": "js/mathjax/3.2.2/es5/tex-mml-svg.js"},
    ),
)


def packages_for(version: str) -> tuple[Package, ...]:
    """Return the npm packages for a version of visdom (0.2.x, or 0.3 and later).

    They correspond to the downloads in visdom's `server/build.py`.
    """
    return _COMMON + (_FOR_0_2 if version.startswith("0.2.") else _FOR_0_3)


def lacking(static: Path) -> list[str]:
    """Return the files that the page in a static folder refers to but that are missing."""
    page = (static / "index.html").read_text(encoding="utf-8")
    wanted = re.findall(r"static_url\(\s*[\"']([^\"']+)[\"']\s*\)", page)
    return [file for file in wanted if not file.startswith("..") and not (static / file).is_file()]


def static_folder(
    own: Path,
    version: str,
    cache: Path,
    packages: tuple[Package, ...] | None = None,
) -> Path:
    """Return a static folder with all scripts: visdom's `own` if complete, else one in the cache.

    The latter, `cache/visdom-<version>/static`, is created atomically on first use. Raises
    NpmError if npm is missing or fails, or a checksum does not match.
    """
    if not lacking(own):
        return own
    packages = packages_for(version) if packages is None else packages
    home = cache / f"visdom-{version}"
    static = home / "static"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / "lock"):
            if not _complete(static, packages):
                npm.find()
                logger.info(
                    f"visdom: installing the page's scripts through npm, once, into {static}"
                )
                _install(own, static, packages)
    except OSError as failure:
        raise NpmError(f"{home} cannot be written to ({failure})") from failure
    return static


def _complete(static: Path, packages: tuple[Package, ...]) -> bool:
    targets = [target for package in packages for target in package.files.values()]
    return all((static / target).is_file() for target in ("index.html", *targets))


def _install(own: Path, static: Path, packages: tuple[Package, ...]) -> None:
    for left in static.parent.glob("unfinished-*"):  # left by a killed process
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=static.parent) as name:
        folder = Path(name)
        npm.pack(packages, folder)
        made = folder / "static"
        shutil.copytree(own, made)
        for package in packages:
            for target, content in npm.unpack(package, folder / package.archive):
                (made / target).parent.mkdir(parents=True, exist_ok=True)
                (made / target).write_bytes(content)
        if static.exists():
            shutil.rmtree(static)
        made.rename(static)
