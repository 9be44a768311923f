"""What a visdom server is told of one window: curves, a sheet of images, a text.

Each function returns the "data", "opts" and, for curves, plotly's "layout" of the message, the form
that visdom's README gives under "Customizing plots".
"""

import html
import math
from collections.abc import Mapping

from torch import Tensor

from animegan.images import data_uri
from animegan.panels import Series, panel_of

MAX_POINTS = 1000  # a curve in the browser; more are averaged
MAX_SIDE = 600  # pixels of an image's window; the browser scales the picture to it
TITLE_BAR = 16  # pixels of its height that a window keeps for its title
TEXT_SIZE = {"width": 320, "height": 600}
PLOT_SIZE = {"width": 440, "height": 320}
_FIRST = ("fake", "real", "losses", "scores")


def order(name: str) -> tuple[int, str]:
    """Sort key: windows stand on the page in the order in which the server first hears of them."""
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


def plot_window(curves: Mapping[str, Series]) -> dict[str, object]:
    """The curves of one panel, in the legend under their names."""
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
    """A sheet as a lossless picture, its window no larger than MAX_SIDE."""
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
    """Plain text, as it stands."""
    shown = f"<pre>{html.escape(content)}</pre>"
    return {"data": [{"type": "text", "content": shown}], "opts": {"title": name, **TEXT_SIZE}}
