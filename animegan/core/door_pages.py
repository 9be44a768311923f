"""What a page of this tool answers at its door: tornado handlers, of which `web_guard` picks."""

import html
from typing import Any

from tornado.web import RequestHandler

from animegan.core.web_guard import QUERY


def small_page(body: str = "", refresh: str = "") -> str:
    """Return a page of a few lines; `refresh` is the content of its meta refresh, such as "2"."""
    again = f'<meta http-equiv="refresh" content="{html.escape(refresh)}">' if refresh else ""
    return f'<!doctype html><meta charset="utf-8">{again}<title>animegan</title>{body}\n'


class Refusal(RequestHandler):
    """Answers every method with one status and a line of text."""

    def initialize(self, status: int, text: str) -> None:
        self._answer = status, text

    def prepare(self) -> None:
        status, text = self._answer
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(f"{text}\n")


class AskForToken(RequestHandler):
    """The page for those who come without the token; `command` is what printed it."""

    def initialize(self, command: str) -> None:
        self._command = command

    def get(self) -> None:
        self.finish(
            small_page(
                f"<p>Open the address that <code>{self._command}</code> printed, or enter its "
                f'token:</p><form action="/"><input type="password" name="{QUERY}" autofocus> '
                "<button>Open</button></form>"
            )
        )


class Welcome(RequestHandler):
    """Moves the token from the address into a cookie, then goes on to the page.

    A page, not an HTTP redirect: after a redirect from a link on another site, browsers keep back
    a cookie that is SameSite=Strict.
    """

    application: Any  # has the `guard`

    def get(self) -> None:
        guard = self.application.guard
        self.set_cookie(guard.cookie, guard.token, httponly=True, samesite="Strict")
        self.set_header("Cache-Control", "no-store")
        self.finish(small_page(refresh=f"0;url={self.request.path}"))
