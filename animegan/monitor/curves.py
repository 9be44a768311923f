"""A run's curves as an image, plotted from its `metrics.jsonl`."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from animegan.core.files import aside
from animegan.monitor.panels import KNOWN_KEYS, PANELS, Series, collect
from animegan.runs.folder import read_records

WIDTH, HEIGHT = 8.0, 2.6  # size of one panel in inches
DPI = 100


def draw_curves(metrics: Path, out: Path) -> None:
    """Plot the curves as stacked panels and write them to `out` as a PNG, atomically.

    `metrics` has a JSON object per line, with "step" and scalars by key; truncated lines are
    skipped. Nothing is written if the file is missing or has no known key.
    """
    series = collect(read_records(metrics), KNOWN_KEYS) if metrics.exists() else {}
    panels = [panel for panel in PANELS if any(key in series for key in panel.labels)]
    if not panels:
        return
    figure = Figure(figsize=(WIDTH, HEIGHT * len(panels)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)  # attaches itself to the figure, without touching pyplot's state
    rows = figure.subplots(len(panels), 1, squeeze=False, sharex=True)
    for axes, panel in zip(rows[:, 0], panels, strict=True):
        axes.set_title(panel.title, loc="left")
        axes.grid(alpha=0.3)
        for key, label in panel.labels.items():
            points = series.get(key, Series()).points()
            if points[0]:
                axes.plot(*points, label=label, linewidth=1, marker="." if _sparse(points) else "")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    rows[-1, 0].set_xlabel("step")

    out.parent.mkdir(parents=True, exist_ok=True)
    with aside(out) as half:
        figure.savefig(half, format="png")


def _sparse(points: tuple[list[int], list[float]]) -> bool:
    return len(points[0]) <= 50
