"""The studio's addresses: a fixed table behind the guard, and no other file of this machine."""

import asyncio
import json
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from animegan.core import door_pages, images
from animegan.core.errors import UsageError, reason
from animegan.core.program import command_line
from animegan.core.web_guard import QUERY, Access, ForeignRequestError, WebGuard
from animegan.generation.draw_recipes import RecipeDrawer
from animegan.generation.generate import columns_of
from animegan.generation.recipes import Recipe, as_json, parse, parse_json
from animegan.web.animation import animation
from animegan.web.painter import BusyError, Painter

MOST_FRAMES = 480  # of an animation
MOST_ON_SHEET = 256
MOST_TARGET = 24 * 1024  # characters of an address
MOST_SHOWN = 1500  # characters of recipes in a command line; longer ones go through a file
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css",
          ".svg": "image/svg+xml"}  # fmt: skip
_PAGE = "index.html"
FILES = {
    f"/{'' if file.name == _PAGE else file.name}": (
        _TYPES[Path(file.name).suffix],
        file.read_bytes(),
    )
    for file in resources.files("animegan.web").joinpath("static").iterdir()
    if Path(file.name).suffix in _TYPES
}


@dataclass(frozen=True)
class Studio:
    """What the addresses share.

    Attributes:
        netg_path: the weight file; it may vanish, the studio goes on with what it has read.
        fingerprint: differs between weight files; pages keep pictures under it.
        seed: the seed that the wall starts with.
    """

    drawer: RecipeDrawer
    painter: Painter
    netg_path: Path
    fingerprint: str
    seed: int
    animating: asyncio.Lock  # one animation at a time


