"""The pinned runtime of exported pages (MIT licence): fetched through npm once, or from a file."""

import logging
import tempfile
from pathlib import Path

from filelock import FileLock

from animegan.core import npm
from animegan.core.errors import UsageError, reason
from animegan.core.files import aside
from animegan.core.npm import NpmError, Package
from animegan.data.cache_folder import cache_root

logger = logging.getLogger(__name__)

MODULE, WASM = "ort.mjs", "ort.wasm"
PACKAGE = Package(
    "onnxruntime-web",
    "1.30.0",
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    {"dist/ort.wasm.bundle.min.mjs": MODULE, "dist/ort-wasm-simd-threaded.wasm": WASM},
)


def runtime_files(archive: Path | None = None, package: Package = PACKAGE) -> dict[str, bytes]:
    """Return the runtime's files, MODULE and WASM, from npm's archive, which is checked.

    Without `archive`, npm downloads it into the cache, once. Raises UsageError if it cannot be had.
    """
    try:
        if archive is not None:
            return dict(npm.unpack(package, archive))
        kept = cache_root() / package.archive
        kept.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(kept.with_name(f"{kept.name}.lock")):
            if not kept.is_file():
                logger.info(f"downloading {package.name} {package.version} through npm, once")
                with tempfile.TemporaryDirectory() as folder, aside(kept) as half:
                    npm.pack((package,), Path(folder))
                    half.write_bytes((Path(folder) / package.archive).read_bytes())
            return dict(npm.unpack(package, kept))
    except (NpmError, OSError) as error:
        why = str(error) if isinstance(error, NpmError) else reason(error)
        if archive is not None:
            raise UsageError(
                f"--ort {archive}: {why}; give the file that `npm pack {package.name}@"
                f"{package.version}` writes"
            ) from None
        raise UsageError(
            f"--to web: {why}; on a machine that has npm, run `npm pack {package.name}@"
            f"{package.version}` and give the file with --ort"
        ) from None
