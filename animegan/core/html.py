"""Build reports as single HTML files without scripts: tables, histograms, pictures.

Everything from outside (file names, labels, names of runs, options) passes through `text`. Should
that ever fail, the page's Content-Security-Policy still forbids scripts and requests.
"""

import base64
import hashlib
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animegan.core.files import write_text
from animegan.core.printable import printable

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5c6470; --line: #d5d9e0;
  --paper: #fbfbfd; --bar-0: #5b7db8; --bar-1: #d08a3c; --limit: #c2410c; --good: #15803d;
  --bad: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --soft: #9aa3b0; --line: #353b45;
  --paper: #16181d; --bar-0: #7f9fd6; --bar-1: #e0a458; --limit: #fb923c; --good: #4ade80;
  --bad: #f87171; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1.25rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p, li { color: var(--soft); max-width: 48rem; margin: .3rem 0 .6rem; } ul { padding-left: 1.2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .22rem 1.1rem .22rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; }
img, svg { max-width: 100%; height: auto; display: block; } img { border-radius: 4px; }
code, pre { font-size: .88em; } pre { white-space: pre-wrap; color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
.row { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } .row > * { flex: 0 1 auto; min-width: 0; }
figure { margin: 0; max-width: 100%; }
figcaption { font-size: .85rem; color: var(--soft); }
svg text { font-size: 11px; fill: var(--soft); } svg .axis { stroke: var(--line); }
svg .limit { stroke: var(--limit); stroke-width: 2; }
.series-0 { fill: var(--bar-0); color: var(--bar-0); }
.series-1 { fill: var(--bar-1); color: var(--bar-1); }
.over .series-0, .over .series-1 { fill-opacity: .6; }
"""
# This page's own style and pictures within it; no script, no request, no form.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)
_WIDE, _TALL = 380, 110  # of a histogram without its axis, in px


def text(value: object) -> str:
    """Escape a value for HTML, and what would hide or reorder the text around it."""
    return html.escape(printable(value))


def paragraph(words: str, kind: str = "") -> str:
    """Return a paragraph of plain text; `kind` is "", "good" or "bad"."""
    return f'<p class="{kind}"><b>{text(words)}</b></p>' if kind else f"<p>{text(words)}</p>"


def heading(words: str, level: int = 2) -> str:
    """Return a heading of plain text."""
    return f"<h{level}>{text(words)}</h{level}>"


def bullets(lines: Iterable[str]) -> str:
    """Return a list of plain text."""
    return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>"


def code(words: str, block: bool = False) -> str:
    """Return text as it is typed, within a line or as a block."""
    return f"<pre>{text(words)}</pre>" if block else f"<code>{text(words)}</code>"


def row(parts: Iterable[str]) -> str:
    """Return parts side by side, as far as the page is wide enough."""
    return f'<div class="row">{"".join(parts)}</div>'


def section(*parts: str) -> str:
    """Return parts that stay together within a row."""
    return f"<section>{''.join(parts)}</section>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; an empty `head` is left out.

    Columns of nothing but numbers are right-aligned: int (shown with thousands separators), float,
    or texts such as "0.31" and "4.2 ± 0.3".
    """
    body = [list(values) for values in rows]
    right = [all(map(_is_number, column)) for column in zip(*body, strict=True)]
    right = right or [False] * len(head)

    def line(values: Iterable[object], tag: str) -> str:
        cells = "".join(
            f"<{tag}{' class=n' if number else ''}>"
            f"{f'{value:,}' if isinstance(value, int) else text(value)}</{tag}>"
            for value, number in zip(values, right, strict=True)
        )
        return f"<tr>{cells}</tr>"

    top = f"<thead>{line(head, 'th')}</thead>" if head else ""
    lines = "".join(line(values, "td") for values in body)
    return f'<div class="wide"><table>{top}<tbody>{lines}</tbody></table></div>'


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        parts = value.replace(",", "").split(" ± ")
        return len(parts) <= 2 and all(_reads_as_float(part) for part in parts)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reads_as_float(part: str) -> bool:
    try:
        float(part)
    except ValueError:
        return False
    return True


def histogram(
    title: str,
    series: Mapping[str, NDArray[np.floating]],
    limit: float | None = None,
    bins: int = 40,
) -> str:
    """Return the distributions of up to two series of values as SVG, with the limit as a line.

    Heights are shares of each series. Values beyond the 0.5th and 99.5th percentiles are counted in
    the outermost bins; values that are not finite are left out.
    """
    assert len(series) <= 2
    known = {name: values[np.isfinite(values)] for name, values in series.items()}
    known = {name: values for name, values in known.items() if len(values)}
    if not known:
        return ""
    ends = np.array([np.percentile(values, [0.5, 99.5]) for values in known.values()])
    low, high = float(ends.min()), float(ends.max())
    if limit is not None:
        low, high = min(low, limit), max(high, limit)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts = {
        name: np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))[0]
        for name, values in known.items()
    }
    highest = max(float(count.max() / count.sum()) for count in counts.values())
    bars = "".join(
        _bars(name, count, highest, f"series-{list(series).index(name)}")
        for name, count in counts.items()
    )
    mark, note = "", title
    if limit is not None:
        x = (limit - low) / (high - low) * _WIDE
        mark = f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_TALL}"/>'
        note = f"{title}; limit {limit:.4g}"
    legend = "".join(
        f'; <span class="series-{k}">■</span> {text(name)}' for k, name in enumerate(series)
    )
    return (
        f"<figure{' class=over' if len(known) > 1 else ''}>"
        f'<svg viewBox="0 0 {_WIDE} {_TALL + 16}" width="{_WIDE}" role="img" '
        f'aria-label="{text(note)}">{bars}{mark}'
        f'<line class="axis" x1="0" x2="{_WIDE}" y1="{_TALL}" y2="{_TALL}"/>'
        f'<text x="0" y="{_TALL + 13}">{low:.4g}</text>'
        f'<text x="{_WIDE}" y="{_TALL + 13}" text-anchor="end">{high:.4g}</text></svg>'
        f"<figcaption>{text(note)}{legend if len(series) > 1 else ''}</figcaption></figure>"
    )


