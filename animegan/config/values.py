"""Names of the augmentations, checked without torch so that a wrong one is refused at once."""

from animegan.core.errors import UsageError

POLICIES = ("color", "translation", "cutout")


def parse(text: str) -> tuple[str, ...]:
    """Return the augmentations that `--augment` names: () for none, all of them for auto.

    Raises UsageError for names that are not in `POLICIES`.
    """
    if text in ("none", "auto"):
        return POLICIES if text == "auto" else ()
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= set(POLICIES):
        raise UsageError(f"--augment {text}: takes none, auto, or some of {','.join(POLICIES)}")
    return names
