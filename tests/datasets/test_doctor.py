"""doctor: what it finds, what hurts, that the folder stays as it is, the cleaned copy."""

import errno
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from animegan.core import html
from animegan.core.errors import Ended, UsageError
from animegan.data.folder import find_pictures
from animegan.datasets.doctor import command as module
from animegan.datasets.doctor.command import Options, doctor
from animegan.datasets.doctor.diagnosis import Diagnosis
from animegan.datasets.filling import Filling
from tests.support.piles import art, save_all
from tests.support.said import heard


def examine(folder: Path, **changes: Any) -> Diagnosis:
    return doctor(Options(str(folder), num_workers=0, **changes))


def clean(count: int = 120, first: int = 0) -> dict[str, Image.Image]:
    return {f"faces/{n:03}.png": art(n, 48) for n in range(first, first + count)}


def reasons(diagnosis: Diagnosis) -> dict[str, int]:
    found: dict[str, int] = {}
    for why in diagnosis.why:
        if why is not None:
            found[why] = found.get(why, 0) + 1
    return found


def test_a_clean_set_is_fit(tmp_path: Path) -> None:
    diagnosis = examine(save_all(tmp_path / "set", clean()))
    assert not diagnosis.hurts
    assert reasons(diagnosis) == {}
    text = "\n".join(diagnosis.lines())
    assert "pictures: 120" in text
    assert "RGB (120)" in text
    assert "48x48 (120)" in text
    assert "--image-size 48" in text
    assert "--channels 3" in text


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def broken_files(folder: Path) -> Path:
    """A folder with every kind of file that is no whole picture, and one that is whole."""
    folder.mkdir(parents=True)
    art(1, 64).save(folder / "good.png")
    art(2, 64).save(folder / "whole.jpg")
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("not a picture at all")
    (folder / "page.png").write_text("<html>404</html>")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:300])
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:700])
    damaged = bytearray((folder / "good.png").read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (folder / "flipped.png").write_bytes(damaged)
    (folder / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
    )
    Image.fromarray(np.zeros((40, 40), np.float32)).save(folder / "float.tiff")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "archive.png").write_bytes(b"PK\3\4")
    (folder / "whole.jpg").unlink()
    return folder


def test_every_kind_of_broken_file_is_named(tmp_path: Path) -> None:
    folder = broken_files(tmp_path / "set")
    diagnosis = examine(folder, report=str(tmp_path / "r.html"))
    assert diagnosis.hurts
    assert reasons(diagnosis) == {"broken": 10}
    assert diagnosis.why.count(None) == 1
    page = (tmp_path / "r.html").read_text()
    for path in folder.iterdir():
        assert (path.name in page) == (path.name != "good.png"), path.name
    assert "3600000000 pixels" in page  # the bomb was not unpacked


def test_duplicates_within_mirrored_ones_too(tmp_path: Path) -> None:
    more = {f"copy{n}.png": art(n, 48) for n in range(4)}
    more |= {f"mirror{n}.png": ImageOps.mirror(art(n, 48)) for n in range(10, 14)}
    folder = save_all(tmp_path / "set", clean() | {f"faces/{k}": v for k, v in more.items()})
    diagnosis = examine(folder)
    assert reasons(diagnosis) == {"exact duplicate": 4, "near duplicate": 4}
    assert diagnosis.hurts  # over 5 %
    assert reasons(examine(folder, near=0)) == {"exact duplicate": 4}
    assert not examine(folder, near=0).hurts


def test_leaks_into_the_other_set(tmp_path: Path) -> None:
    here = save_all(tmp_path / "a", clean())
    other = {"x.png": art(3, 48), "y.png": ImageOps.mirror(art(5, 48)), "z.png": art(900, 48)}
    diagnosis = examine(here, against=str(save_all(tmp_path / "b", other)))
    assert reasons(diagnosis) == {"in the other set": 2}
    assert np.flatnonzero(diagnosis.leak >= 0).tolist() == [3, 5]
    assert diagnosis.hurts
    apart = save_all(tmp_path / "c", {"z.png": art(900, 48)})
    assert not examine(here, against=str(apart)).hurts


