"""visdom's own server as the tool runs it: a real one, killed and started anew in mid-use."""

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
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from animegan.core.errors import UsageError
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
        self.port = port
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
                self.ask("env_state")
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"the server was not up after {START_SECONDS} s")

    def ask(self, path: str, **message: object) -> Any:
        data = json.dumps(message).encode()
        with OPENER.open(f"http://127.0.0.1:{self.port}/{path}", data, timeout=10) as answer:
            return json.load(answer)

    def get(self, path: str) -> tuple[int, str]:
        with OPENER.open(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()

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
    with closing(connect("127.0.0.1", server.port, "main", list)) as found:
        assert isinstance(found, VisdomMonitor)
    monitor = VisdomMonitor(
        port=server.port, env="faces", history=lambda: list(record),
        interval=0.05, longest_pause=0.2, share=1.0,
    )  # fmt: skip

    def train(step: int) -> None:
        record.append({"step": step, "loss_d": 1 / step, "loss_g": 2.0, "d_x": 0.5, "d_g_z": 0.5})
        monitor.scalars(step, {key: value for key, value in record[-1].items() if key != "step"})

    def seen(one: Server) -> list[int]:
        plot = one.windows("faces").get("losses", {"content": {"data": [{"x": []}]}})
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
    lost, back = said
    assert "lost" in lost
    assert "is back" in back


def test_without_npm_it_serves_says_what_lacks_and_ends_quietly(
    server: Server, tmp_path: Path
) -> None:
    server.wait_until_up()
    status, page = server.get("/")
    assert status == 200
    assert "static/js/main.js" in page
    assert server.get("/env/favicon.png")[0] == 204
    with socket.socket() as probe:  # only this machine is let in
        assert probe.connect_ex((outer_address(), server.port)) != 0
    out, err = server.end(signal.SIGINT)
    assert server.process.returncode == 0
    assert out == ""
    lack, opened, ended = err.splitlines()
    assert lack.startswith("visdom: npm is not installed; it comes with Node.js; runs can")
    assert "the page lacks" in lack
    assert (
        opened
        == f"visdom: open http://127.0.0.1:{server.port} in a browser; Ctrl-C stops the server"
    )
    assert ended == "visdom: stopped"
    assert (tmp_path / "cache" / "visdom-environments" / "main.json").exists()


def test_opened_to_the_network_it_warns(tmp_path: Path) -> None:
    server = Server(free_port(), tmp_path, host="0.0.0.0")
    server.wait_until_up()
    _, err = server.end(signal.SIGINT)
    warning = [line for line in err.splitlines() if line.startswith("--host 0.0.0.0")]
    assert warning == [
        "--host 0.0.0.0: anyone who can reach this machine can view and change the pages; "
        "visdom has no login"
    ]


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
