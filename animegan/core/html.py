"""Build reports as single HTML files without scripts: tables, histograms, contact sheets."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animegan.core.files import write_text
from animegan.core.printable import printable

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5c6470; --line: #d5d9e0;
  --paper: #fbfbfd; --bar: #5b7db8; --limit: #c2410c; --good: #15803d; --bad: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --soft: #9aa3b0; --line: #353b45;
  --paper: #16181d; --bar: #7f9fd6; --limit: #fb923c; --good: #4ade80; --bad: #f87171; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p, li { color: var(--soft); max-width: 48rem; margin: .3rem 0 .6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .22rem 1.1rem .22rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--soft); } td.n, th.n { text-align: right; white-space: nowrap; }
img { max-width: 100%; display: block; border-radius: 4px; image-rendering: auto; }
code { font-size: .92em; } .good { color: var(--good); } .bad { color: var(--bad); }
.row { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } figure { margin: 0; }
figcaption { font-size: .85rem; color: var(--soft); }
svg text { font-size: 11px; fill: var(--soft); }
"""


def text(value: object) -> str:
    """Escape a value for HTML, and what would hide or reorder the text around it."""
    return html.escape(printable(value))


def paragraph(words: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{text(words)}</p>"


def heading(words: str, level: int = 2) -> str:
    """Return a heading of plain text."""
    return f"<h{level}>{text(words)}</h{level}>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table, with numbers right-aligned."""

    def cell(value: object, tag: str) -> str:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        shown = f"{value:,}" if isinstance(value, int) else text(value)
        return f"<{tag}{' class=n' if number else ''}>{shown}</{tag}>"

    lines = [f"<tr>{''.join(cell(value, 'td') for value in row)}</tr>" for row in rows]
    top = "".join(f"<th>{text(name)}</th>" for name in head)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def histogram(
    values: NDArray[np.floating], title: str, limit: float | None = None, bins: int = 40
) -> str:
    """Return a histogram as SVG, with the limit as a line.

    Values beyond the 0.5th and 99.5th percentiles are counted in the outermost bins.
    """
    if not len(values):
        return ""
    low, high = (float(v) for v in np.percentile(values, [0.5, 99.5]))
    if limit is not None:
        low, high = min(low, limit), max(high, limit)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    wide, tall = 380, 110
    step = wide / bins
    bars = "".join(
        f'<rect x="{i * step + 0.5:.1f}" y="{tall - h:.1f}" width="{step - 1:.1f}" '
        f'height="{h:.1f}" fill="var(--bar)"><title>{n:,}</title></rect>'
        for i, n in enumerate(counts.tolist())
        if (h := max(n / max(counts.max(), 1) * (tall - 8), 1.0 if n else 0.0)) > 0
    )
    mark = ""
    if limit is not None:
        x = (limit - low) / (high - low) * wide
        mark = (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{tall}" stroke="var(--limit)" '
            f'stroke-width="2"/>'
        )
    note = f"{title}; limit {limit:g}" if limit is not None else title
    return (
        f'<figure><svg viewBox="0 0 {wide} {tall + 16}" width="{wide}" role="img" '
        f'aria-label="{text(note)}">{bars}{mark}'
        f'<line x1="0" x2="{wide}" y1="{tall}" y2="{tall}" stroke="var(--line)"/>'
        f'<text x="0" y="{tall + 13}">{low:.4g}</text>'
        f'<text x="{wide}" y="{tall + 13}" text-anchor="end">{high:.4g}</text></svg>'
        f"<figcaption>{text(note)}</figcaption></figure>"
    )


def contact_sheet(
    pictures: Sequence[Image.Image], alt: str, columns: int = 12, tile: int = 76
) -> str:
    """Return pictures in rows, each fitted into `tile` px, as one embedded JPEG."""
    if not pictures:
        return ""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (tile + 4) - 4, rows * (tile + 4) - 4), (128, 128, 128))
    for index, picture in enumerate(pictures):
        fitted = picture.convert("RGB")
        scale = tile / max(fitted.size)
        size = (max(1, round(fitted.width * scale)), max(1, round(fitted.height * scale)))
        fitted = fitted.resize(size, Image.Resampling.LANCZOS)
        x, y = (index % columns) * (tile + 4), (index // columns) * (tile + 4)
        sheet.paste(fitted, (x + (tile - size[0]) // 2, y + (tile - size[1]) // 2))
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=82)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img alt="{text(alt)}" src="data:image/jpeg;base64,{data}">'


def write_page(path: Path, title: str, parts: Iterable[str]) -> None:
    """Write a page atomically."""
    body = "\n".join(part for part in parts if part)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{text(title)}</h1>\n{body}\n</body></html>\n"
    )
    write_text(path, page)