def test_blurred_upscaled_uniform_and_grey_ones(tmp_path: Path) -> None:
    odd = {f"faces/b{n}.png": art(200 + n).filter(ImageFilter.GaussianBlur(3)) for n in range(20)}
    odd["faces/u.png"] = art(300, 24).resize((48, 48), Image.Resampling.NEAREST)
    odd["faces/g.png"] = art(301, 48).convert("L")
    odd |= {f"faces/n{n}.png": Image.new("RGB", (48, 48), (9 * n, 80, 200)) for n in range(5)}
    diagnosis = examine(save_all(tmp_path / "set", clean() | odd))
    assert reasons(diagnosis) == {"blurred": 20, "upscaled": 1, "grey": 1, "uniform": 5}
    hurting = [finding.words.split(":")[0] for finding in diagnosis.findings if finding.hurts]
    assert hurting == ["uniform", "blurred"]


def test_a_grey_set_is_no_fault(tmp_path: Path) -> None:
    grey = {name: picture.convert("L") for name, picture in clean().items()}
    diagnosis = examine(save_all(tmp_path / "set", grey))
    assert not diagnosis.hurts
    assert any("--channels 1" in line for line in diagnosis.advice)


def test_sizes_a_little_under_a_usual_one_are_padded(tmp_path: Path) -> None:
    digits = {name: picture.resize((28, 28)) for name, picture in clean().items()}
    advice = examine(save_all(tmp_path / "set", digits)).advice[0]
    assert "--image-size 32 (with --resize pad" in advice


def test_size_is_judged_only_if_asked_for(tmp_path: Path) -> None:
    folder = save_all(tmp_path / "set", clean())
    diagnosis = examine(folder, image_size=64)
    assert reasons(diagnosis) == {"too small": 120}
    assert diagnosis.hurts


def test_a_layout_that_train_refuses_hurts(tmp_path: Path) -> None:
    folder = save_all(tmp_path / "set", clean() | {"loose.png": art(500, 48)})
    diagnosis = examine(folder)
    assert diagnosis.hurts
    (words,) = [finding.words for finding in diagnosis.findings if "rejects" in finding.words]
    assert words.startswith(f"train rejects this folder: DIR {folder}: ")


def test_few_pictures_hurt(tmp_path: Path) -> None:
    assert examine(save_all(tmp_path / "set", clean(20))).hurts


def test_what_is_unlike_the_rest_comes_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    alike = {
        f"faces/{n:03}.png": Image.fromarray(
            np.clip(rng.normal(150, 25, (48, 48, 3)), 0, 255).astype(np.uint8)
        )
        for n in range(150)
    }
    half = np.zeros((48, 48, 3), np.uint8)
    half[:, 24:] = (250, 40, 10)
    odd = Image.fromarray(np.clip(half + rng.integers(0, 30, half.shape), 0, 255).astype(np.uint8))
    diagnosis = examine(save_all(tmp_path / "set", alike | {"faces/odd.png": odd}), near=0)
    assert diagnosis.strange[0] == 150
    assert any("look unlike" in finding.words for finding in diagnosis.findings)


def test_the_folder_stays_as_it_is_and_fix_copies_the_good(tmp_path: Path) -> None:
    folder = save_all(tmp_path / "set", clean(110) | {"b/copy.png": art(1, 48)})
    (folder / "b" / "bad.png").write_bytes(b"x")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    diagnosis = examine(folder, fix=str(tmp_path / "fixed"))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    # b/copy.png comes before faces/001.png, and stays in its place
    names = {
        p.relative_to(tmp_path / "fixed").as_posix() for p in (tmp_path / "fixed").rglob("*.*")
    }
    assert names == {f"faces/{n:03}.png" for n in range(110) if n != 1} | {"b/copy.png"}
    assert (tmp_path / "fixed/b/copy.png").read_bytes() == (folder / "b/copy.png").read_bytes()
    assert reasons(diagnosis) == {"broken": 1, "exact duplicate": 1}
    assert not examine(tmp_path / "fixed").hurts
    assert len(find_pictures(tmp_path / "fixed").names) == 110


