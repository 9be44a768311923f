"""Stand-ins for a visdom server: one that answers, can hang, die and come back; and a mute one."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandIn:
    """Keeps windows as visdom does, in memory; `status` other than 200 refuses every message."""

    def __init__(self, port: int = 0) -> None:
        self.windows: dict[str, dict[str, Any]] = {}
        self.posts = 0
        self.status = 200
        self.answers = threading.Event()  # cleared: takes requests and leaves them unanswered
        self.answers.set()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                answer = stand_in.take(self.path, json.loads(self.rfile.read(length))).encode()
                stand_in.answers.wait(10)
                self.send_response(stand_in.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that did not wait for its answer

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, path: str, message: dict[str, Any]) -> str:
        self.posts += 1
        if path == "/env_state":
            return json.dumps(["main"])
        if path == "/win_exists":
            return json.dumps(message["win"] in self.windows)
        assert path == "/events"
        self.windows[message["win"]] = message
        return str(message["win"])

    def curve(self, window: str, name: str) -> list[tuple[int, float]]:
        """The points a plot shows under a name; none if it is not there."""
        for curve in self.windows.get(window, {}).get("data", []):
            if curve["name"] == name:
                return list(zip(curve["x"], curve["y"], strict=True))
        return []

    def stop(self) -> None:
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Mute:
    """Accepts connections, never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def stop(self) -> None:
        self._socket.close()
