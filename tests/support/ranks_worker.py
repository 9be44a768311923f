"""Several processes that meet, for tests of what they compute together."""

from tests.support import processes


def together(work, folder, size=2, **others):
    """As `processes.together`, where a process that is gone has asked before."""
    return processes.together(work, folder, size, ("animegan/round/asks/1",), **others)
