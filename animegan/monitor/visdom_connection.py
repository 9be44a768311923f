"""The address of a visdom server, and messages posted to it over HTTP, within a time limit."""

import http.client
import json
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qs, quote, urlsplit

from animegan.core.errors import UsageError, reason
from animegan.core.web_guard import LOOPBACK, QUERY
from animegan.monitor.token_file import read_token

FAILURES = (OSError, http.client.HTTPException)
REFUSED = "connection refused"


class VisdomServer:
    """The address of a visdom server, and a way to post to it. Proxies are not used.

    Args:
        server: host or URL (http or https), with the token of a monitor elsewhere as its query.
        port: used unless the URL has one.
        timeout: limit of each network operation, in seconds.

    Raises:
        UsageError: `server` is not an address.
    """

    def __init__(self, server: str, port: int, timeout: float) -> None:
        parts = urlsplit(server if "//" in server else f"http://{server}")
        try:
            port = parts.port or port
        except ValueError:
            parts = parts._replace(scheme="")
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", server):
            raise UsageError(
                f"--visdom-server {server}: not a server address; an example is http://127.0.0.1"
            )
        self.host, self.port = parts.hostname, port
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"{parts.scheme}://{shown}:{port}{parts.path.rstrip('/')}"
        self._path = parts.path.rstrip("/")
        self._token = parse_qs(parts.query).get(QUERY, [""])[0]
        secure = parts.scheme == "https"
        self._kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    @property
    def is_here(self) -> bool:
        """Whether the address is this machine."""
        return self.host in LOOPBACK

    @property
    def token(self) -> str:
        """The token of our own monitor; "" if there is none, as with a visdom server by itself."""
        return self._token or (read_token(self.port) if self.is_here else "")

    def page(self, env: str) -> str:
        """Return the address that shows an environment in a browser."""
        query = f"?{QUERY}={self.token}" if self.token else ""
        return f"{self.url}/env/{quote(env, safe='')}{query}"

    def post(self, endpoint: str, message: Mapping[str, object]) -> str:
        """Post a message and return the response text. Raises one of FAILURES on any failure."""
        body = json.dumps(message, allow_nan=False)
        connection = self._kind(self.host, self.port, timeout=self._timeout)
        self._connection = connection
        headers = {"Authorization": f"Bearer {token}"} if (token := self.token) else {}
        try:
            connection.request("POST", f"{self._path}/{endpoint}", body.encode(), headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            self._connection = None
            connection.close()
        if answer.status != http.client.OK:
            hint = ", its address needs the token that it printed" if answer.status == 403 else ""
            raise http.client.HTTPException(f"HTTP {answer.status}{hint}")
        return text

    def abort(self) -> None:
        """Interrupt a post in progress, from another thread."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)


def describe(failure: Exception) -> str:
    """Return what went wrong with a post, in a few words."""
    if isinstance(failure, TimeoutError):
        return "no answer"
    if isinstance(failure, ConnectionRefusedError):
        return REFUSED
    return reason(failure)
