"""visdom's tornado application behind a guard: each request is judged before a handler sees it."""

import logging
import re
import secrets
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler
from visdom.server import app as visdom_app

from animegan.core.door_pages import AskForToken, Refusal, Welcome, small_page
from animegan.core.web_guard import QUERY, Access, ForeignRequestError, WebGuard
from animegan.monitor.visdom_messages import (
    BadMessageError,
    check_command,
    check_name,
    check_post,
    parse,
)

logger = logging.getLogger(__name__)

# What visdom's page and our client use; its other handlers (update, close, delete_env, fork_env,
# win_hash, error, socket_wrap, vis_socket, vis_socket_wrap, its login) are not served.
_PAGES = re.compile(r"/|/env/[^/]+|/compare/[^/]+")
_SERVED = {
    "GET": re.compile(rf"{_PAGES.pattern}|/socket|/static/.+|/user/style\.css|.*/favicon\.png"),
    "POST": re.compile(r"/(events|win_exists|env_state|win_data|save|env/[^/]+|compare/[^/]+)"),
}
_FOR_PROGRAMS = ("/events", "/win_exists", "/env_state")  # they write windows, and read none


class Application(visdom_app.Application):
    """visdom's application for one user.

    Args:
        guard: judges each request.
        port: the port that the server listens on.
        folder: existing folder for saved environments; nothing is written elsewhere.
    """

    def __init__(self, guard: WebGuard, port: int, folder: Path) -> None:
        self.guard = guard
        self.newest = ""  # the environment that last got a window
        super().__init__(port=port, env_path=str(folder))  # type: ignore[no-untyped-call]
        self.add_handlers(r".*", [(r".*/favicon\.png", NoIcon), (r"/", Front)])

    def load_state(self) -> dict[str, Any]:
        """Return the saved environments that are whole; visdom would fail on the others later."""
        state: dict[str, Any] = {"main": {"jsons": {}, "reload": {}}}
        for path in sorted(Path(self.env_path).glob("*.json")):
            try:
                env = parse(path.read_bytes())
                parts = {key: env.get(key) for key in ("jsons", "reload")}
                if not all(isinstance(part, dict) for part in parts.values()):
                    raise BadMessageError("not an environment of visdom")
                state[check_name(path.stem)] = parts
            except (OSError, BadMessageError) as failure:
                logger.info(f"visdom: {path} is left out ({failure})")
        return state

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Return what answers a request: visdom's handler, or one that refuses."""
        method, path = request.method or "", request.path
        try:
            access = self.guard.access(
                method, request.uri or "", request.headers, request.remote_ip or ""
            )
        except ForeignRequestError as refusal:
            return self._refusal(request, HTTPStatus.FORBIDDEN, str(refusal))
        if method not in _SERVED or not _SERVED[method].fullmatch(path):
            return self._refusal(request, HTTPStatus.NOT_FOUND, "not served here")
        if access is Access.OWNER:
            if QUERY in request.query_arguments and _PAGES.fullmatch(path):
                return self.get_handler_delegate(request, Welcome)
            return super().find_handler(request, **kwargs)
        if access is Access.PROGRAM and method == "POST" and path in _FOR_PROGRAMS:
            return super().find_handler(request, **kwargs)
        if method == "GET" and path == "/":
            return self.get_handler_delegate(request, AskForToken, {"command": "monitor"})
        why = "the token is missing or of an earlier start: open the address that `monitor` printed"
        return self._refusal(request, HTTPStatus.FORBIDDEN, why)

    def _refusal(self, request: HTTPServerRequest, status: int, text: str) -> Any:
        return self.get_handler_delegate(request, Refusal, {"status": status, "text": text})

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: list[bytes] | None = None,
        path_kwargs: dict[str, bytes] | None = None,
    ) -> Any:
        """Let every handler, visdom's and ours, check its messages and send our headers."""
        handler = _careful(target_class)
        return super().get_handler_delegate(request, handler, target_kwargs, path_args, path_kwargs)

    def newest_env(self) -> str:
        """Return the environment that last got a window, else a saved one with windows, or ""."""
        filled = [name for name, env in self.state.items() if env["jsons"]]
        return self.newest if self.newest in filled else (filled or [""])[-1]


