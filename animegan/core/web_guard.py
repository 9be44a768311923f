"""Who may use a web server of ours on this machine: its owner's browser and programs, no web page.

Any page in the user's browser can send requests to a local server, and a name that its author
controls can be made to point here (DNS rebinding). So every request must name this server in
`Host`, must not come from a page of another origin, and shows a token that is new at each start.
The module knows no web framework: it takes a request's headers and says what the request may do.
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qs, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS = ("0.0.0.0", "::", "")
QUERY = "token"  # the parameter that carries the token in the printed address
_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Via")


class Access(Enum):
    """What a request may do."""

    OWNER = "everything: it has the token"
    PROGRAM = "what is safe for any program on this machine; it does not come from a browser"
    NONE = "nothing but read how to get in"


class ForeignRequestError(Exception):
    """The request names another server or comes from another site; the message says which."""


@dataclass(frozen=True)
class WebGuard:
    """Decides about the requests to one server.

    Attributes:
        token: the secret of this start, in characters that a URL takes as they are.
        names: host names and addresses, in lower case, by which the server may be called.
        any_address: whether every address in numbers is one of the server's names. A page cannot
            make its own origin one of these, so they are safe where the server listens on all.
        cookie: name of the cookie with the token. Browsers share cookies between ports, so it has
            the port in its name.
    """

    token: str
    names: frozenset[str]
    any_address: bool
    cookie: str

    @classmethod
    def create(cls, host: str, port: int) -> "WebGuard":
        """Return a guard with a new token for a server that listens on `host` and `port`."""
        everywhere = host in ANY_ADDRESS
        own = socket.gethostname() if everywhere else host
        return cls(
            token=secrets.token_urlsafe(24),
            names=frozenset((*LOOPBACK, own.lower())),
            any_address=everywhere,
            cookie=f"animegan-{port}",
        )

    def access(self, method: str, target: str, headers: Mapping[str, str], peer: str) -> Access:
        """Say what a request may do.

        Args:
            method: "GET", "POST", ...
            target: path and query, as in the request line.
            headers: a mapping whose `get` ignores case; repeated headers are joined by commas.
            peer: address of the other end of the connection.

        Raises:
            ForeignRequestError: `Host` is not this server, or a page of another origin sent it.
        """
        host = headers.get("Host", "")
        if not self._is_ours(host):
            raise ForeignRequestError(f"this server is not called {host!r}")
        origin = headers.get("Origin")
        if origin is not None and not _same_origin(origin, host):
            raise ForeignRequestError(f"a page of {origin!r} may not use this server")
        if _from_another_site(method, headers):
            raise ForeignRequestError("a page of another site may not use this server")
        if any(self._is_token(text) for text in self._offered(target, headers)):
            return Access.OWNER
        return Access.PROGRAM if _is_local_program(headers, peer) else Access.NONE

    def _is_ours(self, host: str) -> bool:
        # The port is not compared: a tunnel or a container may show the server on another one,
        # and a page of another port of this host is told by its Origin.
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.netloc != host or parts.username is not None:
            return False
        return name in self.names or (self.any_address and _is_address(name))

    def _offered(self, target: str, headers: Mapping[str, str]) -> Iterator[str]:
        yield from parse_qs(urlsplit(target).query).get(QUERY, [])
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            yield credentials.strip()
        for pair in headers.get("Cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self.cookie:
                yield value

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.token.encode())


def _same_origin(origin: str, host: str) -> bool:
    scheme, _, place = origin.partition("://")
    return scheme in ("http", "https") and place.lower() == host.lower()


def _from_another_site(method: str, headers: Mapping[str, str]) -> bool:
    """Whether the browser says so; a link that the user follows to a whole page is no harm."""
    if headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
        return False
    followed = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest"))
    return method != "GET" or followed != ("navigate", "document")


def _is_local_program(headers: Mapping[str, str], peer: str) -> bool:
    browser = any(name.lower().startswith(("sec-", "origin", "cookie")) for name in headers)
    proxy = any(headers.get(name) is not None for name in _PROXIES)
    return not browser and not proxy and _is_address(peer) and _is_loopback(peer)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
