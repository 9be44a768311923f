"""What is said when a training has ended: what it has left, and which commands come next."""

import logging

from animegan.core.program import command_line
from animegan.runs.folder import Run

logger = logging.getLogger(__name__)


def interrupted(run: Run) -> None:
    """Say how to continue a run that a signal has stopped."""
    logger.info(f"saved; to continue: {_resume(run)}")


def ended(run: Run, finished: bool, best_step: int) -> None:
    """Say what the run has left; `finished`: at its last step; `best_step`: -1 without one."""
    if best_step >= 0:
        logger.info(f"best KID at step {best_step:,}: {run.path}/netg_best.pth")
    if not finished:
        logger.info(f"stopped before the last step; to continue: {_resume(run)}")
    netg = next(iter(run.weight_files()), run.path / "netg_last.pth")
    netd = netg.with_name(netg.name.replace("netg", "netd", 1))
    draw = command_line("generate", netg_path=netg, netd_path=netd)
    logger.info(
        f"{'done' if finished else 'so far'}: {run.path}/strip.png shows the progress; to draw new "
        f"faces:\n{draw}"
    )


def _resume(run: Run) -> str:
    """Return the command that continues the run."""
    return command_line("train", resume=run.path)
