"""Rows of results: kept as lines of JSON, shown as Markdown."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"  # the rows behind the tables of docs/


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, none if there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def add_row(file: Path, row: Mapping[str, Any]) -> None:
    """Append a row and print it. Several processes may append to the same file."""
    line = json.dumps(row)
    with file.open("a") as out:
        out.write(line + "\n")  # one write
    print(line, flush=True)


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    heads = tuple(heads)
    return "\n".join((line(heads), "|---" * len(heads) + "|", *map(line, rows)))


def line(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"
