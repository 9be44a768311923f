"""Let several processes share a list of work: each item is claimed by one."""

import os
from pathlib import Path


def claimed(path: Path) -> bool:
    """Create a marker file; return False if it exists, because another process took the work."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
