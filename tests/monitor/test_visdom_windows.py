"""What visdom is told of a window."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from animegan.monitor.panels import collect
from animegan.monitor.visdom_windows import (
    MAX_POINTS,
    image_window,
    order,
    plot_window,
    text_window,
)


def test_a_plot_holds_its_curves_under_their_names() -> None:
    records = [{"step": n, "loss_d": n / 2, "loss_g": float("nan")} for n in (1, 2)]
    message: dict[str, Any] = plot_window(collect(records))
    assert [(c["name"], c["x"], c["y"]) for c in message["data"]] == [
        ("discriminator", [1, 2], [0.5, 1.0]),
        ("generator", [1, 2], [None, None]),
    ]
    assert message["layout"]["showlegend"] is True
    assert message["opts"]["title"] == "losses"
    json.dumps(message, allow_nan=False)


def test_a_long_curve_is_shortened() -> None:
    series = collect({"step": n, "kid": 1.0} for n in range(10 * MAX_POINTS))
    message: dict[str, Any] = plot_window(series)
    assert len(message["data"][0]["x"]) == MAX_POINTS


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_arrives_pixel_for_pixel(channels: int) -> None:
    pixels = torch.randint(0, 256, (channels, 700, 1400), dtype=torch.uint8)
    message: dict[str, Any] = image_window("fake", 40, pixels)
    kind, _, code = message["data"][0]["content"]["src"].partition(",")
    with Image.open(io.BytesIO(base64.b64decode(code))) as picture:
        found = np.asarray(picture).reshape(700, 1400, channels)
    assert kind == "data:image/png;base64"
    assert np.array_equal(found, pixels.permute(1, 2, 0).numpy())
    assert message["opts"] == {"title": "fake, step 40", "width": 600, "height": 316}


def test_a_text_stands_as_written() -> None:
    message: dict[str, Any] = text_window("options", "a < b\nc & d")
    assert message["data"] == [{"type": "text", "content": "<pre>a &lt; b\nc &amp; d</pre>"}]


def test_images_and_losses_come_first() -> None:
    names = ["scores", "fd", "real", "losses", "fake"]
    assert sorted(names, key=order) == ["fake", "real", "losses", "scores", "fd"]
