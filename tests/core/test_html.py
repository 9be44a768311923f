"""Pieces of the report: escaped, self-contained, well-formed for empty and odd data."""

import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animegan.core import html

HOSTILE = "<a href='x'>&\udcff\x1b[2J\u202eexe\u2066\x9b"


def test_text_is_escaped_and_what_hides_or_turns_it_is_shown() -> None:
    assert html.text("<a href='x'>&") == "&lt;a href=&#x27;x&#x27;&gt;&amp;"
    shown = html.text(HOSTILE)
    assert shown.isascii()
    assert shown.isprintable()
    for character in ("udcff", "u001b", "u202e", "u2066", "u009b"):
        assert "\\" + character in shown


@pytest.mark.parametrize(
    "part",
    [
        html.paragraph(HOSTILE), html.paragraph(HOSTILE, "bad"), html.heading(HOSTILE),
        html.bullets([HOSTILE]), html.code(HOSTILE), html.code(HOSTILE, block=True),
        html.table([HOSTILE], [[HOSTILE]]), html.image(Image.new("L", (2, 2)), HOSTILE),
        html.contact_sheet([Image.new("L", (2, 2))], HOSTILE),
        html.histogram(HOSTILE, {HOSTILE: np.arange(9.0), "b": np.arange(9.0)}, 3.0),
    ],
)  # fmt: skip
def test_every_part_escapes_what_it_shows(part: str) -> None:
    assert html.text(HOSTILE) in part
    assert "<a " not in part
    assert "\x1b" not in part
    assert "\u202e" not in part


def test_columns_of_numbers_are_set_right() -> None:
    table = html.table(["n", "kid", "name"], [(1234567, "4.2 ± 0.3", "a<b"), (1, "nan", "3")])
    assert "<td class=n>1,234,567</td><td class=n>4.2 ± 0.3</td><td>a&lt;b</td>" in table
    assert table.count("<th class=n>") == 2
    assert "<thead>" not in html.table([], [("a", "b")])
    assert "<th>a</th>" in html.table(["a"], [])


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], list(range(100)), [np.nan, 1.0, np.inf]])
def test_histogram_draws_bars_and_the_limit(values: list[float]) -> None:
    drawn = html.histogram("size", {"pictures": np.array(values)}, 5.0)
    assert drawn.count("<rect") >= 1
    assert drawn.count('class="limit"') == 1
    assert "nan" not in drawn


def test_histogram_counts_every_value_of_each_series() -> None:
    drawn = html.histogram("x", {"a": np.arange(1000.0), "b": np.arange(500.0)}, bins=10)
    for name, total in (("a", 1000), ("b", 500)):
        counts = re.findall(rf"<title>([\d,]+) {name}</title>", drawn)
        assert 5 <= len(counts) <= 10
        assert sum(int(count.replace(",", "")) for count in counts) == total


def test_nothing_gives_nothing() -> None:
    assert html.histogram("x", {"a": np.zeros(0), "b": np.full(3, np.nan)}) == ""
    assert html.contact_sheet([], "x") == ""


def test_page_is_one_file_that_may_load_and_run_nothing(tmp_path: Path) -> None:
    sheet = html.contact_sheet([Image.new("RGB", (30, 90), "red"), Image.new("L", (5, 5))], "two")
    html.write_page(tmp_path / "sub" / "r.html", "T <1>", [sheet, ""])
    page = (tmp_path / "sub" / "r.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<title>T &lt;1&gt;</title>" in page
    assert 'src="data:image/jpeg;base64,' in page
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["r.html"]
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules
    [style] = re.findall(r"<style>(.*)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert "style=" not in page  # the policy would not apply it
