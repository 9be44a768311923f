"""Installing the page's scripts: pinned, checked, once; with a stand-in for npm, offline."""

import base64
import hashlib
import io
import re
import sys
import tarfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from animegan.core.npm import NpmError, Package
from animegan.monitor.visdom_scripts import (
    lacking,
    packages_for,
    static_folder,
)
from tests.support.said import heard

PAGE = """<link href={{ static_url("css/style.css") }}> <script src={{static_url('js/a.js')}}>
<script src={{ static_url("js/b.js") }}></script> <link href={{ static_url("../user/style.css") }}>
"""


def pack(path: Path, files: dict[str, str]) -> str:
    """Write an archive as npm's are; return its hash as the registry gives it."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


class Scene:
    """visdom's own static folder, a registry of two packages, and an npm that reads it."""

    def __init__(self, root: Path) -> None:
        self.own, self.cache, self.registry = root / "own", root / "cache", root / "registry"
        self.bin, self.calls = root / "bin", root / "calls"
        for folder in (self.own / "css", self.own / "js", self.registry, self.bin):
            folder.mkdir(parents=True)
        (self.own / "index.html").write_text(PAGE)
        (self.own / "css/style.css").write_text("own style")
        self.packages = tuple(
            Package(name, "1.0.0", self._publish(name), {f"dist/{name}.min.js": f"js/{name}.js"})
            for name in ("a", "b")
        )
        self.said: list[str] = heard()

    def _publish(self, name: str) -> str:
        files = {"package.json": "{}", f"dist/{name}.min.js": f"script {name}"}
        return pack(self.registry / f"{name}-1.0.0.tgz", files)

    def npm(self, body: str = "") -> None:
        """Put an npm on the PATH: it notes its arguments, then copies the archives, or `body`."""
        copy = (
            "for spec in sys.argv[6:]:\n"
            f"    shutil.copy({str(self.registry)!r} + '/' + spec.replace('@', '-') + '.tgz',"
            " sys.argv[5])\n"
        )
        (self.bin / "npm").write_text(
            f"#!{sys.executable}\nimport shutil, sys\n"
            f"open({str(self.calls)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
            f"{body or copy}"
        )
        (self.bin / "npm").chmod(0o755)

    def install(self) -> Path:
        return static_folder(self.own, "9.9", self.cache, self.packages)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene(tmp_path)
    monkeypatch.setenv("PATH", str(scene.bin))
    return scene


def test_scripts_are_installed_once_beside_a_copy_of_what_visdom_has(scene: Scene) -> None:
    scene.npm()
    static = scene.install()
    assert static == scene.cache / "visdom-9.9" / "static"
    assert (static / "css/style.css").read_text() == "own style"
    assert (static / "js/a.js").read_text() == "script a"
    assert (static / "js/b.js").read_text() == "script b"
    assert lacking(static) == []
    assert lacking(scene.own) == ["js/a.js", "js/b.js"]  # visdom's own folder is as it was
    assert len(scene.said) == 1

    assert scene.install() == static
    (call,) = scene.calls.read_text().splitlines()
    assert call.startswith("pack --ignore-scripts --silent --pack-destination ")
    assert call.endswith(" a@1.0.0 b@1.0.0")
    assert sorted(path.name for path in static.parent.iterdir()) == ["lock", "static"]


def test_a_file_missing_from_the_cache_is_installed_again(scene: Scene) -> None:
    scene.npm()
    static = scene.install()
    (static / "js/b.js").unlink()
    assert lacking(scene.install()) == []


def test_what_a_killed_process_left_is_cleared_away(scene: Scene) -> None:
    scene.npm()
    (scene.cache / "visdom-9.9" / "unfinished-1" / "static").mkdir(parents=True)
    static = scene.install()
    assert sorted(path.name for path in static.parent.iterdir()) == ["lock", "static"]


def test_scripts_that_visdom_has_already_are_used(scene: Scene) -> None:
    (scene.own / "js/a.js").write_text("a")
    (scene.own / "js/b.js").write_text("b")
    assert scene.install() == scene.own
    assert not scene.cache.exists()
    assert scene.said == []


def test_a_package_with_another_content_is_refused(scene: Scene) -> None:
    scene.npm()
    pack(scene.registry / "b-1.0.0.tgz", {"dist/b.min.js": "evil()"})
    with pytest.raises(NpmError, match=r"b-1\.0\.0\.tgz: checksum mismatch"):
        scene.install()
    assert [path.name for path in (scene.cache / "visdom-9.9").iterdir()] == ["lock"]


def test_a_file_that_a_package_lacks_is_told_of(scene: Scene) -> None:
    scene.npm()
    first, second = scene.packages
    scene.packages = (first, replace(second, files={"gone.js": "js/b.js"}))
    with pytest.raises(NpmError, match=r"b-1\.0\.0\.tgz: no file gone\.js"):
        scene.install()


def test_without_npm(scene: Scene) -> None:
    with pytest.raises(NpmError, match="npm is not installed"):
        scene.install()


def test_an_npm_that_fails_is_quoted(scene: Scene) -> None:
    scene.npm("sys.exit('npm error network request failed\\nnpm error more')")
    with pytest.raises(NpmError, match=r"\(npm error network request failed\)"):
        scene.install()
    scene.npm("pass")
    with pytest.raises(NpmError, match=r"npm did not write a-1\.0\.0\.tgz"):
        scene.install()


def test_a_cache_that_cannot_be_written_is_told_of(scene: Scene) -> None:
    scene.npm()
    scene.cache.write_text("a file in its place")
    with pytest.raises(NpmError, match="cannot be written"):
        scene.install()


def test_every_script_of_the_installed_visdom_is_pinned() -> None:
    version = metadata.version("visdom")
    distribution = metadata.distribution("visdom")
    own = Path(str(distribution.locate_file("visdom/static")))
    targets = {target for package in packages_for(version) for target in package.files.values()}
    assert set(lacking(own)) <= targets


@pytest.mark.parametrize("version", ["0.2.4", "0.3.0"])
def test_pins_are_complete(version: str) -> None:
    for package in packages_for(version):
        assert re.fullmatch(r"\d+\.\d+\.\d+", package.version)
        assert len(base64.b64decode(package.sha512, validate=True)) == 64
