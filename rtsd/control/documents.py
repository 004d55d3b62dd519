"""What every route of the control API has in common: JSON out, JSON in, and the object that is meant."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web

from rtsd.errors import NotFound, UsageError
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.engine import Engine

_T = TypeVar("_T")


def answer(body: object, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


async def body_of(request: web.Request, kind: type[_T]) -> _T:
    """Read a JSON body. Raises UsageError, naming the place, when it is not such a document."""
    raw = await request.read()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UsageError(f"the request's body: {error}") from error


def find_object(engine: Engine, name: str) -> MirroredObject:
    """Return the mirrored object of that name. Raises NotFound that names those there are."""
    mirrored = engine.catalog.find(name)
    if mirrored is None:
        known = ", ".join(one.name for one in engine.catalog)
        raise NotFound(f"{name} is not mirrored here", f"mirrored are: {known}")
    return mirrored
