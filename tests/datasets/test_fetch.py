"""A transfer against a server of this machine: whole, broken off, gone on with, changed."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from animegan.core.errors import UsageError
from animegan.datasets.download.fetch import fetch

CONTENT = bytes(range(256)) * 5000


class Server(ThreadingHTTPServer):
    content = CONTENT
    version = '"1"'
    stop_after: int | None = None  # bytes of each answer, then the line breaks
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        body, start = self.server.content, 0
        if wanted and self.server.ranges and self.headers.get("If-Range") == self.server.version:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", self.server.version)
        self.end_headers()
        body = body[start:]
        self.wfile.write(body[: self.server.stop_after])
        if self.server.stop_after is not None:
            self.connection.close()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_brings_the_file_once(server: Server, tmp_path: Path) -> None:
    path = fetch([server.url], tmp_path / "sub" / "data.zip")
    assert path.read_bytes() == CONTENT
    fetch([server.url], path)
    assert server.asked == [None]
    assert [p.name for p in path.parent.iterdir()] == ["data.zip"]


def test_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.stop_after = 500_000
    with pytest.raises(UsageError, match="run the command again to resume"):
        fetch([server.url], tmp_path / "data.zip")
    assert not (tmp_path / "data.zip").exists()
    server.stop_after = None
    assert fetch([server.url], tmp_path / "data.zip").read_bytes() == CONTENT
    assert server.asked[0] is None
    assert server.asked[-1] == "bytes=500000-"


def test_begins_anew_if_the_file_changed(server: Server, tmp_path: Path) -> None:
    server.stop_after = 500_000
    with pytest.raises(UsageError):
        fetch([server.url], tmp_path / "data.zip")
    server.stop_after, server.version, server.content = None, '"2"', CONTENT[::-1]
    assert fetch([server.url], tmp_path / "data.zip").read_bytes() == CONTENT[::-1]


def test_begins_anew_with_a_server_that_cannot_go_on(server: Server, tmp_path: Path) -> None:
    server.stop_after = 500_000
    with pytest.raises(UsageError):
        fetch([server.url], tmp_path / "data.zip")
    server.stop_after, server.ranges = None, False
    assert fetch([server.url], tmp_path / "data.zip").read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    (tmp_path / "data.zip.version").write_text('"1"')
    assert fetch([server.url], tmp_path / "data.zip").read_bytes() == CONTENT


def test_takes_the_next_mirror(server: Server, tmp_path: Path) -> None:
    dead = "http://127.0.0.1:9/data.zip"
    assert fetch([dead, server.url], tmp_path / "data.zip").read_bytes() == CONTENT


def test_without_network_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:9.*--archive"):
        fetch(["http://127.0.0.1:9/data.zip"], tmp_path / "data.zip")
