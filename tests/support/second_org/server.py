"""The org over HTTP: it logs in at one port and answers at another."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import format_datetime

from aiohttp import web

from tests.support.second_org import rest
from tests.support.second_org.errors import Refused
from tests.support.second_org.org import Answer, Asked, Habits, Org, kind_of

assert rest.__name__  # importing it registers its routes

HTML = "<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>"


@asynccontextmanager
async def serving(habits: Habits | None = None, contacts: int = 2_300) -> AsyncIterator[Org]:
    """An org on two ports of this machine, for as long as the block lasts."""
    org = Org(habits or Habits(), contacts)

    async def log_in(request: web.Request) -> web.Response:
        form = {str(key): str(value) for key, value in (await request.post()).items()}
        if (basic := request.headers.get("Authorization", "")).startswith("Basic "):
            form["client_id"], _, form["client_secret"] = base64.b64decode(basic[6:]).decode().partition(":")
        return _sent(org, org.login(form))

    async def call(request: web.Request) -> web.Response:
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            json.loads(await request.read() or b"null"),
            {name.lower(): value for name, value in request.headers.items()},
            request.headers.get("Authorization", "").partition(" ")[2],
        )
        if len(request.raw_path) > 16_384:
            return _sent(org, Answer(status=414, text=HTML, headers={"Content-Type": "text/html"}))
        if org.gate is not None:
            await org.gate(kind_of(asked))
        if org.faults:
            return _sent(org, org.faults.pop(0))
        try:
            return _sent(org, org.answer(asked))
        except Refused as refused:
            return _sent(org, Answer(refused.body, refused.status))

    login, instance = web.Application(), web.Application()
    login.router.add_post("/services/oauth2/token", log_in)
    instance.router.add_route("*", "/{any:.*}", call)
    async with _listening(login) as login_url, _listening(instance) as instance_url:
        org.login_url, org.instance_url = login_url, instance_url
        yield org


def _sent(org: Org, answer: Answer) -> web.Response:
    headers = {"date": format_datetime(org.records.now().astimezone(UTC), usegmt=True), **answer.headers}
    used = org.calls.total()
    if used % 3 and not org.habits.odd:  # it is not always there
        headers["sforce-limit-info"] = f"api-usage={used}/15000; per-app-api-usage=1/250(appName=second)"
    text = answer.text
    if text is None and answer.body is not None:
        text = json.dumps(answer.body, ensure_ascii=False, indent=1)
        headers["Content-Type"] = "application/json;charset=UTF-8"
    body = None if text is None else text.encode()
    response = web.Response(status=answer.status, body=body, headers=headers)
    if org.habits.odd and body:
        response.enable_chunked_encoding()
    return response


@asynccontextmanager
async def _listening(application: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=0.1, max_line_size=65_536, max_field_size=65_536
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await asyncio.shield(runner.cleanup())
