"""visdom's own server as the tool runs it: a real one, killed and started anew in mid-use."""

import asyncio
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from animegan.core.errors import UsageError
from animegan.monitor.token_file import read_token
from animegan.monitor.visdom_client import VisdomMonitor, connect
from animegan.monitor.visdom_server import serve
from tests.support.said import heard

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("visdom") is None, reason="visdom is not installed"
)
START_SECONDS = 60
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server:
    """`serve` in a process of its own, without npm."""

    def __init__(self, port: int, cache: Path, host: str = "127.0.0.1") -> None:
        self.port, self.cache = port, cache
        code = (
            "import sys; sys.modules['torch'] = None\n"  # visdom loads it if it can: seconds
            "from pathlib import Path; from animegan.cli import console; console.install()\n"
            "from animegan.monitor.visdom_server import serve\n"
            f"serve({port}, {host!r}, cache_dir=Path({str(cache)!r}))"
        )
        environment = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment | {"PATH": "", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_up(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                pytest.fail(f"the server ended: {self.end()[1]}")
            try:
                self.send("/env_state", b"{}")
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"the server was not up after {START_SECONDS} s")

    def ask(self, path: str, **message: object) -> Any:
        status, text = self.send(f"/{path}", json.dumps(message).encode(), token=self.token)
        assert status == 200, text
        return json.loads(text)

    @property
    def token(self) -> str:
        return read_token(self.port, self.cache)

    def send(
        self, path: str, data: bytes | None = None, token: str = "", **headers: str
    ) -> tuple[int, str]:
        """Send a GET, or a POST of `data`; return status and text. `_` in headers means `-`."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, sent)
        try:
            with OPENER.open(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def windows(self, env: str) -> dict[str, Any]:
        if env not in self.ask("env_state"):
            return {}
        windows: dict[str, Any] = self.ask("win_data", eid=env, win=None)
        return windows

    def end(self, number: int = signal.SIGKILL) -> tuple[str, str]:
        """Send a signal, wait; return what was written to stdout and to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.communicate(timeout=20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(free_port(), tmp_path / "cache")
    yield server
    server.end()


def until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def test_a_server_killed_in_mid_use_has_whole_plots_again(server: Server, tmp_path: Path) -> None:
    server.wait_until_up()
    record: list[dict[str, float]] = []
    said: list[str] = heard()
    with closing(connect("127.0.0.1", server.port, "main", list)) as first:
        assert isinstance(first, VisdomMonitor)
    monitor = VisdomMonitor(
        port=server.port, env="faces", history=lambda: list(record),
        interval=0.05, longest_pause=0.2, share=1.0,
    )  # fmt: skip

    def train(step: int) -> None:
        record.append({"step": step, "loss_d": 1 / step, "loss_g": 2.0, "d_x": 0.5, "d_g_z": 0.5})
        monitor.scalars(step, {key: value for key, value in record[-1].items() if key != "step"})

    def seen(server: Server) -> list[int]:
        plot = server.windows("faces").get("losses", {"content": {"data": [{"x": []}]}})
        return list(plot["content"]["data"][0]["x"])

    monitor.text("options", "nz = 100 <b>")
    monitor.images("fake", 1, torch.zeros(3, 8, 8, dtype=torch.uint8))
    train(1)
    until(lambda: set(server.windows("faces")) == {"options", "fake", "losses", "scores"})
    server.end()
    for step in range(2, 40):
        train(step)
    until(lambda: said)

    again = Server(server.port, tmp_path / "cache")
    try:
        again.wait_until_up()
        until(lambda: seen(again) == list(range(1, 40)))
        train(40)
        until(lambda: seen(again) == list(range(1, 41)))
        windows = again.windows("faces")
        monitor.close()
    finally:
        again.end()
    assert set(windows) == {"options", "fake", "losses", "scores"}
    losses = windows["losses"]["content"]["data"]
    assert [curve["name"] for curve in losses] == ["discriminator", "generator"]
    assert losses[0]["y"] == pytest.approx([1 / step for step in range(1, 41)])
    assert windows["fake"]["content"]["src"].startswith("data:image/png;base64,")
    assert windows["options"]["content"] == "<pre>nz = 100 &lt;b&gt;</pre>"
    where, lost, back = said
    assert f":{server.port}/env/main" in where
    assert "lost" in lost
    assert "is back" in back


HOSTILE: tuple[dict[str, Any], ...] = (
    {"Host": "evil.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
)
WINDOW = {"data": [{"type": "text", "content": "SECRET"}], "win": "w", "eid": "GAN", "opts": {}}


async def talk(server: Server, *commands: object, **headers: str) -> list[str]:
    """Open the page's socket, send commands, and return what came until all were answered."""
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    request = HTTPRequest(f"ws://127.0.0.1:{server.port}/socket", headers=headers)
    connection = await websocket_connect(request, ping_interval=0)
    came: list[str] = []
    mark = uuid.uuid4().hex  # layouts go to every page, so this one comes after all answers
    try:
        for command in (*commands, {"cmd": "save_layouts", "data": json.dumps([mark])}):
            raw = command if isinstance(command, str | bytes) else json.dumps(command)
            await connection.write_message(raw, binary=isinstance(raw, bytes))
        while not came or mark not in came[-1]:
            came.append(str(await asyncio.wait_for(connection.read_message(), 10)))
    finally:
        connection.close()
        while await connection.read_message() is not None:
            pass
    return came


def test_hostile_requests_change_and_read_nothing_and_the_page_stays(
    server: Server, tmp_path: Path
) -> None:
    from tornado.httpclient import HTTPClientError

    server.wait_until_up()
    token, good = server.token, json.dumps(WINDOW).encode()
    victim = tmp_path / "options.json"
    victim.write_text("{}")
    path = str(victim.with_suffix(""))

    # the textbook's flow: a program of this machine needs nothing, and its windows are shown
    assert server.send("/")[1].count("token") > 0
    waiting = server.send("/", token=token)
    assert (waiting[0], "Waiting" in waiting[1]) == (200, True)
    assert server.send("/events", good)[0] == 200
    status, page = server.send("/", token=token)  # follows to /env/GAN
    assert (status, "static/js/main.js" in page, "'GAN'" in page) == (200, True, True)
    assert "<script>" not in page  # each has the nonce that its policy asks for

    # other sites, with and without the token
    for headers in HOSTILE:
        for shown in ("", token):
            assert server.send("/events", good, shown, **headers)[0] == 403
            assert server.send("/env/GAN", token=shown, **headers)[0] == 403
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        with pytest.raises(HTTPClientError, match="403"):
            asyncio.run(talk(server, Authorization=f"Bearer {token}", **names))

    # without the token: no window is read, none of visdom's other handlers is reached
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(talk(server))
    for name in ("win_data", "save", "env/GAN", "compare/GAN+main"):
        assert server.send(f"/{name}", b'{"eid": "GAN", "win": null, "data": []}')[0] == 403
    for name in ("update", "close", "delete_env", "fork_env", "win_hash", "socket_wrap",
                 "vis_socket_wrap", "vis_socket", "error/x", "anything", ""):  # fmt: skip
        assert server.send(f"/{name}", good, token)[0] == 404
    for name in ("vis_socket", "socket_wrap", "error/x", "env/", "/evil.example?token=" + token):
        assert server.send(f"/{name}", token=token)[0] == 404

    # paths and garbage, with the token
    for name in ("events", "win_exists", "win_data", "env_state", "save", "env/x", "compare/x"):
        for eid in (path, "../x", 5, [], "\ud800"):
            body = {**WINDOW, "eid": eid}
            assert server.send(f"/{name}", json.dumps(body).encode(), token)[0] == 400
        for garbage in (b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b"[" * 10**5):
            assert server.send(f"/{name}", garbage, token)[0] == 400
    assert server.send("/env/..%2F..%2Fx", token=token)[0] == 400
    assert server.send("/env/..%2F..%2Fx", b'{"sid": "x"}', token)[0] == 400
    assert server.send("/compare/main+..%2Fx", token=token)[0] == 400
    commands: list[Any] = [
        {"cmd": "delete_env", "eid": eid} for eid in (path, f"../../{victim.stem}", 5)
    ]
    commands += [{"cmd": "save", "eid": path, "prev_eid": "GAN", "data": {}}]
    bearer = f"Bearer {token}"
    asyncio.run(talk(server, "garbage", b"\xff", "[]", {}, *commands, Authorization=bearer))
    assert victim.read_text() == "{}"

    # idle and garbled connections
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for connection in idle[::2]:
        connection.sendall(os.urandom(100) + b"\r\n\r\n")
    assert server.send("/events", good)[0] == 200
    assert server.send("/", token=token)[0] == 200
    for connection in idle:
        connection.close()

    # the page's own way in: the token becomes a cookie, which opens page and socket
    with OPENER.open(f"http://127.0.0.1:{server.port}/env/GAN?token={token}") as answer:
        cookie = answer.headers["Set-Cookie"]
        assert token not in answer.read().decode()
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    own = {"Cookie": cookie.split(";")[0], "Origin": f"http://127.0.0.1:{server.port}"}
    assert "main.js" in server.send("/env/GAN", **own)[1]
    saved = {"cmd": "save", "eid": "kept", "prev_eid": "GAN", "data": {}}
    asyncio.run(talk(server, saved, {"cmd": "delete_env", "eid": "GAN"}, **own))
    assert set(server.ask("env_state")) == {"main", "kept"}
    folder = tmp_path / "cache" / "visdom-environments"
    assert "kept.json" in {file.name for file in folder.iterdir()}
    assert {file.name for file in tmp_path.iterdir()} == {"cache", "options.json"}


def test_without_npm_it_serves_says_what_lacks_and_ends_quietly(
    server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "cache" / "visdom-environments"
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text("null")
    server.wait_until_up()
    token = server.token
    assert server.ask("env_state") == ["main"]
    assert server.send("/env/favicon.png", token=token)[0] == 204
    with socket.socket() as probe:  # only this machine is let in
        assert probe.connect_ex((outer_address(), server.port)) != 0
    out, err = server.end(signal.SIGINT)
    assert server.process.returncode == 0
    assert out == ""
    lack, broken, opened, ended = err.splitlines()
    assert lack.startswith("visdom: npm is not installed; it comes with Node.js; runs can")
    assert "broken.json" in broken
    assert f" http://127.0.0.1:{server.port}/?token={token} " in opened
    assert ended == "visdom: stopped"
    assert read_token(server.port, server.cache) == ""


def test_opened_to_the_network_it_warns(tmp_path: Path) -> None:
    server = Server(free_port(), tmp_path, host="0.0.0.0")
    server.wait_until_up()
    _, err = server.end(signal.SIGINT)
    assert sum(line.startswith("--host 0.0.0.0") for line in err.splitlines()) == 1


def outer_address() -> str:
    """This machine's address on its network; loopback's 127.0.0.2 without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.2"
        address: str = probe.getsockname()[0]
    return address


def test_a_port_in_use_is_told_of_before_anything_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"^--visdom-port {port}: already in use"):
            serve(port)


@pytest.mark.parametrize("host", ["no-such.invalid", "192.0.2.1"])
def test_a_host_that_is_not_here_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=f"^--host {host}: .*; use 127.0.0.1 or 0.0.0.0$"):
        serve(free_port(), host)


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file in its place")
    with pytest.raises(UsageError, match=r"^ANIMEGAN_CACHE .*: cannot be written"):
        serve(free_port(), cache_dir=cache)
