"""JSON in and out, and the parameters that several routes of the control API share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from aiohttp import web

from rtsd.core.ids import checked_id
from rtsd.core.instant import Millis, from_iso, to_iso
from rtsd.core.spelling import did_you_mean
from rtsd.errors import NotFound, UsageError
from rtsd.store.journal import MOST
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject

_T = TypeVar("_T")

_OFF = ("", "0", "false")


def answer(body: object, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


async def body_of(request: web.Request, kind: type[_T]) -> _T:
    """Decode a JSON body. Raises UsageError, naming the place, if it is another document."""
    raw = await request.read()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UsageError(f"the request's body: {error}") from error


def find_object(catalog: Catalog, name: str) -> MirroredObject:
    """Return the mirrored object of that name. Raises NotFound, which lists the mirrored objects."""
    mirrored = catalog.find(name)
    if mirrored is None:
        raise not_mirrored(name, [each.name for each in catalog])
    return mirrored


def not_mirrored(name: str, known: Sequence[str]) -> NotFound:
    """Return the error about an object that is not among the mirrored ones."""
    hint = did_you_mean(name, known)
    return NotFound(f"{name} is not mirrored here.{hint}", f"mirrored are: {', '.join(known)}")


def object_of(request: web.Request, catalog: Catalog) -> MirroredObject:
    """Return the object that the request's path names. Raises NotFound."""
    return find_object(catalog, request.match_info["object"])


def record_id_of(request: web.Request) -> str:
    """Return the record id in the request's path, with 18 characters. Raises UsageError."""
    try:
        return checked_id(request.match_info["id"])
    except ValueError as error:
        raise UsageError(str(error)) from error


def is_on(request: web.Request, name: str, *, default: bool = False) -> bool:
    """Return the value of a switch in the request's query: 0, false and nothing are off."""
    value = request.query.get(name)
    return default if value is None else value not in _OFF


def whole_number(text: str | None, name: str) -> int:
    """Return a number of 0 or more, at most what SQLite compares with. Raises UsageError."""
    try:
        return min(max(int(text or "0"), 0), MOST)
    except ValueError as error:
        raise UsageError(f"{name} must be a whole number") from error


def moment(text: str, name: str) -> Millis:
    """Return a moment that an operator wrote for the parameter `name`. Raises UsageError."""
    try:
        return from_iso(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}", "give a moment such as 2026-03-01T10:00:00Z") from error


def past_moment(text: str, now: Millis) -> str:
    """Return a moment that an operator wrote for `at`, as ISO. Raises UsageError, also for one to come."""
    found = moment(text, "at")
    if found > now:
        raise UsageError(f"{text} is in the future", "name a moment that has passed")
    return to_iso(found)
