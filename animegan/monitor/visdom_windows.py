"""Build the messages that describe visdom windows: curves, image grids, text.

Each function returns the "data", "opts" and, for curves, plotly "layout" of a message, in the
format of visdom's README, section "Customizing plots".
"""

import html
import math
from collections.abc import Mapping

from torch import Tensor

from animegan.core.images import data_uri
from animegan.monitor.panels import Series, panel_of

MAX_POINTS = 1000  # per curve; longer ones are averaged
MAX_SIDE = 600  # pixels; the browser scales larger images down
TITLE_BAR = 16  # pixels of a window's height used by its title
TEXT_SIZE = {"width": 320, "height": 600}
PLOT_SIZE = {"width": 440, "height": 320}
_FIRST = ("fake", "real", "losses", "scores")


def order(name: str) -> tuple[int, str]:
    """Sort key of windows; visdom lays them out in the order in which it first receives them."""
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


def plot_window(curves: Mapping[str, Series]) -> dict[str, object]:
    """Return the window of one panel's curves, with a legend."""
    panel = panel_of(next(iter(curves)))
    data = []
    for key, label in panel.labels.items():
        if key in curves:
            steps, values = curves[key].points(MAX_POINTS)
            finite = [None if math.isnan(value) else value for value in values]
            data.append(
                {"type": "scatter", "mode": "lines", "name": label, "x": steps, "y": finite}
            )
    layout = {
        "title": panel.title,
        "showlegend": True,
        "xaxis": {"title": "step"},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "margin": {"l": 50, "r": 20, "t": 60, "b": 65},
    }
    return {"data": data, "layout": layout, "opts": {"title": panel.title, **PLOT_SIZE}}


def image_window(name: str, step: int, pixels: Tensor) -> dict[str, object]:
    """Return a window with an image, uint8 [C, H, W], as PNG, scaled to at most MAX_SIDE."""
    source = data_uri(pixels, compress_level=1)
    height, width = pixels.shape[-2:]
    scale = min(1.0, MAX_SIDE / max(height, width))
    opts = {
        "title": f"{name}, step {step}",
        "width": round(width * scale),
        "height": round(height * scale) + TITLE_BAR,
    }
    return {"data": [{"type": "image", "content": {"src": source}}], "opts": opts}


def text_window(name: str, content: str) -> dict[str, object]:
    """Return a window with preformatted plain text."""
    shown = f"<pre>{html.escape(content)}</pre>"
    return {"data": [{"type": "text", "content": shown}], "opts": {"title": name, **TEXT_SIZE}}
