"""`rtstui serve`: the dashboard in a browser, for users of this daemon who have the link.

textual-serve runs it. A page that can act needs protection: the address is this machine's own unless
--host names another, every request has to bring the token of the link, and no other page in the same
browser can open the socket.
"""

from __future__ import annotations

import hmac
import re
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import click
from aiohttp import web
from textual_serve.server import Server

COOKIE = "rtstui"

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'"
)
"""The page may connect to this server only; textual-serve's page has its script inline."""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16'"
    " height='16' rx='3' fill='%230f172a'/%3E%3Cpath d='M3 9l3 3 7-8' fill='none' stroke='%2360d394'"
    " stroke-width='2'/%3E%3C/svg%3E"
)
HEAD = f"""<title>rtstui</title>
    <link rel="icon" href="{ICON}">
    <style>
      @font-face {{
        font-family: "Roboto Mono";
        src: url("/static/fonts/RobotoMono-VariableFont_wght.ttf");
        font-weight: 100 700;
      }}
    </style>"""
"""A title, an icon, and the font that textual-serve ships but its page asks Google for."""

FOREIGN_FONT = re.compile(r'<link\s+rel="stylesheet"\s+href="https://fonts\.googleapis\.com/[^"]*"\s*/>')

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class GuardedServer(Server):
    """textual-serve's server behind a token."""

    def __init__(self, arguments: Sequence[str], host: str, port: int) -> None:
        command = shlex.join([sys.executable, "-m", "rtstui", *arguments])
        super().__init__(command, host=host, port=port, title="rtstui")
        self.token = secrets.token_urlsafe(24)

    @property
    def link(self) -> str:
        """The address with the token."""
        return f"{self.public_url}/?token={self.token}"

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        app.on_response_prepare.append(_headers)
        return app

    async def on_startup(self, app: web.Application) -> None:  # noqa: ARG002
        """Print the link."""
        click.echo(f"The dashboard is at {self.link}")
        click.echo("Whoever has this link can do what you can do here. Ctrl+C ends it.")

    def initialize_logging(self) -> None:
        """Leave logging off: textual-serve's would show variables, and so values of records."""

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Accept requests with the token, from a page of this server."""
        given = request.query.get("token", request.cookies.get(COOKIE, ""))
        origin = request.headers.get("Origin")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return web.Response(status=403, text="Open the link that `rtstui serve` printed.\n")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return web.Response(status=403, text="Another page may not use this.\n")
        if "token" in request.query:
            answer: web.StreamResponse = web.HTTPFound("/")  # the token does not stay in the address bar
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict", path="/")
            return answer
        answer = await handler(request)
        if isinstance(answer, web.Response) and answer.content_type == "text/html" and answer.text:
            answer.text = FOREIGN_FONT.sub(HEAD, answer.text)
        return answer


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


def serve(arguments: Sequence[str], host: str, port: int) -> None:
    """Serve until interrupted."""
    GuardedServer(arguments, host, port).serve()