def _bars(name: str, counts: NDArray[np.int64], highest: float, kind: str) -> str:
    """Return a bar for each bin that is not empty, at least 1 px high, with its count as title."""
    step, total = _WIDE / len(counts), int(counts.sum())
    bars = []
    for k, count in enumerate(counts.tolist()):
        if count:
            height = max(1.0, count / total / highest * (_TALL - 8))
            bars.append(
                f'<rect class="{kind}" x="{k * step + 0.5:.1f}" y="{_TALL - height:.1f}" '
                f'width="{step - 1:.1f}" height="{height:.1f}">'
                f"<title>{count:,} {text(name)}</title></rect>"
            )
    return "".join(bars)


def data_uri(picture: Image.Image, form: str = "PNG", **how: object) -> str:
    """Return a picture inside a page: what stands for its address. `form` is PNG or JPEG."""
    file = io.BytesIO()
    picture.save(file, format=form, **how)
    return f"data:image/{form.lower()};base64," + base64.b64encode(file.getvalue()).decode("ascii")


def image(picture: Image.Image, alt: str, form: str = "PNG", **how: object) -> str:
    """Return a picture, embedded at its own size."""
    return f'<img alt="{text(alt)}" src="{data_uri(picture, form, **how)}">'


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
    return image(sheet, alt, "JPEG", quality=82)


def write_page(path: Path, title: str, parts: Iterable[str]) -> None:
    """Write a page atomically, creating its folder if necessary."""
    body = "\n".join(part for part in parts if part)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{text(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{text(title)}</h1>\n{body}\n</body></html>\n"
    )
    write_text(path, page)
