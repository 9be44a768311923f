"""The client: what arrives, and that no server, however bad, gets in training's way."""

import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import torch

from animegan.core.errors import UsageError
from animegan.core.program import command_line
from animegan.data.cache_folder import cache_root
from animegan.monitor import visdom_client
from animegan.monitor.base import NullMonitor
from animegan.monitor.token_file import published, token_file
from animegan.monitor.visdom_client import VisdomMonitor, connect
from animegan.monitor.visdom_connection import VisdomServer
from tests.support.said import heard
from tests.support.standin import Mute, StandIn

SHEET = torch.zeros(3, 8, 8, dtype=torch.uint8)


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def mute() -> Iterator[Mute]:
    mute = Mute()
    yield mute
    mute.stop()


@pytest.fixture
def said() -> list[str]:
    return heard()


@pytest.fixture
def watch(said: list[str]) -> Iterator[Callable[..., VisdomMonitor]]:
    """Makes impatient monitors, closed at the end."""
    made = []

    def make(port: int, **more: Any) -> VisdomMonitor:
        kind: dict[str, Any] = {
            "history": list,
            "timeout": 0.3,
            "interval": 0.02,
        }
        monitor = VisdomMonitor(port=port, **kind | {"longest_pause": 0.1, "share": 1.0} | more)
        made.append(monitor)
        return monitor

    yield make
    for monitor in made:
        monitor.close()
        monitor._thread.join(5)


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for a condition; fail if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def free_port() -> int:
    stand_in = StandIn()
    stand_in.stop()
    return stand_in.port


def test_curves_images_and_texts_arrive_in_their_windows(
    server: StandIn, watch: Callable[..., VisdomMonitor], said: list[str]
) -> None:
    monitor = watch(server.port, env="faces")
    monitor.text("options", "nz = 100")
    monitor.images("fake", 20, SHEET)
    monitor.images("real", 20, SHEET)
    for step in (20, 40, 60):
        monitor.scalars(step, {"loss_d": step / 10, "loss_g": 1.0, "d_x": 0.6, "d_g_z": 0.4})
    monitor.scalars(60, {"kid": 0.02, "recall": 0.5})
    monitor.close()
    assert set(server.windows) == {"options", "fake", "real", "losses", "scores", "kid", "recall"}
    assert server.curve("losses", "discriminator") == [(20, 2.0), (40, 4.0), (60, 6.0)]
    assert server.curve("scores", "D(G(z))") == [(20, 0.4), (40, 0.4), (60, 0.4)]
    assert server.curve("recall", "recall") == [(60, 0.5)]
    assert {window["eid"] for window in server.windows.values()} == {"faces"}
    assert said == []


def test_a_resumed_run_shows_its_past(server: StandIn, watch: Callable[..., VisdomMonitor]) -> None:
    past = [{"step": 10, "epoch": 1.0, "loss_d": 1.0, "recall": 0.1}, {"step": 20, "loss_d": 2.0}]
    monitor = watch(server.port, history=lambda: past)
    monitor.scalars(30, {"loss_d": 3.0, "recall": 0.3})
    monitor.close()
    assert server.curve("losses", "discriminator") == [(10, 1.0), (20, 2.0), (30, 3.0)]
    assert server.curve("recall", "recall") == [(10, 0.1), (30, 0.3)]
    assert set(server.windows) == {"losses", "recall"}  # no window for what only keeps the books


def test_only_the_newest_sheet_of_a_name_waits(
    server: StandIn, watch: Callable[..., VisdomMonitor]
) -> None:
    server.answers.clear()
    monitor = watch(server.port, timeout=5.0)
    monitor.text("options", "nz = 100")
    until(lambda: server.posts)
    for step in range(1000):
        monitor.images("fake", step, SHEET)
    assert len(monitor._images) == 1
    server.answers.set()
    monitor.close()
    assert server.windows["fake"]["opts"]["title"] == "fake, step 999"
    assert server.posts < 10


def test_a_sheet_may_be_written_over_after_the_call(
    server: StandIn, watch: Callable[..., VisdomMonitor]
) -> None:
    server.answers.clear()
    monitor = watch(server.port, timeout=5.0)
    monitor.text("options", "nz = 100")
    until(lambda: server.posts)
    sheet = SHEET.clone()
    monitor.images("fake", 1, sheet)
    monitor.images("real", 1, SHEET)
    sheet += 200
    server.answers.set()
    monitor.close()
    assert server.windows["fake"]["data"] == server.windows["real"]["data"]