def _careful(handler: type[RequestHandler]) -> type[RequestHandler]:
    mixin = _CarefulSocket if issubclass(handler, WebSocketHandler) else _Careful
    return type(f"Careful{handler.__name__}", (mixin, handler), {})


class _Careful(RequestHandler):
    """Checks a request's names and message, and adds headers that keep the page to itself."""

    application: Application

    def set_default_headers(self) -> None:
        # Windows may hold HTML: no script in it runs, and it fetches nothing from elsewhere.
        self._nonce = secrets.token_urlsafe(16)
        host = self.request.host
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'self'; script-src 'self' 'nonce-{self._nonce}' 'unsafe-eval'; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
            f"connect-src 'self' ws://{host} wss://{host}; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'",
        )
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")

    def prepare(self) -> None:
        try:
            if self.request.path.startswith("/env/"):
                check_name(self.path_args[0] if self.path_args else "env")
            if self.request.path.startswith("/compare/") and self.path_args:
                for name in self.path_args[0].split("+"):
                    check_name(name)
            if self.request.method == "POST" and not isinstance(self, Refusal):
                message = parse(self.request.body)
                check_post(self.request.path, message)
                if self.request.path == "/events":
                    self.application.newest = str(message.get("eid") or "main")
        except BadMessageError as failure:
            raise HTTPError(HTTPStatus.BAD_REQUEST, str(failure)) from None
        super().prepare()

    def render_string(self, template_name: str, **kwargs: Any) -> bytes:
        page = super().render_string(template_name, **kwargs)
        return page.replace(b"<script", b'<script nonce="' + self._nonce.encode() + b'"')

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        failure = kwargs.get("exc_info", (None, None))[1]
        text = failure.log_message if isinstance(failure, HTTPError) else None
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(f"{text or self._reason}\n")


class _CarefulSocket(_Careful, WebSocketHandler):
    """Checks what comes through a page's socket; a bad command changes and ends nothing."""

    def on_message(self, message: str | bytes) -> None:
        try:
            command = parse(message)
            check_command(command)
            if command["cmd"] == "delete_env" and command["eid"] in self.application.state:
                # visdom fails halfway on an environment that was never saved
                Path(self.application.env_path, f"{command['eid']}.json").touch()
            super().on_message(message)
        except (BadMessageError, KeyError, TypeError, AttributeError, OSError) as failure:
            logger.debug(f"visdom: a command was dropped ({failure!r})")

    def check_origin(self, origin: str) -> bool:
        return True  # the guard has compared it


class Front(RequestHandler):
    """Goes on to the newest plots, and waits for them if there are none."""

    application: Application

    def get(self) -> None:
        self.set_header("Cache-Control", "no-store")
        if newest := self.application.newest_env():
            self.redirect(f"/env/{quote(newest, safe='')}")
        else:
            self.finish(small_page("<p>Waiting for a training to show its plots here.</p>", "2"))


class NoIcon(RequestHandler):
    """The icon that visdom's page links to but visdom lacks."""

    def get(self) -> None:
        self.set_status(HTTPStatus.NO_CONTENT)


class StaticFiles(StaticFileHandler):
    """Serves visdom's static files, and renders its page even if some are missing.

    The page requests a versioned URL of `../user/style.css`, which tornado >= 6.6 rejects (403).
    """

    @classmethod
    def make_static_url(
        cls, settings: dict[str, Any], path: str, include_version: bool = True
    ) -> str:
        inside = ".." not in path and (Path(settings["static_path"]) / path).is_file()
        return super().make_static_url(settings, path, include_version and inside)
