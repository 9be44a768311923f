"""Exceptions that end a command with a one-line message instead of a traceback."""

from collections.abc import Iterable


class Problem(str):
    """One line about one mistake: ``flag value: the fact; the way out``."""

    __slots__ = ()

    @property
    def flag(self) -> str:
        """The option or argument that it is about, such as `--batch-size`."""
        return self.partition(":")[0].split(" ")[0]


class UsageError(Exception):
    """A mistake that the user can fix; `main.py` prints each problem on a line and exits with 2.

    A problem consists of the flag, the fact and the way out:
    ``--batch-size 256: the folder has 40 pictures; take 40 or fewer``.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(Problem(" ".join(problem.splitlines())) for problem in problems)
        super().__init__("\n".join(self.problems))

    @property
    def flags(self) -> tuple[str, ...]:
        """The option that each problem is about."""
        return tuple(problem.flag for problem in self.problems)


def reason(error: BaseException, limit: int | None = None, *, whole: bool = False) -> str:
    """Describe an error's cause on one line of at most `limit` characters.

    This is the system's message for an OSError, else the first line of the error's text (all lines
    if `whole`), else the error's class name.
    """
    strerror = error.strerror if isinstance(error, OSError) else None
    lines = str(strerror or error).strip().splitlines()
    text = " ".join(" ".join(lines if whole else lines[:1]).split())
    if limit is not None and len(text) > limit:
        text = text[: limit - 3] + "..."
    return text or type(error).__name__


def refuse(problems: Iterable[str]) -> None:
    """Raise UsageError if there are any problems."""
    if lines := tuple(problems):
        raise UsageError(*lines)


class TrainingStopped(Exception):  # noqa: N818
    """Training cannot continue (non-finite loss, out of memory); one line, exit code 1."""


class Ended(Exception):  # noqa: N818
    """Exit with this code; the reason has been printed already."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
