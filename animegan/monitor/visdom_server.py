"""Run visdom's server: the command `monitor`."""

import errno
import getpass
import logging
import os
import socket
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import Any

from animegan.core.errors import UsageError, reason
from animegan.core.signals import Terminated
from animegan.data.cache_folder import cache_root
from animegan.monitor.visdom_scripts import ScriptsError, lacking, static_folder

logger = logging.getLogger(__name__)

LOCAL = ("127.0.0.1", "localhost", "::1")
MAX_MESSAGE = 1024**3  # bytes; visdom's own limit


def serve(
    port: int,
    host: str = "127.0.0.1",
    *,
    cache_dir: Path | None = None,
) -> None:
    """Serve until Ctrl-C.

    Args:
        port: port to listen on.
        host: address to listen on.
        cache_dir: folder for the scripts and, in `visdom-environments`, for environments saved in
            the browser; None means `cache_root()`.

    Raises:
        UsageError: the address is not available, or the cache is not writable.
    """
    _listen(port, host).close()  # fail early: what follows may take a while
    cache = cache_root() if cache_dir is None else cache_dir
    _name_the_user()
    try:
        _serve(port, host, cache)
    except Terminated:
        raise
    except KeyboardInterrupt:
        logger.info("visdom: stopped")


def _serve(port: int, host: str, cache: Path) -> None:
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop
    from visdom.server import app as visdom_app

    settings = visdom_app.tornado_settings
    static = _static(Path(settings["static_path"]), cache)
    settings["static_path"] = settings["template_path"] = str(static)
    settings["static_handler_class"] = _static_files()
    settings["autoreload"] = False  # visdom turns on tornado's debug mode, which restarts on edits
    logging.getLogger("tornado.access").setLevel(logging.ERROR)

    environments = cache / "visdom-environments"
    try:
        environments.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise UsageError(
            f"ANIMEGAN_CACHE {cache}: cannot be written to ({reason(failure)}); use another folder"
        ) from None
    application = visdom_app.Application(  # type: ignore[no-untyped-call]
        port=port, env_path=str(environments)
    )
    application.add_handlers(r".*", [(r".*/favicon\.png", _no_icon())])
    server = HTTPServer(application, max_buffer_size=MAX_MESSAGE)
    server.add_socket(_listen(port, host))
    if host not in LOCAL:
        logger.info(
            f"--host {host}: anyone who can reach this machine can view and change the pages; "
            "visdom has no login"
        )
    logger.info(f"visdom: open http://{_in_url(host)}:{port} in a browser; Ctrl-C stops the server")
    IOLoop.current().start()


def _static(own: Path, cache: Path) -> Path:
    """Return the folder with the page and its scripts, or visdom's own (and a message)."""
    try:
        return static_folder(own, metadata.version("visdom"), cache)
    except ScriptsError as failure:
        missing = len(lacking(own))
        logger.info(
            f"visdom: {failure}; runs can still log here, but the page lacks {missing} scripts and "
            "styles and stays blank until this is fixed and the server restarted"
        )
        return own


def _static_files() -> type:
    """Return a static file handler that renders visdom's page even if files are missing.

    The page requests a versioned URL of `../user/style.css`, which tornado >= 6.6 rejects (403).
    """
    from tornado.web import StaticFileHandler

    class StaticFiles(StaticFileHandler):
        @classmethod
        def make_static_url(
            cls, settings: dict[str, Any], path: str, include_version: bool = True
        ) -> str:
            inside = ".." not in path and (Path(settings["static_path"]) / path).is_file()
            return super().make_static_url(settings, path, include_version and inside)

    return StaticFiles


def _no_icon() -> type:
    """Return a handler for the favicon that visdom's page links to but visdom lacks."""
    from tornado.web import RequestHandler

    class NoIcon(RequestHandler):
        def get(self) -> None:
            self.set_status(HTTPStatus.NO_CONTENT)

    return NoIcon


def _listen(port: int, host: str) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(address, family=family)
    except socket.gaierror:
        raise UsageError(f"--host {host}: no such address; use 127.0.0.1 or 0.0.0.0") from None
    except PermissionError:
        raise UsageError(f"--visdom-port {port}: not permitted; use one above 1023") from None
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE:
            raise UsageError(
                f"--visdom-port {port}: already in use by a visdom server or another program; "
                "use another port, here and in training"
            ) from None
        raise UsageError(f"--host {host}: {reason(failure)}; use 127.0.0.1 or 0.0.0.0") from None
    listening.setblocking(False)
    return listening


def _in_url(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _name_the_user() -> None:
    """Make sure a user name exists: visdom shows it, and fails without one (bare containers)."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["USER"] = "visdom"
