"""The studio's server: its owner's page gets everything, anybody else nothing."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from animegan.config.resolve import resolve
from animegan.core.errors import UsageError
from animegan.core.web_guard import WebGuard
from animegan.generation import generate
from animegan.generation.draw_recipes import RecipeDrawer
from animegan.generation.request import request_of
from animegan.web import application
from animegan.web.application import FILES, Studio, StudioApplication
from animegan.web.painter import Painter
from animegan.web.studio import MOST_BODY, listen
from tests.support.recipes import save_netg

FACE: dict[str, Any] = {"seed": 7, "index": 12}
NEAR: dict[str, Any] = {"near": FACE, "distance": 0.4, "index": 3, "truncation": 0.8}


class Site:
    """A running application, and a browser that its owner has let in."""

    def __init__(self, netg_path: Path) -> None:
        self.netg_path = netg_path
        self.drawer = RecipeDrawer(netg_path)
        self.painter = Painter(self.drawer)

    def ask(self, path: str, message: Any = None, method: str | None = None, body: bytes = b"",
            cookie: str | None = None, **headers: Any) -> HTTPResponse:  # fmt: skip
        async def run() -> HTTPResponse:
            sock, port = bind_unused_port()
            guard = WebGuard.create("127.0.0.1", port)
            studio = Studio(self.drawer, self.painter, self.netg_path, "abc", 5, asyncio.Lock())
            server = HTTPServer(StudioApplication(guard, studio), max_body_size=MOST_BODY)
            server.add_socket(sock)
            sent = {name.replace("_", "-"): text for name, text in headers.items()}
            sent = {name: text.format(port=port) for name, text in sent.items()}
            shown = guard.token if cookie is None else cookie
            sent["Cookie"] = f"animegan-{port}={shown}"
            content = json.dumps(message).encode() if message is not None else body
            kind = method or ("POST" if content else "GET")
            try:
                return await AsyncHTTPClient().fetch(
                    f"http://127.0.0.1:{port}{path.format(token=guard.token)}",
                    method=kind, headers=sent, body=content or None, raise_error=False,
                    follow_redirects=False, allow_nonstandard_methods=True,
                )  # fmt: skip
            finally:
                server.stop()
                await server.close_all_connections()

        return asyncio.run(run())

    def face(self, recipe: Any, more: str = "") -> HTTPResponse:
        text = recipe if isinstance(recipe, str) else json.dumps(recipe)
        return self.ask(f"/face?recipe={quote(text).replace('{', '%7B')}{more}")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(save_netg(tmp_path))
    yield site
    site.painter.close()


# --- what the page gets


def test_the_page_and_its_files_load_nothing_from_elsewhere(site: Site) -> None:
    page = site.ask("/")
    assert page.code == 200
    for name, (kind, content) in FILES.items():
        answer = site.ask(name)
        assert answer.body == content
        assert answer.headers["Content-Type"].startswith(kind)
        assert b"https://" not in content
        assert b"//cdn" not in content
    assert b"<script>" not in page.body
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_a_face_is_the_picture_that_generate_draws(site: Site, tmp_path: Path) -> None:
    each, grid = tmp_path / "each", tmp_path / "grid.png"
    words = {"netg_path": str(site.netg_path), "recipes": json.dumps([FACE, NEAR]), "gpu": "false",
             "gen_img": str(grid), "save_each": str(each)}  # fmt: skip
    config = resolve("generate", words)[0]
    generate.generate(config, request_of(config))
    for k, recipe in enumerate((FACE, NEAR)):
        answer = site.face(recipe)
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.body == (each / f"{k:08d}.png").read_bytes()
    assert site.ask("/sheet", {"recipes": [FACE, NEAR]}).body == grid.read_bytes()


def test_a_browser_keeps_pictures_of_these_weights_only(site: Site) -> None:
    assert "immutable" in site.face(FACE, "&g=abc").headers["Cache-Control"]
    assert site.face(FACE, "&g=old").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_an_animation_has_all_frames_and_plays_for_ever(site: Site, kind: str) -> None:
    recipes = [{"seed": 0, "index": k} for k in range(6)]
    answer = site.ask("/animation", {"recipes": recipes, "kind": kind, "fps": 20})
    with Image.open(io.BytesIO(answer.body)) as image:
        assert (image.format, getattr(image, "n_frames", 0)) == (kind.upper(), 6)
        assert image.info.get("loop") == 0
        assert image.width >= 288


def test_the_command_line_says_it_all_or_names_a_file(site: Site) -> None:
    short = json.loads(site.ask("/command", {"recipes": [NEAR]}).body)
    assert (short["file"], short["there"]) == (False, True)
    assert "--recipes=" in short["line"]
    site.netg_path.unlink()
    long = json.loads(site.ask("/command", {"recipes": [NEAR] * 100}).body)
    assert (long["file"], long["there"]) == (True, False)
    assert site.face(FACE).code == 200  # the file has vanished, the generator has not


# --- what nobody gets


@pytest.mark.parametrize(
    "recipe",
    ["", "x", "[]", "{}", {"seed": -1, "index": 0}, {**FACE, "label": "red"},
     {**FACE, "edit": {"smile": 1}}, "[" * 5000, '{"seed":1e999,"index":0}'],
)  # fmt: skip
def test_a_bad_recipe_is_one_line(site: Site, recipe: Any) -> None:
    answer = site.face(recipe)
    assert answer.code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert len(answer.body.splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/sheet", {"recipes": []}),
        ("/sheet", {"recipes": [FACE] * 257}),
        ("/sheet", {"recipes": [1]}),
        ("/sheet", []),
        ("/animation", {"recipes": [FACE], "kind": "exe", "fps": 20}),
        ("/animation", {"recipes": [FACE], "kind": "gif", "fps": 0}),
        ("/animation", {"recipes": [FACE] * 481, "kind": "gif", "fps": 20}),
        ("/command", {"recipes": "all"}),
    ],
)
def test_a_bad_message_is_refused(site: Site, path: str, message: Any) -> None:
    assert site.ask(path, message).code == 400


def test_bodies_and_addresses_are_bounded(site: Site) -> None:
    assert site.ask("/sheet", body=b"\xff\xfe").code == 400
    assert site.ask("/sheet", body=b"x" * (MOST_BODY + 1)).code in (400, 413, 599)
    assert site.ask("/face?recipe=" + "x" * 30_000).code in (414, 431)


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/static/index.html",
     "/index.html", "/application.py", "/app.js/..%2fstudio.py", "/netg_last.pth", "/favicon.ico"],
)  # fmt: skip
def test_only_the_table_is_served(site: Site, path: str) -> None:
    assert site.ask(path).code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods_do_nothing(site: Site, method: str) -> None:
    for path in ("/", "/face", "/sheet"):
        assert site.ask(path, method=method).code == 405


FOREIGN = [
    {"Host": "evil.example:{port}"},  # a name that was made to point here
    {"Host": "127.0.0.1.evil.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},  # a page of another program on this machine
    {"Origin": "http://localhost:{port}"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
    {"Sec_Fetch_Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/app.js", "/about", "/face?recipe=%7B%7D"])
def test_a_hostile_page_gets_nothing_even_with_the_cookie(
    site: Site, path: str, headers: dict[str, Any]
) -> None:
    answer = site.ask(path, **headers)
    assert answer.code == 403
    assert len(answer.body) < 200
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/sheet", "/animation", "/command"])
def test_a_hostile_page_cannot_make_it_work(
    site: Site, path: str, headers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.painter, "submit", lambda recipe: pytest.fail("drawn"))
    message = {"recipes": [FACE], "kind": "gif", "fps": 5}
    assert site.ask(path, message, **headers).code == 403


@pytest.mark.parametrize("cookie", ["", "wrong", "x" * 5000])
def test_without_the_token_there_is_only_the_question_for_it(site: Site, cookie: str) -> None:
    assert site.ask("/about", cookie=cookie).code == 403
    assert site.ask("/app.js", cookie=cookie).code == 403
    front = site.ask("/", cookie=cookie)
    assert b"token" in front.body
    assert b"app.js" not in front.body
    assert site.ask("/?token=wrong", cookie=cookie).body == front.body


def test_the_printed_address_gives_the_cookie_and_forgets_the_token(site: Site) -> None:
    answer = site.ask("/?token={token}", cookie="")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert b"url=/" in answer.body
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_a_full_queue_is_one_line_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animegan.web.painter.MOST_WAITING", 0)
    answer = site.face(FACE)
    assert answer.code == 503
    assert len(answer.body.splitlines()) == 1


def test_a_face_that_nobody_waits_for_is_given_up(site: Site) -> None:
    handler = application.Face.__new__(application.Face)
    handler._picture = site.painter.submit(application.parse(FACE, "recipe"))
    handler._picture.result(10)
    handler._picture = type(handler._picture)()
    handler.on_connection_close()
    assert handler._picture.cancelled()


def test_a_port_in_use_is_told_before_any_work() -> None:
    with listen(0) as taken:
        assert taken.getsockname()[0] == "127.0.0.1"
        with pytest.raises(UsageError) as caught:
            listen(taken.getsockname()[1])
    assert caught.value.flags == ("--port",)
