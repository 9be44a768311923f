import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from animegan.core.errors import UsageError
from animegan.data import cache, decode_many
from animegan.data.cache_folder import cache_root, cached, clear
from animegan.data.decode import decode, fit
from animegan.data.face_set import FaceSet, open_set
from tests.support.said import heard

Make = Callable[..., list[Path]]


@pytest.fixture
def faces(tmp_path: Path, make_faces: Make) -> Path:
    make_faces(tmp_path / "faces", 8, 32)
    return tmp_path / "faces"


def opened(folder: Path, **how: Any) -> tuple[FaceSet, list[str]]:
    said = heard()
    return open_set(folder, **({"image_size": 16} | how)), said


def decoded(said: list[str]) -> bool:
    return any(line.startswith("decoding") for line in said)


def stores(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*/*") if path.is_dir())


def later(file: Path, seconds: int = 10) -> None:
    """Move the file's time: what was written a moment ago may bear the same one."""
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + seconds * 10**9))


# --- what comes out


def test_rows_are_the_decoded_pictures_in_order(faces: Path) -> None:
    found, _ = opened(faces)
    assert found.files == tuple(f"{index:03}.png" for index in range(8))
    expected = [fit(decode(faces / name), 16) for name in found.files]
    assert np.array_equal(found.images, np.stack(expected))
    assert found.images.dtype == np.uint8
    assert found.labels.dtype == np.int64
    assert (found.labels.tolist(), found.classes, found.broken) == ([0] * 8, ("faces",), ())
    assert len(found) == 8


def test_classes(tmp_path: Path, make_faces: Make) -> None:
    make_faces(tmp_path / "set/red", 2)
    make_faces(tmp_path / "set/blue", 3)
    found, _ = opened(tmp_path / "set")
    assert found.classes == ("blue", "red")
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    assert found.files[3] == "red/000.png"


def test_images_are_mapped_and_read_only(faces: Path) -> None:
    images = opened(faces)[0].images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("num_workers", [0, 1, 5])
def test_order_does_not_depend_on_workers(
    tmp_path: Path, make_faces: Make, num_workers: int
) -> None:
    make_faces(tmp_path / "many", 100, 8)
    found, _ = opened(tmp_path / "many", image_size=8, num_workers=num_workers)
    expected = [np.asarray(Image.open(tmp_path / "many" / name)) for name in found.files]
    assert np.array_equal(found.images, np.stack(expected))


def test_grey_digits_padded_and_native(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    digit = np.random.default_rng(0).integers(1, 256, (28, 28), np.uint8)
    Image.fromarray(digit).save(tmp_path / "7/1.png")
    native, _ = opened(tmp_path, image_size=28, channels=1, resize="native")
    assert np.array_equal(native.images[0, :, :, 0], digit)
    padded, said = opened(tmp_path, image_size=32, channels=1, resize="pad")
    assert padded.images.shape == (1, 32, 32, 1)
    assert np.array_equal(padded.images[0, 2:-2, 2:-2, 0], digit)
    assert not any("enlarged" in line for line in said)


def test_enlarging_is_said(tmp_path: Path, make_faces: Make) -> None:
    make_faces(tmp_path / "set", 3, 10)
    Image.new("RGB", (40, 40)).save(tmp_path / "set/large.png")
    for _ in range(2):
        assert any(
            "3 of 4 pictures are smaller than 16x16" in line for line in opened(tmp_path / "set")[1]
        )


def test_large_jpegs_are_reduced_while_decoded_and_stay_close(tmp_path: Path) -> None:
    patches = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    large = Image.fromarray(patches).resize((128, 128), Image.Resampling.NEAREST)
    large.save(tmp_path / "1.jpg", quality=95)
    row = opened(tmp_path)[0].images[0].astype(int)
    whole = fit(decode(tmp_path / "1.jpg"), 16)
    assert np.abs(row - whole).mean() < 1.5
    assert not np.array_equal(row, whole)


@pytest.mark.parametrize("resize", ["native", "pad"])
def test_jpegs_that_must_not_be_resized_are_not_reduced(tmp_path: Path, resize: str) -> None:
    Image.linear_gradient("L").resize((64, 64)).save(tmp_path / "1.jpg")
    found, _ = opened(tmp_path, image_size=64, channels=1, resize=resize)
    assert np.array_equal(found.images[0, :, :, 0], np.asarray(Image.open(tmp_path / "1.jpg")))


def test_warnings_of_any_thread_are_muted(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def warning(*rest: Any, **how: Any) -> Image.Image:
        warnings.warn("odd palette", stacklevel=1)
        return decode(*rest, **how)

    monkeypatch.setattr(decode_many, "decode", warning)
    assert opened(faces)[0].broken == ()


# --- once, and again when something changed


def test_second_time_decodes_nothing(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, said = opened(faces)
    assert decoded(said)
    monkeypatch.setattr(decode_many, "decode", lambda *_, **__: pytest.fail("decoded again"))
    second, said = opened(faces)
    assert not said
    assert np.array_equal(first.images, second.images)
    assert first.files == second.files


def test_a_whole_cache_opens_while_another_is_made(faces: Path, own_cache: Path) -> None:
    opened(faces)
    (store,) = stores(own_cache)
    with FileLock(store.parent / "lock"):
        open_set(faces, image_size=16)


def test_a_link_to_the_folder_shares_its_cache(faces: Path, tmp_path: Path) -> None:
    opened(faces)
    (tmp_path / "door").symlink_to(faces)
    assert not decoded(opened(tmp_path / "door")[1])


@pytest.mark.parametrize(
    "other", [{"image_size": 8}, {"channels": 1}, {"background": "black"}, {"resize": "native"}]
)
def test_each_recipe_has_its_own(faces: Path, other: dict[str, Any]) -> None:
    opened(faces, image_size=32)
    assert decoded(opened(faces, **({"image_size": 32} | other))[1])
    assert not decoded(opened(faces, **({"image_size": 32} | other))[1])
    assert not decoded(opened(faces, image_size=32)[1])


def added(faces: Path) -> None:
    shutil.copy(faces / "000.png", faces / "new.png")


def removed(faces: Path) -> None:
    (faces / "003.png").unlink()


def renamed(faces: Path) -> None:
    (faces / "003.png").rename(faces / "0030.png")  # the order stays the same


def rewritten(faces: Path) -> None:
    body = bytearray((faces / "003.png").read_bytes())
    later(faces / "003.png")
    when = (faces / "003.png").stat().st_mtime_ns
    (faces / "003.png").write_bytes(bytes(body))
    os.utime(faces / "003.png", ns=(when, when))


def grown(faces: Path) -> None:
    status = (faces / "003.png").stat()
    with open(faces / "003.png", "ab") as file:
        file.write(b"more")
    os.utime(faces / "003.png", ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [added, removed, renamed, rewritten, grown])
def test_a_changed_folder_is_noticed(
    faces: Path, own_cache: Path, change: Callable[[Path], None]
) -> None:
    opened(faces)
    opened(faces, image_size=8)
    assert len(stores(own_cache)) == 2
    change(faces)
    found, said = opened(faces)
    assert decoded(said)
    assert list(found.files) == sorted(file.name for file in faces.iterdir())
    assert len(stores(own_cache)) == 1, "what the folder held before is of no more use"


def test_the_digest_knows_names_and_sizes_alone(faces: Path, tmp_path: Path) -> None:
    digest = opened(faces)[0].digest
    shutil.copytree(faces, tmp_path / "copy", copy_function=shutil.copyfile)  # without times
    assert opened(tmp_path / "copy")[0].digest == digest
    assert opened(faces, image_size=8)[0].digest == digest
    name = tmp_path / "copy" / "003.png"
    found = {digest}
    for change in (
        lambda: name.write_bytes(name.read_bytes() + b"more"),
        lambda: name.rename(name.with_name("other.png")),
        lambda: (tmp_path / "copy" / "004.png").write_bytes(b"none"),
    ):
        change()
        found.add(opened(tmp_path / "copy", max_broken=1)[0].digest)
    assert len(found) == 4


def test_other_folders_keep_their_caches(faces: Path, tmp_path: Path, make_faces: Make) -> None:
    make_faces(tmp_path / "others/faces", 4)
    opened(faces)
    opened(tmp_path / "others/faces")
    removed(faces)
    assert decoded(opened(faces)[1])
    assert not decoded(opened(tmp_path / "others/faces")[1])


def test_other_files_do_not_matter(faces: Path) -> None:
    opened(faces)
    (faces / "notes.txt").write_text("hair")
    assert not decoded(opened(faces)[1])


def test_another_format_is_not_read(
    faces: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(faces)
    monkeypatch.setattr(cache, "FORMAT", cache.FORMAT + 1)
    assert decoded(opened(faces)[1])
    assert len(stores(own_cache)) == 1


@pytest.mark.parametrize("damage", ["short", "long", "no pixels", "no meta", "half a meta"])
def test_a_damaged_cache_is_made_anew(faces: Path, own_cache: Path, damage: str) -> None:
    whole = np.array(opened(faces)[0].images)
    (store,) = stores(own_cache)
    images, meta = store / "images.bin", store / "meta.json"
    if damage == "short":
        os.truncate(images, images.stat().st_size - 1)
    elif damage == "long":
        os.truncate(images, images.stat().st_size + 1)
    elif damage == "no pixels":
        images.unlink()
    elif damage == "no meta":
        meta.unlink()
    else:
        os.truncate(meta, meta.stat().st_size // 2)
    found, said = opened(faces)
    assert decoded(said)
    assert np.array_equal(found.images, whole)
    assert not decoded(opened(faces)[1])


# --- broken pictures


def spoil(faces: Path, *numbers: int) -> None:
    for number in numbers:
        file = faces / f"{number:03}.png"
        file.write_bytes(file.read_bytes()[:60])


def test_broken_pictures_are_named_and_skipped(faces: Path) -> None:
    whole = np.array(opened(faces)[0].images)
    spoil(faces, 2, 5)
    (faces / "008.jpg").symlink_to("gone.jpg")
    for attempt in range(2):
        found, said = opened(faces, max_broken=0.5)
        assert decoded(said) == (attempt == 0)
        assert found.broken == ("002.png", "005.png", "008.jpg")
        assert found.files == ("000.png", "001.png", "003.png", "004.png", "006.png", "007.png")
        assert np.array_equal(found.images, whole[[0, 1, 3, 4, 6, 7]])
        assert len(found.labels) == len(found) == 6
        named = [line for line in said if "skipped broken picture" in line]
        assert len(named) == 3
        assert "002.png: " in named[0]
        assert "No such file" in named[2]


def test_many_broken_pictures_are_counted(tmp_path: Path, make_faces: Make) -> None:
    make_faces(tmp_path / "set", 20)
    spoil(tmp_path / "set", *range(9))
    _, said = opened(tmp_path / "set", max_broken=0.5)
    assert sum("skipped broken picture" in line for line in said) == 5
    assert any("4 more broken pictures, 9 of 20" in line for line in said)


def test_labels_stay_with_their_pictures(tmp_path: Path, make_faces: Make) -> None:
    for name in "ab":
        make_faces(tmp_path / "set" / name, 3)
    spoil(tmp_path / "set/a", 0, 1)
    found, _ = opened(tmp_path / "set", max_broken=0.5)
    assert found.labels.tolist() == [0, 1, 1, 1]


def test_too_many_broken_pictures(faces: Path) -> None:
    spoil(faces, 1, 2)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"--max-broken 0.24: 2 of 8 .* 001.png \("):
            opened(faces, max_broken=0.24)
    found, said = opened(faces, max_broken=0.25)
    assert len(found) == 6
    assert not decoded(said), "what was decoded for the error serves the next try"


def test_no_usable_picture(faces: Path, own_cache: Path) -> None:
    with pytest.raises(UsageError, match=r"none of the 8 pictures .* 32x32 is not 16x16"):
        opened(faces, resize="native", max_broken=1)
    assert not stores(own_cache)


def test_a_picture_that_became_readable_is_tried_again(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(file: Path, *rest: Any, **how: Any) -> Image.Image:
        if file.name == "004.png" and file.stat().st_mode & 0o777 == 0:
            raise decode_many.BrokenPicture("Permission denied")
        return decode(file, *rest, **how)

    monkeypatch.setattr(decode_many, "decode", forbidden)
    (faces / "004.png").chmod(0)
    assert opened(faces, max_broken=1)[0].broken == ("004.png",)
    assert not decoded(opened(faces, max_broken=1)[1])
    (faces / "004.png").chmod(0o644)
    assert opened(faces)[0].broken == ()


def test_wrong_arguments_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_set(tmp_path / "nowhere", background="whyte")
    assert [line.split()[0] for line in caught.value.problems] == ["--background", "--data-path"]
    with pytest.raises(UsageError, match="--background"):
        open_set(tmp_path, background="whyte")


# --- interrupted, crowded, full


def test_interrupted_by_ctrl_c(
    tmp_path: Path, make_faces: Make, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_faces(tmp_path / "set", 200, 4)

    def interrupted(file: Path, *rest: Any, **how: Any) -> Image.Image:
        if file.name == "150.png":
            raise KeyboardInterrupt
        return decode(file, *rest, **how)

    filters = list(warnings.filters)
    with monkeypatch.context() as patch:
        patch.setattr(decode_many, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened(tmp_path / "set", image_size=4)
    assert not stores(own_cache)
    assert warnings.filters == filters
    assert not any(thread.name.startswith("decode") for thread in threading.enumerate())
    found, said = opened(tmp_path / "set", image_size=4)
    assert decoded(said)
    assert len(found) == 200


HELD = """
import logging, os, sys, time
logging.basicConfig(level=logging.INFO, format="%(message)s")
from animegan.data import decode_many
from animegan.data.face_set import open_set
real, end = decode_many.decode, time.monotonic() + 20
def held(*rest, **how):
    while not os.path.exists(sys.argv[2]) and time.monotonic() < end:
        time.sleep(0.02)
    return real(*rest, **how)
decode_many.decode = held
faces = open_set(sys.argv[1], image_size=16, num_workers=1)
print(len(faces), int(faces.images.sum()))
"""


def start(faces: Path, go: Path) -> subprocess.Popen[str]:
    """Another process that opens the folder, but decodes nothing before `go` exists (20 s)."""
    command = [sys.executable, "-c", HELD, str(faces), str(go)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_killed_while_it_decodes(faces: Path, own_cache: Path, tmp_path: Path) -> None:
    process = start(faces, tmp_path / "never")
    wait_for(lambda: any(own_cache.glob("*/*.tmp/images.bin")))
    process.kill()
    process.communicate()
    assert any(own_cache.glob("*/*.tmp"))
    found, said = opened(faces)
    assert decoded(said)
    assert np.array_equal(found.images[7], fit(decode(faces / "007.png"), 16))
    assert not any(own_cache.glob("*/*.tmp"))


def test_killed_before_the_move(faces: Path, own_cache: Path) -> None:
    opened(faces)
    (store,) = stores(own_cache)
    store.rename(store.with_name(f"{store.name}.tmp"))
    assert decoded(opened(faces, image_size=8)[1])
    assert not any(own_cache.glob("*/*.tmp"))


def test_two_at_once_decode_once(faces: Path, own_cache: Path, tmp_path: Path) -> None:
    first = start(faces, tmp_path / "go")
    wait_for(lambda: any(own_cache.glob("*/*.tmp")))
    second = start(faces, tmp_path / "go")
    assert second.stderr is not None
    assert second.stderr.readline().startswith("another process is decoding")
    (tmp_path / "go").touch()
    (out1, err1), (out2, err2) = first.communicate(), second.communicate()
    assert (first.returncode, second.returncode) == (0, 0), err1 + err2
    assert out1 == out2
    assert out1.startswith("8 ")
    assert "decoding 8 pictures" in err1
    assert not err2


def test_a_cache_that_cannot_be_written(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found, said = opened(faces, cache_dir=tmp_path / "file")
    (line,) = said
    assert line.startswith("no cache (")
    assert "in memory, 0 MB" in line
    assert np.array_equal(found.images, opened(faces)[0].images)
    assert not found.images.flags.writeable


def test_broken_pictures_in_memory(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spoil(faces, 0, 4)
    found, _ = opened(faces, cache_dir=tmp_path / "file", max_broken=0.5)
    assert np.array_equal(found.images, opened(faces, max_broken=0.5)[0].images)
    assert found.images.shape == (6, 16, 16, 3)


def test_no_room_on_the_disk(faces: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(own_cache)._replace(free=64_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found, said = opened(faces)
    (line,) = said
    assert "64 MB free" in line
    assert len(found) == 8
    assert not stores(own_cache)


def test_the_disk_fills_up_meanwhile(tmp_path: Path, make_faces: Make, own_cache: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits are a thing of Unix")
    make_faces(tmp_path / "set", 60, 64)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        found, said = opened(tmp_path / "set", image_size=64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in said[-1]
    assert np.array_equal(found.images[59], fit(decode(tmp_path / "set/059.png"), 64))
    assert not stores(own_cache)


@pytest.mark.parametrize("inside", ["", "cache"])
def test_the_cache_never_lies_among_the_pictures(faces: Path, inside: str) -> None:
    before = sorted(faces.rglob("*"))
    found, said = opened(faces, cache_dir=faces / inside)
    assert "is inside the folder of pictures" in said[0]
    assert len(found) == 8
    assert sorted(faces.rglob("*")) == before


# --- around it


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMEGAN_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/a")
    monkeypatch.delenv("ANIMEGAN_CACHE")
    assert cache_root() == Path("/x/animegan")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_root() == Path("/home/me/.cache/animegan")


def test_the_note_beside_the_pixels_says_what_they_are(faces: Path, own_cache: Path) -> None:
    opened(faces)
    (store,) = stores(own_cache)
    meta = json.loads((store / "meta.json").read_text())
    assert meta["data_path"] == str(faces)
    assert (meta["image_size"], meta["resize"]) == (16, "crop")


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_names_that_are_no_text(faces: Path) -> None:
    os.rename(faces / "000.png", os.fsencode(faces) + b"/\xff.png")
    spoil(faces, 1)
    os.rename(faces / "001.png", os.fsencode(faces) + b"/\xfe.png")
    for _ in range(2):
        found, said = opened(faces, max_broken=0.5)
        assert os.fsencode(found.files[-1]) == b"\xff.png"
        assert os.fsencode(found.broken[0]) == b"\xfe.png"
    assert not decoded(said)


def test_torch_is_not_needed_to_open_a_set() -> None:
    code = "import sys, animegan.data.cache; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["images.bin", "meta.json"])
def test_a_flipped_bit_is_noticed_and_the_cache_made_again(
    faces: Path, own_cache: Path, name: str
) -> None:
    whole = np.array(opened(faces)[0].images)
    (store,) = stores(own_cache)
    content = bytearray((store / name).read_bytes())
    content[len(content) // 2] ^= 1
    (store / name).write_bytes(bytes(content))
    again, said = opened(faces)
    assert decoded(said)
    assert np.array_equal(again.images, whole)


def test_the_cache_is_listed_and_cleared(faces: Path, own_cache: Path) -> None:
    opened(faces)
    (own_cache / "mine").mkdir()
    (own_cache / "mine" / "notes.txt").write_text("not ours")
    (entry,) = cached(own_cache)
    assert entry.name == "faces"
    assert entry.bytes > 8 * 16 * 16 * 3
    assert clear(own_cache) == (1, entry.bytes)
    assert cached(own_cache) == []
    assert (own_cache / "mine" / "notes.txt").exists()


def test_without_a_home_the_cache_is_in_the_temporary_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ANIMEGAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache_root().is_relative_to(tempfile.gettempdir())
