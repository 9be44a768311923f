"""The page: whole, self-contained, with the sheets, the distances and the table."""

import base64
import html
import io
import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animegan.evaluation.measure import Folder, Pictures
from animegan.evaluation.protocol import Evaluation, evaluate
from animegan.evaluation.report import PAIRS, pairs_sheet, write_report
from animegan.evaluation.table import notes, rows
from tests.support.blocks import Blocks, Red, as_batch, face_set, spots


def evaluation(
    name: str = "netg.pth", train_size: int = 16, channels: int = 3, count: int = 80,
    reals: NDArray[np.uint8] | None = None, train: NDArray[np.uint8] | None = None,
    samples: NDArray[np.uint8] | None = None,
) -> Evaluation:  # fmt: skip
    batch = as_batch(spots(count, 0, channels=channels) if samples is None else samples)
    reals = spots(100, 1, channels=channels) if reals is None else reals
    train = spots(50, 2, size=train_size, channels=channels) if train is None else train
    return evaluate(
        Pictures(name, count, lambda start, n: batch[start : start + n]),
        Folder("reals", face_set(reals)), extractor=Blocks(), detector=Red(),
        train=Folder("train", face_set(train)),
    )  # fmt: skip


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    found = evaluation("run<1>/netg.pth")
    write_report(found, tmp_path / "new" / "evaluate.html")
    text = (tmp_path / "new" / "evaluate.html").read_text(encoding="utf-8")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["evaluate.html"]
    assert "run&lt;1&gt;/netg.pth" in text
    assert "run<1>" not in text
    assert "<svg" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    sheets = [
        base64.b64decode(code) for code in re.findall(r"data:image/png;base64,([^\"]+)", text)
    ]
    assert len(sheets) == 3
    with Image.open(io.BytesIO(sheets[0])) as sheet:
        assert sheet.size == (8 * 18 + 2, 8 * 18 + 2)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", text)
    for row in rows(found):
        assert all(html.escape(value) in cells for value in row)
    for note in notes(found):
        assert f"<li>{html.escape(note)}</li>" in text
    assert html.escape(json.dumps(found.record(), indent=1)) in text


def test_a_page_of_a_set_whose_reals_are_all_in_the_training_set(tmp_path: Path) -> None:
    train = spots(100, 1)
    found = evaluation(reals=train[:60], train=train, count=60)
    assert found.copying.copied is None
    write_report(found, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<rect" in text
    assert 'class="limit"' not in text


def test_pairs_show_each_sample_beside_its_nearest() -> None:
    found = evaluation()
    sheet = pairs_sheet(found)
    assert sheet.shape == (3, 6 * (16 + 4) + 4, 4 * (32 + 4) + 4)
    closest = int(np.argmin(found.copying.samples.distances))
    sample = found.samples.at([closest])[0]
    train = found.train.at([int(found.copying.samples.rows[closest])])[0]
    train = train.flip(2) if found.copying.samples.mirrored[closest] else train
    assert (sheet[:, 4:20, 4:20] == sample).all()
    assert (sheet[:, 4:20, 20:36] == train).all()
    assert PAIRS == 24


def test_mirrored_copies_are_shown_beside_the_mirrored_picture() -> None:
    train = spots(50, 2)
    samples = np.concatenate([train[:40, :, ::-1], spots(10, 3)])
    found = evaluation(samples=samples, train=train, count=50)
    sheet = pairs_sheet(found)
    for top in (4, 24, 44):  # the first half: twelve of the copies
        for left in (4, 40, 76, 112):
            sample = sheet[:, top : top + 16, left : left + 16]
            assert (sheet[:, top : top + 16, left + 16 : left + 32] == sample).all()


def test_training_pictures_of_another_size_and_grey_ones(tmp_path: Path) -> None:
    assert pairs_sheet(evaluation(train_size=32)).shape == pairs_sheet(evaluation()).shape
    write_report(evaluation(channels=1), tmp_path / "grey.html")
    assert (tmp_path / "grey.html").stat().st_size > 10_000
