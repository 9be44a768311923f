"""What visdom's server is never given: paths for names, garbled windows, unknown commands."""

import json

import pytest

from animegan.monitor.visdom_messages import (
    BadMessageError,
    check_command,
    check_name,
    check_post,
    parse,
)

BAD_NAMES = ["../x", "..", "a/b", "a\\b", "/etc/x", "", " ", ".hidden", "a\0b", "a\nb", "x" * 201,
             "\ud800", 5, None, [], {}]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_name_leaves_the_folder(name: object) -> None:
    with pytest.raises(BadMessageError):
        check_name(name)
    with pytest.raises(BadMessageError):
        check_post("/save", {"data": ["main", name]})
    for command in ("close", "save", "delete_env", "layout_item_update"):
        with pytest.raises(BadMessageError):
            check_command({"cmd": command, "eid": name, "data": {}, "win": "w"})
    if name is not None:
        for path in ("/events", "/win_exists", "/win_data", "/env/x", "/save"):
            with pytest.raises(BadMessageError):
                check_post(path, {"eid": name, "win": "w", "data": []})


@pytest.mark.parametrize("name", ["main", "GAN", "my run: 2", "脸", "20261128-000000-default"])
def test_usual_names_pass(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff", "[]", "5", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', "{", "[" * 10**5,
     '{"a": ' * 60 + "1" + "}" * 60, b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16")],
)  # fmt: skip
def test_garbage_is_no_message(text: str | bytes) -> None:
    with pytest.raises(BadMessageError):
        parse(text)


@pytest.mark.parametrize(
    "window",
    [{}, {"data": []}, {"data": "x"}, {"data": [5]}, {"data": [{}]}, {"data": [{"type": []}]},
     {"data": [{"type": "text"}]}, {"data": [{"type": "text", "content": {}}]},
     {"data": [{"type": "image", "content": "x"}]}, {"data": [{"type": "scatter"}]},
     {"data": [{"type": "network", "content": {}}]}, {"func": "x"},
     {"data": [{"type": "text", "content": "x"}], "opts": 5},
     {"data": [{"type": "text", "content": "x"}], "win": {}}],
)  # fmt: skip
def test_a_garbled_window_is_refused(window: dict[str, object]) -> None:
    with pytest.raises(BadMessageError):
        check_post("/events", window)


def test_the_pages_own_commands_pass() -> None:
    check_command({"cmd": "save", "eid": "b", "prev_eid": "a", "data": {}})
    check_command({"cmd": "delete_env", "eid": "b"})
    check_command({"cmd": "save_layouts", "data": json.dumps([["a", []]])})
    for bad in ({"cmd": "echo"}, {"cmd": []}, {}, {"cmd": "save_layouts", "data": "{"}):
        with pytest.raises(BadMessageError):
            check_command(bad)
