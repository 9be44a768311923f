"""Profile a step by groups of operations, with torch's profiler and oneDNN's log.

The profiler shows a convolution's backward pass as a single operation; oneDNN's log separates the
gradient of the inputs, that of the weights, and copies between memory layouts.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO

import torch
from torch.profiler import ProfilerActivity, profile

CONVOLUTIONS = {
    "forward": "convolution: forward",
    "backward_data": "convolution: gradient of inputs",
    "backward_weights": "convolution: gradient of weights",
}
LAYOUT = "copies between layouts"
AROUND = "convolution: around oneDNN"
OTHER = "other"
GROUPS = (  # the first whose pattern matches the operation's name
    (AROUND, r"convolution|thnn_conv|conv_transpose"),
    ("batch norm", r"batch_norm"),
    ("activations", r"relu|tanh|sigmoid|threshold"),
    ("compiled code", r"Compiled|graph_\d|Torch-"),
    ("optimizer", r"adam|lerp_|addcmul_|addcdiv_|aten::sqrt"),
    ("loading", r"DataLoader|aten::index$|aten::stack|aten::cat$"),
    ("copies", r"copy_|clone|aten::to|contiguous"),
)
ALL = (*CONVOLUTIONS.values(), LAYOUT, *(name for name, _ in GROUPS), OTHER)


def group_of(operation: str) -> str:
    """Return the group of a profiler operation."""
    return next((name for name, held in GROUPS if re.search(held, operation)), OTHER)


def by_primitive(log: Iterator[str]) -> dict[str, float]:
    """Return seconds per group from oneDNN's verbose log, which has a line per primitive."""
    spent: dict[str, float] = {}
    for line in log:
        words = line.strip().split(",")
        if "exec" not in words:
            continue
        kind, _, direction = words[words.index("exec") + 2 :][:3]
        if kind == "reorder":
            name = LAYOUT
        elif "convolution" in kind:
            name = CONVOLUTIONS[direction.removesuffix("_training").removesuffix("_inference")]
        else:
            continue
        spent[name] = spent.get(name, 0.0) + float(words[-1]) / 1000
    return spent


@contextmanager
def _output_in(file: IO[str]) -> Iterator[None]:
    """Redirect stdout to a file, including that of C code."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def spent(work: Callable[[], object], times: int) -> dict[str, float]:
    """Return the seconds of `work` per group; runs it `times` times for each of the two sources."""
    begun = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(times):
            work()
        whole = time.perf_counter() - begun
    found = dict.fromkeys(ALL, 0.0)
    for event in seen.key_averages():
        found[group_of(event.key)] += event.self_cpu_time_total / 1e6
    with tempfile.TemporaryFile("w+") as file:
        onednn = torch.backends.mkldnn
        with _output_in(file), onednn.verbose(onednn.VERBOSE_ON):  # type: ignore[no-untyped-call]
            for _ in range(times):
                work()
        file.seek(0)
        within = by_primitive(iter(file))
    for name, seconds in within.items():
        found[name] += seconds
        found[AROUND] -= seconds
    found[AROUND] = max(0.0, found[AROUND])
    found[OTHER] += max(0.0, whole - sum(found.values()))
    return {name: seconds / times for name, seconds in found.items()}


def table(sides: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield Markdown with a row per group and a column per side, in ms and share of the total."""
    yield f"| ms per batch | {' | '.join(sides)} |"
    yield f"|---|{'---|' * len(sides)}"
    wholes = {name: sum(side.values()) for name, side in sides.items()}
    for group in (*ALL, "all"):
        cells = []
        for name, side in sides.items():
            seconds = wholes[name] if group == "all" else side[group]
            cells.append(f"{1000 * seconds:.0f} ({seconds / wholes[name]:.0%})")
        yield f"| {group} | {' | '.join(cells)} |"