def test_processes_say_the_same(tmp_path: Path) -> None:
    folder = save_all(tmp_path / "set", clean(12) | {"faces/x.png": art(1, 48)})
    spread = doctor(Options(str(folder), num_workers=2))
    assert spread.lines() == examine(folder).lines()


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"^DIR .*set: holds no pictures; name a folder"):
        examine(tmp_path / "set")


def test_another_set_without_pictures_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_all(tmp_path / "set", clean(2))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no picture")
    monkeypatch.setattr(module, "_survey", None)  # would raise
    with pytest.raises(UsageError, match=r"^--against .*other: no pictures in it; give a folder"):
        examine(folder, against=str(tmp_path / "other"))


def test_no_batch_is_advised_for_one_picture(tmp_path: Path) -> None:
    folder = save_all(tmp_path / "set", clean(2))
    assert any("--batch-size 2:" in line for line in examine(folder).advice)
    (folder / "faces" / "000.png").unlink()
    assert not any("--batch-size" in line for line in examine(folder).advice)


def test_wrong_options_are_all_told(tmp_path: Path) -> None:
    folder = save_all(tmp_path / "set", clean(2))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as caught:
        examine(tmp_path / "none", against=str(tmp_path / "file"), background="x")
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "DIR", "--against", "--background",
    ]  # fmt: skip
    for fix in (folder, folder / "in", tmp_path):
        with pytest.raises(UsageError, match="--fix"):
            examine(folder, fix=str(fix))


def test_a_report_that_is_a_folder_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_all(tmp_path / "set", clean(2))
    monkeypatch.setattr(module, "_survey", None)  # would raise
    with pytest.raises(UsageError, match=r"^--report .*: is a folder; give a file name$"):
        examine(folder, report=str(tmp_path))


def test_a_page_that_cannot_be_written_does_not_hide_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, page = save_all(tmp_path / "set", clean(2)), tmp_path / "page.html"

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / ".page.html.1.tmp"))

    monkeypatch.setattr(html, "write_page", full)
    said: list[str] = heard()
    shown: list[Diagnosis] = []
    with pytest.raises(Ended) as caught:
        doctor(Options(str(folder), report=str(page), num_workers=0), shown.append)
    assert caught.value.code == 1
    assert len(shown) == 1
    assert said == [
        f"--report {page}: cannot be written to (No space left on device); use another file"
    ]


def test_an_interrupted_fix_is_gone_on_with_by_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fixed = save_all(tmp_path / "set", clean(12)), tmp_path / "fixed"
    write, shown = Filling.write, []

    def full_disk(filling: Filling, name: str, content: bytes) -> Path:
        if filling.count == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(filling, name, content)

    monkeypatch.setattr(Filling, "write", full_disk)
    with pytest.raises(OSError, match="No space"):
        doctor(Options(str(folder), fix=str(fixed), near=0, num_workers=0), shown.append)
    assert len(shown) == 1  # the minutes of examining are not lost
    monkeypatch.setattr(Filling, "write", write)
    first = sorted(fixed.rglob("*.png"))[0]
    (first.parent / f".{first.name}.7.tmp").touch()  # of a killed process
    with pytest.raises(UsageError) as caught:
        examine(folder, fix=str(fixed), near=9)
    assert caught.value.flags == ("--fix",)
    examine(folder, fix=str(fixed), near=0)
    names = [path.relative_to(fixed).as_posix() for path in sorted(fixed.rglob("*.*"))]
    assert names == [f"faces/{n:03}.png" for n in range(12)]
