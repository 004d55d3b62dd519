"""The bare handler that the gateway is compared with: aiohttp, the body read and decoded, 200."""

from __future__ import annotations

import asyncio
import sys

import msgspec
from aiohttp import web


async def take(request: web.Request) -> web.Response:
    """Read and decode, nothing else."""
    msgspec.json.decode(await request.read())
    return web.json_response({"accepted": 1})


async def serve() -> None:
    """Listen on a free port, tell it, and serve until killed."""
    app = web.Application(client_max_size=12 * 1024 * 1024)
    app.router.add_post("/v1/push", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
