"""A folder for the Hugging Face Hub: weights, their description, a model card with samples.

What the card says about licence and training data is what the user states.
https://huggingface.co/docs/hub/model-cards
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from animegan.config.config import OPTIONS
from animegan.core import images
from animegan.core.files import write_text
from animegan.generation.candidates import Noise, labels_of
from animegan.generation.generate import chunk_of, draw
from animegan.models.fold import folded
from animegan.models.registry import parameters_of
from animegan.runs import checkpoint
from animegan.runs.checkpoint import LoadedNet

SAMPLES = 48
_CARD = """---
license: {licence}
library_name: animegan
pipeline_tag: unconditional-image-generation
tags:
- gan
- anime
---

# {title}

A generator of {what} of {spec.image_size} x {spec.image_size} pixels: a `{spec.net}` network with
{parameters:,} parameters, noise of {spec.nz} numbers{steps}.

![The first {samples} samples of seed 0, not selected](samples.jpg)

The picture shows the first {samples} samples of seed 0, not selected.

## Use

```python
import animegan
import torch

generator = animegan.load_generator("model.safetensors")
pictures = generator(torch.randn(16, {spec.nz}){labels})  # uint8 [16, {shape}]
```

or `animegan generate --netg-path=model.safetensors`.{values}

## Training data

{data}

## Limits

It draws what its training pictures show, in their proportions, and nothing else. It was not checked
whether single samples resemble single training pictures.
"""


def write_repository(
    folder: Path, loaded: LoadedNet, path: str, half: bool, licence: str, data: str | None
) -> None:
    """Write model.safetensors, config.json, samples.jpg and README.md; the folder must exist.

    path: of the weight file, for errors. Raises UsageError if it does not list its labels, or for
    weights that float16 cannot hold.
    """
    drawn = labels_of(loaded, None, path)
    loaded = replace(loaded, about=publishable(loaded.about))
    checkpoint.save_safetensors(folder / "model.safetensors", loaded, half)
    described = {"format": checkpoint.FORMAT, **loaded.about, "spec": loaded.spec.as_dict()}
    write_text(folder / "config.json", json.dumps(described, indent=1) + "\n")
    noise = Noise(0, loaded.spec.nz, labels=drawn)
    cpu = torch.device("cpu")
    chunk = chunk_of(loaded.spec.image_size, cpu)
    pictures = torch.cat(list(draw(folded(loaded.net), noise, range(SAMPLES), cpu, chunk)))
    images.save_picture(images.grid(pictures), folder / "samples.jpg", quality=92)
    write_text(folder / "README.md", card(loaded, licence, data))


def publishable(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description without the options that name files, folders and runs of its author."""
    options = {
        name: value
        for name, value in about.get("options", {}).items()
        if name in OPTIONS and not OPTIONS[name].path and name not in ("name", "resume", "repeat")
    }
    return {**about, "options": options}


def card(loaded: LoadedNet, licence: str, data: str | None) -> str:
    """Return the model card."""
    spec, step = loaded.spec, loaded.about.get("step")
    names = loaded.about.get("labels") if spec.classes else None
    values = "" if names is None else "\n\nLabels, for `--label`:\n\n" + "\n".join(
        f"- {name}: {', '.join(known)}"
        for name, known in zip(names["names"], names["values"], strict=True)
    )  # fmt: skip
    return _CARD.format(
        licence=json.dumps(licence), title=f"{spec.net} generator, {spec.image_size} px",
        what="colour pictures" if spec.channels == 3 else "grey pictures", spec=spec,
        shape=f"{spec.channels}, {spec.image_size}, {spec.image_size}",
        parameters=parameters_of(loaded.net), samples=SAMPLES, values=values,
        steps=f", trained for {step:,} steps" if isinstance(step, int) else "",
        labels="" if names is None else f', generator.encode("{_example(names)}", 16)',
        data=data or "Not stated by whoever exported these weights.",
    )  # fmt: skip


def _example(names: Mapping[str, Any]) -> str:
    return f"{names['names'][0]}={names['values'][0][0]}"
