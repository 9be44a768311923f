"""Run visdom's server: the command `monitor`."""

import errno
import getpass
import logging
import os
import socket
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path

from animegan.core.errors import UsageError, reason
from animegan.core.npm import NpmError
from animegan.core.optional import require
from animegan.core.signals import Terminated
from animegan.core.web_guard import ANY_ADDRESS, LOOPBACK, QUERY, WebGuard
from animegan.data.cache_folder import cache_root
from animegan.monitor.token_file import published
from animegan.monitor.visdom_scripts import lacking, static_folder

logger = logging.getLogger(__name__)

MAX_MESSAGE = 64 * 1024**2  # bytes; the longest, a grid of pictures as PNG, has less than 2 MB
IDLE_SECONDS = 60  # until a connection without a request, or half of one, is closed


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
        cache_dir: folder for the scripts, the token and, in `visdom-environments`, environments
            saved in the browser; None means `cache_root()`.

    Raises:
        UsageError: visdom is missing, the address is not available, or the cache is not writable.
    """
    require("visdom", "monitor")
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

    from animegan.monitor.visdom_application import Application, StaticFiles

    settings = visdom_app.tornado_settings
    static = _static(Path(settings["static_path"]), cache)
    settings["static_path"] = settings["template_path"] = str(static)
    settings["static_handler_class"] = StaticFiles
    settings["autoreload"] = False  # visdom turns on tornado's debug mode, which restarts on edits
    for name in ("tornado.access", "tornado.general"):  # they tell of every garbled request
        logging.getLogger(name).setLevel(logging.ERROR)

    environments = cache / "visdom-environments"
    guard = WebGuard.create(host, port)
    with ExitStack() as stack:
        try:
            environments.mkdir(parents=True, exist_ok=True)
            stack.enter_context(published(guard.token, port, cache))
        except OSError as failure:
            raise UsageError(
                f"ANIMEGAN_CACHE {cache}: cannot be written to ({reason(failure)}); "
                "use another folder"
            ) from None
        server = HTTPServer(
            Application(guard, port, environments),
            max_buffer_size=MAX_MESSAGE,
            idle_connection_timeout=IDLE_SECONDS,
            body_timeout=IDLE_SECONDS,
        )
        server.add_socket(_listen(port, host))
        if host not in LOOPBACK:
            logger.info(
                f"--host {host}: anyone on the network who has the address below can view and "
                "change the pages"
            )
        address = f"http://{_in_url(host)}:{port}/?{QUERY}={guard.token}"
        logger.info(f"visdom: open {address} in a browser; Ctrl-C stops the server")
        IOLoop.current().start()


def _static(own: Path, cache: Path) -> Path:
    """Return the folder with the page and its scripts, or visdom's own (and a message)."""
    try:
        return static_folder(own, metadata.version("visdom"), cache)
    except NpmError as failure:
        missing = len(lacking(own))
        logger.info(
            f"visdom: {failure}; runs can still log here, but the page lacks {missing} scripts and "
            "styles and stays blank until this is fixed and the server restarted"
        )
        return own


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
    if host in ANY_ADDRESS:
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _name_the_user() -> None:
    """Make sure a user name exists: visdom shows it, and fails without one (bare containers)."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["USER"] = "visdom"
