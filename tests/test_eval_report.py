"""The page: whole, self-contained, with the sheets, the distances and the table."""

import base64
import html
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from animegan.eval_report import PAIRS, pairs_sheet, write_report
from animegan.evaluate import Evaluation, evaluate, table
from animegan.measure import Pictures
from tests.blocks import Blocks, Red, as_batch, face_set, spots


def evaluation(name: str = "netg.pth", train_size: int = 16, channels: int = 3) -> Evaluation:
    batch = as_batch(spots(80, 0, channels=channels))
    return evaluate(
        Pictures(name, 80, lambda start, n: batch[start : start + n]),
        face_set(spots(100, 1, channels=channels)), against="reals", extractor=Blocks(),
        detector=Red(), train=face_set(spots(50, 2, size=train_size, channels=channels)),
        train_from="train", say=lambda line: None,
    )  # fmt: skip


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    found = evaluation("run<1>/netg.pth")
    write_report(found, tmp_path / "new" / "evaluate.html")
    text = (tmp_path / "new" / "evaluate.html").read_text(encoding="utf-8")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["evaluate.html"]
    assert "run&lt;1&gt;/netg.pth" in text
    assert "run<1>" not in text
    assert f"{found.numbers.fd:.2f}" in text
    assert "<svg" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    sheets = [
        base64.b64decode(code) for code in re.findall(r"data:image/png;base64,([^\"]+)", text)
    ]
    assert len(sheets) == 3
    with Image.open(io.BytesIO(sheets[0])) as sheet:
        assert sheet.size == (8 * 18 + 2, 8 * 18 + 2)
    assert html.escape(table(found)) in text


def test_pairs_show_each_sample_beside_its_nearest() -> None:
    found = evaluation()
    sheet = pairs_sheet(found)
    assert sheet.shape == (3, 6 * (16 + 4) + 4, 4 * (32 + 4) + 4)
    closest = int(np.argmin(found.copying.samples.distances))
    sample = found.samples.at([closest])[0]
    train = found.train.at([int(found.copying.samples.rows[closest])])[0]
    assert (sheet[:, 4:20, 4:20] == sample).all()
    assert (sheet[:, 4:20, 20:36] == train).all()
    assert PAIRS == 24


def test_training_pictures_of_another_size_and_grey_ones(tmp_path: Path) -> None:
    assert pairs_sheet(evaluation(train_size=32)).shape == pairs_sheet(evaluation()).shape
    write_report(evaluation(channels=1), tmp_path / "grey.html")
    assert (tmp_path / "grey.html").stat().st_size > 10_000
