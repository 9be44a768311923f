"""What a user can cause, told in one line a problem."""

from collections.abc import Iterable


class UsageError(Exception):
    """A mistake the user can mend; `main.py` prints each problem on a line and exits with 2.

    A problem names the flag, the fact and the way out:
    ``--batch-size 256: the folder has 40 pictures; take 40 or fewer``.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def under(self, flag: str) -> "UsageError":
        """The same of a folder of pictures that another option than --data-path names."""
        return UsageError(*(line.replace("--data-path", flag) for line in self.problems))


def reason(error: BaseException, limit: int | None = None, *, whole: bool = False) -> str:
    """Why, on one line: what the system says of a file, else the first line of the error's text
    (all lines, if `whole`), else the error's kind; cut off after `limit` characters.
    """
    said = error.strerror if isinstance(error, OSError) else None
    lines = str(said or error).strip().splitlines()
    text = " ".join(" ".join(lines if whole else lines[:1]).split())
    return text[:limit] or type(error).__name__


def refuse(problems: Iterable[str]) -> None:
    """Raises UsageError if there are any."""
    if found := tuple(problems):
        raise UsageError(*found)


class TrainingStopped(Exception):  # noqa: N818
    """Training cannot go on (non-finite loss, no memory); one line, exit code 1."""


class Ended(Exception):  # noqa: N818
    """A command ended with this exit code; it has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
