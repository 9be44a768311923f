"""Names in archives that do not say how they are encoded.

Windows writes zip members in the encoding of its language, macOS in UTF-8 without saying so. Bytes
of one East Asian encoding are often valid in another, but then seldom give common characters; so
the encoding that gives the most common ones is taken.
"""

import unicodedata
from collections.abc import Iterable, Sequence

# encoding, and the two-byte ranges of its everyday characters; GBK first where they tie
_EAST_ASIAN: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
    ("gb18030", ((0xB0A1, 0xD7F9),)),  # level 1 of GB 2312
    ("cp932", ((0x829F, 0x8396), (0x889F, 0x9872))),  # kana, level 1 of JIS X 0208
    ("cp950", ((0xA440, 0xC67E),)),  # level 1 of Big5
    ("cp949", ((0xB0A1, 0xC8FE),)),  # hangul
)
_SURE = 0.5  # share of common characters above which an East Asian encoding is believed
DOS = "cp437"  # the zip format's own


def encoding_of(names: Iterable[bytes]) -> str:
    """Return the encoding in which all of an archive's names are best read.

    UTF-8 if all names are valid, else the East Asian encoding that decodes all of them to the most
    common characters, else DOS's, which decodes everything.
    """
    raw = sorted({name for name in names if not name.isascii()})
    if _decodes(raw, "utf-8"):
        return "utf-8"
    fitting = [(name, _common(raw, name, ranges)) for name, ranges in _EAST_ASIAN]
    best, share = max(fitting, key=lambda pair: pair[1])
    if share >= _SURE:
        return best
    if all(_is_latin(name.decode(DOS)) for name in raw):
        return DOS
    return best if share > 0 else DOS


def undo_escapes(name: str) -> str:
    """Return a name that the system could not decode (with lone surrogates) in readable form."""
    try:
        name.encode("utf-8")
        return name
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "surrogateescape")
        return raw.decode(encoding_of([raw]), "replace")


def _decodes(raw: Sequence[bytes], encoding: str) -> bool:
    try:
        for name in raw:
            name.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _common(raw: Sequence[bytes], encoding: str, ranges: tuple[tuple[int, int], ...]) -> float:
    """Return the share of common characters among those that are not ASCII; 0 if one is invalid."""
    if not _decodes(raw, encoding):
        return 0.0
    common = count = 0.0
    for name in raw:
        for character in name.decode(encoding):
            code = character.encode(encoding)
            if len(code) == 1 and code.isascii():
                continue
            count += 1
            value = int.from_bytes(code, "big")
            if any(low <= value <= high for low, high in ranges):
                common += 1
            elif len(code) == 2:
                common += 0.1
    return common / max(count, 1)


def _is_latin(name: str) -> bool:
    return all(
        c.isascii() or unicodedata.name(c, "").startswith(("LATIN", "INVERTED")) for c in name
    )
