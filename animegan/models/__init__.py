"""The networks: one file per family; `build_netg` and `build_netd` make what a Spec describes."""

from animegan.models.registry import (
    FAMILIES,
    build_netd,
    build_netg,
    check,
    has_batch_norm,
    parameters_of,
    problems,
)
from animegan.models.spec import Spec

__all__ = [
    "FAMILIES",
    "Spec",
    "build_netd",
    "build_netg",
    "check",
    "has_batch_norm",
    "parameters_of",
    "problems",
]
