"""Pieces of the report: escaped, self-contained, well-formed for empty and odd data."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animegan.core import html


def test_text_is_escaped_even_if_it_is_no_utf8() -> None:
    assert html.text("<a href='x'>&\udcff") == "&lt;a href=&#x27;x&#x27;&gt;&amp;\\udcff"


def test_table_sets_numbers_right_and_escapes() -> None:
    table = html.table(["<h>"], [("a<b", 1234567)])
    assert "<td class=n>1,234,567</td>" in table
    assert "a&lt;b" in table
    assert "&lt;h&gt;" in table


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], list(range(100))])
def test_histogram_draws_bars_and_the_limit(values: list[float]) -> None:
    drawn = html.histogram(np.array(values), "size", 5.0)
    assert drawn.count("<rect") >= 1
    assert "size; limit 5" in drawn
    assert "nan" not in drawn


def test_histogram_counts_every_value() -> None:
    drawn = html.histogram(np.arange(1000.0), "x", bins=10)
    counts = [int(n.replace(",", "")) for n in re.findall(r"<title>([\d,]+)</title>", drawn)]
    assert len(counts) == 10
    assert sum(counts) == 1000


def test_nothing_gives_nothing() -> None:
    assert html.histogram(np.zeros(0), "x") == ""
    assert html.contact_sheet([], "x") == ""


def test_page_is_one_file(tmp_path: Path) -> None:
    sheet = html.contact_sheet([Image.new("RGB", (30, 90), "red"), Image.new("L", (5, 5))], "two")
    html.write_page(tmp_path / "sub" / "r.html", "T <1>", [sheet, ""])
    page = (tmp_path / "sub" / "r.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<title>T &lt;1&gt;</title>" in page
    assert 'src="data:image/jpeg;base64,' in page
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["r.html"]