def test_a_server_killed_and_started_anew_gets_everything_again(
    server: StandIn, watch: Callable[..., VisdomMonitor], said: list[str]
) -> None:
    record: list[dict[str, float]] = []

    def train(step: int) -> None:
        record.append({"step": step, "loss_d": float(step)})
        monitor.scalars(step, {"loss_d": float(step)})

    monitor = watch(server.port, history=lambda: list(record))
    monitor.text("options", "nz = 100")
    monitor.images("fake", 1, SHEET)
    train(1)
    until(lambda: server.curve("losses", "discriminator") == [(1, 1.0)])
    server.stop()
    for step in range(2, 60):
        train(step)
    until(lambda: said)
    again = StandIn(server.port)
    try:
        until(lambda: {"options", "fake", "losses"} <= set(again.windows))
        train(60)
        until(lambda: len(again.curve("losses", "discriminator")) == 60)
    finally:
        monitor.close()
        again.stop()
    assert again.curve("losses", "discriminator") == [(n, float(n)) for n in range(1, 61)]
    lost, back = (line.split(" ", 3)[3] for line in said)
    why = "connection refused|Connection reset by peer"  # the latter if it was being written to
    assert re.fullmatch(rf"\(({why})\); training continues, .* once it is back", lost)
    assert back == "back, plots are complete"


def test_a_restart_between_two_messages_is_noticed(
    server: StandIn, watch: Callable[..., VisdomMonitor]
) -> None:
    monitor = watch(server.port)
    monitor.text("options", "nz = 100")
    monitor.images("fake", 1, SHEET)
    monitor.scalars(1, {"loss_d": 1.0})
    until(lambda: len(server.windows) == 3)
    server.windows.clear()  # as a server does that is away only while nothing is sent
    monitor.scalars(2, {"kid": 1.0})
    until(lambda: set(server.windows) == {"options", "fake", "losses", "kid"})


