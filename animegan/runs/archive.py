"""torch files, looked at before torch reads them, and what comes out of them.

torch neither verifies the checksums of the zip archives that it writes nor bounds what they unpack
to. A file is taken only if it is whole and needs no more memory than its own size accounts for.
"""

import math
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from torch import Tensor

MOST_RATIO = 20  # bytes in memory per byte of the file; files of torch have 1
SMALL = 2**20  # bytes that any file may need
MOST_PICKLE = 2**26  # bytes of what describes the tensors; a large state has 2**18
MOST_DEPTH = 50  # of lists in dicts in lists; a state has 7
MOST_PARTS = 10**6
MOST_TUPLE = 10**4  # parts of a tuple, and of the tuples in it, written out; torch's have 20
_OLD_PICKLES = 5  # magic number, protocol, system, content, keys


class Damaged(Exception):  # noqa: N818
    """The file is not what was written, or not a file of torch; the message says what is wrong."""


def verify(path: Path) -> None:
    """Raise Damaged unless the file is one of torch's, whole, and of bounded size in memory.

    Files of torch before 1.6 have no checksums: only their beginning is looked at. Raises OSError
    if it cannot be read.
    """
    with path.open("rb") as file:
        first = file.read(4)
    if first[:1] == b"\x80":  # torch before 1.6: pickles, then the tensors; it refuses others
        with path.open("rb") as file:
            for _ in range(_OLD_PICKLES):
                _verify_tuples(file)
        return
    if first != b"PK\x03\x04":
        raise Damaged("truncated, or not a torch weight file")
    try:
        with zipfile.ZipFile(path) as archive:
            _bound(archive.infolist(), path.stat().st_size)
            broken = archive.testzip()
            for entry in () if broken else archive.infolist():
                if entry.filename.endswith(".pkl"):
                    with archive.open(entry) as pickled:
                        _verify_tuples(pickled)
    except Damaged:
        raise
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError):
            raise Damaged("is an encrypted archive, not a torch weight file") from None
        raise Damaged("truncated, or not a torch weight file") from None
    except Exception as error:  # zlib and others, for damaged compressed entries
        if isinstance(error, OSError):
            raise
        raise Damaged("damaged: its archive cannot be unpacked") from None
    if broken is not None:
        raise Damaged(f"damaged: the checksum of {broken} is wrong; the disk or a copy changed it")


def _bound(entries: list[zipfile.ZipInfo], size: int) -> None:
    total = sum(entry.file_size for entry in entries)
    if total > MOST_RATIO * size + SMALL:
        raise Damaged(
            f"its {size:,} bytes would unpack to {total:,}; save it again with torch.save"
        )
    pickled = sum(entry.file_size for entry in entries if entry.filename.endswith(".pkl"))
    if pickled > MOST_PICKLE or len(entries) > MOST_PARTS:
        raise Damaged("describes its tensors at such length that it is no torch weight file")


def _verify_tuples(file: IO[bytes]) -> None:
    """Raise Damaged unless the tuples of the next pickle in a file are short when written out.

    A tuple of two that are the same one, and so on, has 2^n parts in n steps. Whoever hashes or
    compares it, as torch does with the keys of a dict, visits all of them.
    """
    stack: list[int] = []  # the parts of each object, written out
    marks: list[int] = []  # how high the stack was
    memo: dict[Any, int] = {}
    try:
        for opcode, argument, _ in pickletools.genops(file):
            before = opcode.stack_before
            if pickletools.markobject in before:  # all down to the mark, and what lies below it
                start = marks.pop()
                parts = stack[start:]
                del stack[start - before.index(pickletools.markobject) :]
            elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
                continue
            elif opcode.name == "MEMOIZE":
                memo[len(memo)] = stack[-1]
                continue
            else:
                taken = len(before)
                parts = stack[len(stack) - taken :]
                del stack[len(stack) - taken :]
            if opcode.name in ("GET", "BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif opcode.name == "MARK":
                marks.append(len(stack))
            else:
                is_tuple = opcode.name.startswith("TUPLE")
                size = 1 + sum(parts) if is_tuple else 1
                if size > MOST_TUPLE:
                    raise Damaged("holds a tuple of more parts than any torch weight file")
                stack += [size] * len(opcode.stack_after)
    except (ValueError, IndexError, KeyError, OverflowError):  # no pickle, which torch will say
        return


def verify_content(content: Any, size: int) -> None:
    """Raise Damaged if what a file of `size` bytes held is nested deeply or needs more memory.

    A tensor may repeat stored values without end (stride 0), which a copy would write out.
    """
    total = 0
    for parts, (depth, part) in enumerate(_walk(content)):
        if depth > MOST_DEPTH or parts > MOST_PARTS:
            raise Damaged("its content is nested too deeply or too long for a torch weight file")
        if isinstance(part, Tensor):
            total += part.numel() * part.element_size()
    if total > MOST_RATIO * size + SMALL:
        raise Damaged(f"its {size:,} bytes hold tensors of {total:,} bytes; was it edited?")


def _walk(content: Any) -> Iterator[tuple[int, Any]]:
    """Yield every part with its depth; a container that is in several places, once."""
    waiting, seen = [(0, content)], set()
    while waiting:
        depth, part = waiting.pop()
        yield depth, part
        if id(part) in seen:
            continue
        if isinstance(part, Mapping):
            seen.add(id(part))
            waiting += [(depth + 1, inner) for pair in part.items() for inner in pair]
        elif isinstance(part, list | tuple | set | frozenset):
            seen.add(id(part))
            waiting += [(depth + 1, inner) for inner in part]


def not_finite(weights: Mapping[Any, Any]) -> str | None:
    """Return the first name whose tensor has a NaN or an infinity; None if all are finite."""
    for name, tensor in weights.items():
        if (
            isinstance(tensor, Tensor)
            and tensor.is_floating_point()
            and not math.isfinite(float(tensor.detach().float().abs().sum()))
            and not bool(tensor.isfinite().all())  # a sum may overflow
        ):
            return str(name)
    return None


# --- what others wrap weights in

WRAPPERS = ("module", "_orig_mod")  # DataParallel and DistributedDataParallel; torch.compile
NESTS = ("state_dict", "model_state_dict", "model", "weights", "params")
NETS = {
    "netg": ("netg", "netG", "g_ema", "generator", "G", "g"),
    "netd": ("netd", "netD", "discriminator", "D", "d"),
}


def unwrapped(content: Mapping[Any, Any], kind: str) -> Mapping[Any, Any]:
    """Return the weights of `kind` (netg or netd) from within what others save around them.

    Takes {"state_dict": ...}, {"model": ...}, {"netG": ..., "netD": ...}, names that begin with
    `module.`, `_orig_mod.` or `netG.`, and any of these within each other.
    """
    for _ in range(MOST_DEPTH):
        inner = next(
            (content[name] for name in (*NETS[kind], *NESTS)
             if isinstance(content.get(name), Mapping)), None
        )  # fmt: skip
        if inner is None:
            inner = _without_prefix(content, (*WRAPPERS, *NETS[kind]))
        if inner is None:
            break
        content = inner
    return content


def _without_prefix(
    weights: Mapping[Any, Any], prefixes: tuple[str, ...]
) -> Mapping[Any, Any] | None:
    """Return the entries below the first of the prefixes that any name has; None if none has."""
    names = [name for name in weights if isinstance(name, str)]
    for prefix in prefixes:
        below = [name for name in names if name.startswith(f"{prefix}.")]
        if below:
            return {name[len(prefix) + 1 :]: weights[name] for name in below}
    return None
