"""A handler served over real HTTP: the other end of what a test is about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler, method: str = "*", path: str = "/{path:.*}") -> AsyncIterator[str]:
    """Serve a handler on a free port of the loopback; yields the URL of the port."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route(method, path, handler)
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=0.1, max_line_size=1 << 17, max_field_size=1 << 17
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
