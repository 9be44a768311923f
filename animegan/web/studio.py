"""Serve the studio, a page for playing with a generator: the command `studio`."""

import asyncio
import errno
import logging
import socket
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from animegan.core.errors import UsageError, reason
from animegan.core.files import sha256
from animegan.core.signals import Terminated
from animegan.core.web_guard import QUERY, WebGuard

if TYPE_CHECKING:
    from animegan.generation.draw_recipes import RecipeDrawer

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
MOST_BODY = 4 * 1024**2  # bytes; the longest message, a walk, has less than 1 MB
IDLE_SECONDS = 60  # until a connection without a request, or half of one, is closed


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine's own address; port 0: any free one.

    Raises UsageError if the port is not available.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError as failure:
        why = "already in use" if failure.errno == errno.EADDRINUSE else reason(failure)
        raise UsageError(f"--port {port}: {why}; use another") from None
    listening.setblocking(False)
    return listening


def serve(listening: socket.socket, drawer: "RecipeDrawer", netg_path: Path, seed: int,
          browser: bool) -> None:  # fmt: skip
    """Serve the page on a listening socket until Ctrl-C, and open it in the browser if asked."""
    try:
        asyncio.run(_serve(listening, drawer, netg_path, seed, browser))
    except Terminated:
        raise
    except KeyboardInterrupt:
        logger.info("studio: stopped")


async def _serve(listening: socket.socket, drawer: "RecipeDrawer", netg_path: Path, seed: int,
                 browser: bool) -> None:  # fmt: skip
    from tornado.httpserver import HTTPServer

    from animegan.web.application import Studio, StudioApplication
    from animegan.web.painter import Painter

    for name in ("tornado.access", "tornado.general"):  # they tell of every garbled request
        logging.getLogger(name).setLevel(logging.ERROR)
    port = listening.getsockname()[1]
    guard = WebGuard.create(HOST, port)
    painter = Painter(drawer)
    fingerprint = sha256(netg_path)[:12]
    studio = Studio(drawer, painter, netg_path, fingerprint, seed, asyncio.Lock())
    server = HTTPServer(
        StudioApplication(guard, studio),
        max_body_size=MOST_BODY,
        max_buffer_size=MOST_BODY,
        idle_connection_timeout=IDLE_SECONDS,
        body_timeout=IDLE_SECONDS,
    )
    server.add_socket(listening)
    address = f"http://{HOST}:{port}/?{QUERY}={guard.token}"
    logger.info(f"studio: open {address} in a browser; Ctrl-C stops it")
    if browser:
        # some browsers answer only when they are closed
        asyncio.get_running_loop().run_in_executor(None, webbrowser.open, address)
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        painter.close()
