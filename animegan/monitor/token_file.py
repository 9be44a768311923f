"""The token of a running monitor, kept where only its user's programs find it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from animegan.core.files import aside
from animegan.data.cache_folder import cache_root


def token_file(port: int, cache: Path | None = None) -> Path:
    """Return the path of the token of the monitor on `port`; `cache` None means `cache_root()`."""
    return (cache_root() if cache is None else cache) / f"monitor-{port}.token"


@contextmanager
def published(token: str, port: int, cache: Path) -> Iterator[None]:
    """Keep a token in its file, mode 0600, while the block runs. Raises OSError if it cannot."""
    path = token_file(port, cache)
    with aside(path) as half:
        half.unlink(missing_ok=True)
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token)
    try:
        yield
    finally:
        if read_token(port, cache) == token:
            path.unlink(missing_ok=True)


def read_token(port: int, cache: Path | None = None) -> str:
    """Return the token of the monitor on `port` of this machine, or "" if there is none to read."""
    try:
        text = token_file(port, cache).read_text(encoding="ascii")[:200].strip()
    except (OSError, ValueError):
        return ""
    return text if text.replace("-", "").replace("_", "").isalnum() else ""
