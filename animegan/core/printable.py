"""Text of others (file names, labels, what files hold), made safe to show."""

import re

# control characters but tab and newline, marks of direction, line separators, lone surrogates
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: object) -> str:
    r"""Return text with every character escaped that could move, hide or recolour other text.

    An escape is written like `\u001b`, which is valid in JSON too. Tabs and newlines stay.
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))
