"""Check the messages to visdom's server before it acts on them, since it does not.

Names of environments become names of files, and whatever is in a window is sent to every page.
"""

import json
import math
import os
from collections.abc import Mapping

MAX_NAME = 200  # bytes; with ".json" still a file name everywhere
MAX_DEPTH = 50
SOCKET_COMMANDS = frozenset(("close", "save", "delete_env", "save_layouts", "layout_item_update"))
_SEPARATORS = "/\\:" if os.name == "nt" else "/\\"


class BadMessageError(ValueError):
    """The message is not one that visdom's page or our client sends; says why."""


def parse(text: str | bytes) -> dict[str, object]:
    """Return the object of a JSON text in UTF-8. Raises BadMessageError if it isn't one.

    Refused too: nesting beyond MAX_DEPTH, and numbers that are not finite, which Python would pass
    on but no browser reads.
    """
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        message = json.loads(decoded, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as failure:
        raise BadMessageError(f"not a message in JSON ({failure})") from None
    if not isinstance(message, dict):
        raise BadMessageError("not a JSON object")
    level: list[object] = [message]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return message
    raise BadMessageError(f"nested deeper than {MAX_DEPTH}")


def check_name(name: object) -> str:
    """Return the name of an environment. Raises BadMessageError if it could leave visdom's folder.

    A name has 1 to MAX_NAME bytes, all printable, no separators of paths and no dot at its start.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise BadMessageError("the name of an environment is text")
    if len(name.encode()) > MAX_NAME or name.startswith(".") or set(_SEPARATORS) & set(name):
        raise BadMessageError("the name of an environment is no path and not longer than 200 bytes")
    return name


def check_post(path: str, message: Mapping[str, object]) -> None:
    """Check a message posted to a path of the server. Raises BadMessageError."""
    _check_fields(message)
    if path == "/events":
        _check_window(message)
    elif path in ("/win_exists", "/win_data"):
        if "win" not in message or "data" in message:
            raise BadMessageError("the window to look at is missing")
    elif path == "/save":
        names = message.get("data")
        if not isinstance(names, list):
            raise BadMessageError("the environments to save are a list")
        for name in names:
            check_name(name)


def check_command(message: Mapping[str, object]) -> None:
    """Check a command that came through the page's socket. Raises BadMessageError."""
    _check_fields(message)
    command, data = message.get("cmd"), message.get("data")
    if not isinstance(command, str) or command not in SOCKET_COMMANDS:
        raise BadMessageError("no such command")
    if command != "save_layouts":
        check_name(message.get("eid"))
    kind = {"close": str, "save": dict, "save_layouts": str}.get(command, object)
    if not isinstance(data, kind):
        raise BadMessageError(f"{command}: not the data it takes")
    if command == "save":
        check_name(message.get("prev_eid"))
    if command == "layout_item_update" and not isinstance(message.get("win"), str):
        raise BadMessageError("the window to lay out is missing")
    if command == "save_layouts":
        try:
            json.loads(str(data))
        except (ValueError, RecursionError):
            raise BadMessageError("layouts are JSON") from None


def _check_fields(message: Mapping[str, object]) -> None:
    for field in ("eid", "prev_eid"):
        if message.get(field) is not None:
            check_name(message[field])
    for field in ("sid", "win"):
        if not isinstance(message.get(field), str | None):
            raise BadMessageError(f"{field} is not text")


def _check_window(message: Mapping[str, object]) -> None:
    data = message.get("data")
    if not isinstance(data, list) or not data:
        raise BadMessageError("a window's data is a list that is not empty")
    if not all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in data):
        raise BadMessageError("each part of a window's data has a type")
    if not isinstance(message.get("opts", {}), dict):
        raise BadMessageError("a window's opts are an object")
    kind, content = data[0]["type"], data[0].get("content")
    if kind == "text":
        good = isinstance(content, str)
    elif kind == "image":
        good = isinstance(content, dict) and isinstance(content.get("src"), str)
    elif content is None:  # a plot
        good = isinstance(message.get("layout"), dict)
    else:
        good = False
    if not good:
        raise BadMessageError("a window is a text, an image or a plot")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is not finite")
    return value


def _children(node: object) -> list[object]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