def test_steps_that_found_no_room_come_back_from_the_record(
    server: StandIn, watch: Callable[..., VisdomMonitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visdom_client, "MAX_WAITING", 50)
    record = [{"step": step, "loss_d": float(step)} for step in range(1, 901)]
    server.answers.clear()
    monitor = watch(server.port, timeout=5.0, history=lambda: record)
    monitor.scalars(1, {"loss_d": 1.0})
    until(lambda: server.posts)
    for line in record:
        monitor.scalars(int(line["step"]), {"loss_d": line["loss_d"]})
    assert len(monitor._scalars) == 50
    server.answers.set()
    monitor.close()
    assert server.curve("losses", "discriminator") == [(n, float(n)) for n in range(1, 901)]


def test_a_server_that_hangs_costs_neither_time_nor_memory(
    mute: Mute, watch: Callable[..., VisdomMonitor], said: list[str]
) -> None:
    monitor = watch(mute.port, timeout=30.0)
    started = time.monotonic()
    for step in range(2000):
        monitor.scalars(step, {"loss_d": 1.0})
        monitor.images("fake", step, SHEET)
    assert time.monotonic() - started < 2.0
    started = time.monotonic()
    monitor.close()
    assert 1.0 < time.monotonic() - started < 4.0
    monitor._thread.join(2.0)
    assert not monitor._thread.is_alive()  # the wait of 30 s was broken off
    assert said == []


def test_a_server_that_hangs_for_a_while_is_told_of(
    server: StandIn, watch: Callable[..., VisdomMonitor], said: list[str]
) -> None:
    monitor = watch(server.port)
    server.answers.clear()
    monitor.scalars(1, {"loss_d": 1.0})
    until(lambda: said)
    assert said[0].startswith("visdom: lost ")
    assert "(no answer)" in said[0]
    server.answers.set()
    until(lambda: len(said) == 2)
    assert "is back" in said[1]


def test_a_server_that_refuses_is_tried_ever_more_seldom(
    server: StandIn, watch: Callable[..., VisdomMonitor], said: list[str]
) -> None:
    server.status = 500
    monitor = watch(server.port, longest_pause=60.0)
    monitor.scalars(1, {"loss_d": 1.0})
    until(lambda: server.posts >= 3)
    time.sleep(0.5)
    assert server.posts <= 7  # 0.02 s, 0.04 s, 0.08 s, ... apart
    assert len(said) == 1
    assert "HTTP 500" in said[0]


def test_a_record_that_cannot_be_read_is_told_of_and_the_rest_goes_on(
    server: StandIn, watch: Callable[..., VisdomMonitor], said: list[str]
) -> None:
    def history() -> list[dict[str, float]]:
        raise PermissionError("not yours")

    monitor = watch(server.port, history=history)
    monitor.scalars(1, {"loss_d": 1.0})
    monitor.close()
    assert server.curve("losses", "discriminator") == [(1, 1.0)]
    assert said == ["visdom: cannot read the run's metrics (not yours); plots have gaps"]


def test_little_of_the_time_is_spent(server: StandIn, watch: Callable[..., VisdomMonitor]) -> None:
    monitor = watch(server.port, share=0.01, interval=0.0)
    sheet = torch.randint(0, 256, (3, 400, 400), dtype=torch.uint8)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        monitor.images("fake", 1, sheet)
        time.sleep(0.01)
    assert 1 <= server.posts <= 10  # of a hundred


def test_close_twice_and_calls_afterwards_do_nothing(
    server: StandIn, watch: Callable[..., VisdomMonitor]
) -> None:
    monitor = watch(server.port)
    monitor.close()
    monitor.close()
    monitor.scalars(1, {"loss_d": 1.0})
    monitor.images("fake", 1, SHEET)
    monitor.text("options", "nz = 100")
    assert not monitor._thread.is_alive()
    assert server.windows == {}


def test_connect_says_where_to_look(server: StandIn, said: list[str]) -> None:
    with closing(connect("127.0.0.1", server.port, "a b/c", list)) as monitor:
        assert isinstance(monitor, VisdomMonitor)
    assert len(said) == 1
    assert f"http://127.0.0.1:{server.port}/env/a%20b_c" in said[0].split()


def test_the_address_has_the_token_of_the_monitor_on_that_port(server: StandIn) -> None:
    where = VisdomServer("127.0.0.1", server.port, 1.0)
    cache_root().mkdir(parents=True, exist_ok=True)
    with published("abc", server.port, cache_root()):
        assert stat.S_IMODE(token_file(server.port).stat().st_mode) == 0o600 or os.name == "nt"
        assert where.page("GAN").endswith("/env/GAN?token=abc")
        assert VisdomServer("elsewhere", server.port, 1.0).token == ""
    assert where.page("GAN").endswith("/env/GAN")
    assert VisdomServer("http://elsewhere:1/?token=xyz", 2, 1.0).token == "xyz"


def test_without_a_server_one_calm_line_says_how_to_start_it(said: list[str]) -> None:
    port = free_port()
    assert isinstance(connect("http://127.0.0.1", port, "main", list), NullMonitor)
    assert len(said) == 1
    assert said[0].startswith(f"no visdom at http://127.0.0.1:{port}: ")
    assert "refused" not in said[0]
    assert f"monitor --visdom-port={port}`" in said[0]


def test_a_mute_server_is_waited_for_2_seconds(mute: Mute, said: list[str]) -> None:
    started = time.monotonic()
    assert isinstance(connect("127.0.0.1", mute.port, "main", list), NullMonitor)
    assert time.monotonic() - started < 4.0
    assert len(said) == 1


def test_a_server_of_another_kind_is_not_taken_for_visdom(
    server: StandIn, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "take", lambda path, message: "<html>")
    assert isinstance(connect("127.0.0.1", server.port, "main", list), NullMonitor)
    assert "the server there is not visdom" in said[0]
    server.status = 404
    assert isinstance(connect("127.0.0.1", server.port, "main", list), NullMonitor)
    assert "HTTP 404" in said[1]


def test_a_name_nobody_knows_is_no_server(said: list[str]) -> None:
    assert isinstance(connect("no-such.invalid", 8097, "main", list), NullMonitor)
    assert len(said) == 1
    assert f"`{command_line('monitor')}` on no-such.invalid" in said[0]


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("http://127.0.0.1", "http://127.0.0.1:8097"),
        ("localhost", "http://localhost:8097"),
        ("https://vis.example.org/ours/", "https://vis.example.org:8097/ours"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]", "http://[::1]:8097"),
    ],
)
def test_addresses(server: str, url: str) -> None:
    assert VisdomServer(server, 8097, 1.0).url == url


@pytest.mark.parametrize(
    "server", ["ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "not a url"]
)
def test_what_is_no_address_is_refused(server: str, said: list[str]) -> None:
    before = threading.active_count()
    with pytest.raises(UsageError, match=r"^--visdom-server .*: not a server address"):
        connect(server, 8097, "main", list)
    assert threading.active_count() == before