class StudioApplication(Application):
    """Serves the page to the one who has the token."""

    def __init__(self, guard: WebGuard, studio: Studio) -> None:
        self.guard = guard
        self.studio = studio
        super().__init__(
            [
                *((path, File, {"path": path}) for path in FILES),
                ("/about", About),
                ("/face", Face),
                ("/sheet", Sheet),
                ("/animation", Animation),
                ("/command", Command),
                (".*", Refusal, {"status": HTTPStatus.NOT_FOUND, "text": "not served here"}),
            ],
            log_function=lambda handler: None,
        )

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Return what answers a request, or a handler that refuses it."""
        target = request.uri or ""
        if len(target) > MOST_TARGET:
            return self._refusal(
                request, HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long"
            )
        try:
            access = self.guard.access(
                request.method or "", target, request.headers, request.remote_ip or ""
            )
        except ForeignRequestError as refusal:
            return self._refusal(request, HTTPStatus.FORBIDDEN, str(refusal))
        front = request.method == "GET" and request.path == "/"
        if access is Access.OWNER:
            if front and QUERY in request.query_arguments:
                return self.get_handler_delegate(request, Welcome)
            return super().find_handler(request, **kwargs)
        if front:
            return self.get_handler_delegate(request, AskForToken, {"command": "studio"})
        return self._refusal(
            request,
            HTTPStatus.FORBIDDEN,
            "the token is missing or of an earlier start: open the address that `studio` printed",
        )

    def _refusal(self, request: HTTPServerRequest, status: int, text: str) -> Any:
        return self.get_handler_delegate(request, Refusal, {"status": status, "text": text})


class _Handler(RequestHandler):
    """Adds headers that keep the page to itself; tells errors as one line of text."""

    application: StudioApplication
    gone = False  # whether the page has closed the connection

    def on_connection_close(self) -> None:
        self.gone = True

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    @property
    def studio(self) -> Studio:
        return self.application.studio

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        failure = kwargs.get("exc_info", (None, None))[1]
        text = self._reason
        if isinstance(failure, UsageError):
            self.set_status(HTTPStatus.BAD_REQUEST)
            text = str(failure)
        elif isinstance(failure, BusyError):
            self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
            text = "too many pictures are asked for at once; try again"
        elif isinstance(failure, HTTPError):
            text = failure.log_message or self._reason
        elif failure is not None:
            text = f"drawing failed ({reason(failure, 100)})"
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(f"{text}\n")

    def log_exception(self, *args: Any) -> None:
        """The page tells it, in one line."""

    def recipe(self, value: object) -> Recipe:
        """Check a value from a page. Raises UsageError if this generator cannot draw it."""
        recipe = parse(value, "recipe")
        self.studio.drawer.check(recipe, "recipe")
        return recipe

    def message(self) -> dict[str, Any]:
        """Return the object that a page sent. Raises UsageError for anything else."""
        try:
            text = self.request.body.decode()
        except UnicodeDecodeError:
            raise UsageError("message: is not UTF-8") from None
        value = parse_json(text, "message")
        if not isinstance(value, dict):
            raise UsageError("message: is not an object")
        return value

    def recipes(self, message: dict[str, Any], most: int) -> list[Recipe]:
        """Return the recipes of a message. Raises UsageError for none, or more than `most`."""
        values = message.get("recipes")
        if not isinstance(values, list) or not 0 < len(values) <= most:
            raise UsageError(f"recipes: give 1 to {most} of them")
        return [self.recipe(value) for value in values]


class File(_Handler):
    """One of the page's own files."""

    def initialize(self, path: str) -> None:
        self._file = FILES[path]

    def get(self) -> None:
        kind, content = self._file
        self.set_header("Content-Type", f"{kind}; charset=UTF-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(content)


class About(_Handler):
    """What the generator is and takes, for the page."""

    def get(self) -> None:
        drawer = self.studio.drawer
        self.finish(
            {
                "name": self.studio.netg_path.as_posix(),
                "fingerprint": self.studio.fingerprint,
                "imageSize": drawer.image_size,
                "step": drawer.step,
                "labels": drawer.labels,
                "directions": drawer.directions,
                "seed": self.studio.seed,
                "mostFrames": MOST_FRAMES,
                "mostOnSheet": MOST_ON_SHEET,
            }
        )


class Face(_Handler):
    """A face as PNG. A page that no longer wants it closes the connection."""

    _picture: "Future[Tensor] | None" = None

    async def get(self) -> None:
        recipe = self.recipe(parse_json(self.get_query_argument("recipe", ""), "recipe"))
        self._picture = self.studio.painter.submit(recipe)
        try:
            picture = await asyncio.wrap_future(self._picture)
        except asyncio.CancelledError:
            raise HTTPError(HTTPStatus.GONE, "no longer wanted") from None
        if self.get_query_argument("g", "") == self.studio.fingerprint:
            self.set_header("Cache-Control", "private, max-age=86400, immutable")
        self.set_header("Content-Type", "image/png")
        await _finish(self, images.png(picture))

    def on_connection_close(self) -> None:
        if self._picture is not None:
            self._picture.cancel()


class Sheet(_Handler):
    """Several faces in one PNG, as `generate` lays them out."""

    async def post(self) -> None:
        recipes = self.recipes(self.message(), MOST_ON_SHEET)
        pictures = await _drawn(self, recipes)
        self.set_header("Content-Type", "image/png")
        await _finish(
            self, images.png(images.grid(torch.stack(pictures), columns_of(len(pictures))))
        )


class Animation(_Handler):
    """Faces one after the other as one moving picture."""

    async def post(self) -> None:
        message = self.message()
        kind, fps = message.get("kind"), message.get("fps")
        if kind not in ("webp", "gif"):
            raise UsageError("kind: is webp or gif")
        if not isinstance(fps, int) or isinstance(fps, bool) or not 1 <= fps <= 50:
            raise UsageError("fps: is a whole number from 1 to 50")
        recipes = self.recipes(message, MOST_FRAMES)
        if self.studio.animating.locked():
            raise BusyError
        async with self.studio.animating:
            pictures = await _drawn(self, recipes)
            loop = asyncio.get_running_loop()
            content = await loop.run_in_executor(None, animation, pictures, kind, fps)
        self.set_header("Content-Type", f"image/{kind}")
        await _finish(self, content)


class Command(_Handler):
    """The command line that draws the same faces again."""

    def post(self) -> None:
        recipes = self.recipes(self.message(), MOST_FRAMES)
        values = [as_json(recipe) for recipe in recipes]
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        alone = len(text) <= MOST_SHOWN
        options: dict[str, Any] = {"recipes": text if alone else "recipes.json"}
        line = command_line("generate", netg_path=self.studio.netg_path, **options)
        self.finish({"line": line, "file": not alone, "there": self.studio.netg_path.is_file()})


class Refusal(_Handler, door_pages.Refusal):
    """A refusal with the page's headers."""


class AskForToken(_Handler, door_pages.AskForToken):
    """The question for the token with the page's headers."""


class Welcome(_Handler, door_pages.Welcome):
    """The way in with the page's headers."""


async def _drawn(handler: _Handler, recipes: list[Recipe]) -> list[Tensor]:
    """Draw many faces; stop when the page has gone."""
    pictures: list[Tensor] = []
    async for picture in handler.studio.painter.draw(recipes):
        pictures.append(picture)
        if handler.gone:
            raise HTTPError(HTTPStatus.GONE, "no longer wanted")
    return pictures


async def _finish(handler: RequestHandler, content: bytes) -> None:
    with suppress(StreamClosedError):  # the page no longer wants it
        await handler.finish(content)
