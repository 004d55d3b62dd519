"""`GET /v1/objects/{o}/export`: all rows of an object, as of one moment, as lines of JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import not_mirrored, past_moment
from rtsd.core.instant import Millis, to_iso
from rtsd.errors import Conflict
from rtsd.store import objects, past
from rtsd.store.database import Database, Row
from rtsd.store.objects import StoredObject
from rtsd.store.schema import Table

NDJSON = "application/x-ndjson"
PAGE = 1_000
"""Rows in one line: encoding them holds up nobody for more than a few milliseconds."""
WRITE_DEADLINE_S = 30.0
"""A reader that takes nothing for this long is closed: its query keeps the store from reusing space."""


class ExportRoute:
    """Answers `/v1/objects/{o}/export`, on every node."""

    def __init__(self, database: Database, now: Callable[[], Millis]) -> None:
        self._database = database
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/v1/objects/{object}/export", self._answer)]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Write a line that says what comes, the rows, and a last line without which they are not all."""
        stored, table = await self._stored(request.match_info["object"])
        asked = request.query.get("at")
        at = past_moment(asked, self._now()) if asked else None
        select = table.rows if at is None else await past.known_rows_at(self._database, table, at)
        head = await self._head(stored, table, at)
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        response.enable_chunked_encoding()
        async with aclosing(self._database.stream(select, PAGE)) as pages:
            first: list[Row] = await anext(pages, [])  # what is wrong with the query becomes a status
            await response.prepare(request)
            try:
                await _write(response, head)
                count = await _write_rows(response, first, pages)
                await _write(response, protocol.ExportEnd(rows=count))
                await response.write_eof()
            except (ConnectionError, TimeoutError):
                pass  # the reader went away, and sees that the last line is missing
        return response

    async def _stored(self, name: str) -> tuple[StoredObject, Table]:
        """Return an object and its table. Raises NotFound, and Conflict for one that was never loaded."""
        known = await objects.load(self._database)
        found = next((stored for stored in known.values() if stored.name.lower() == name.lower()), None)
        if found is None:
            raise not_mirrored(name, list(known))
        if found.table is None or found.cursor is None:
            raise Conflict(f"{found.name} has not been loaded yet", "export it once it is live")
        return found, found.table

    async def _head(self, stored: StoredObject, table: Table, at: str | None) -> protocol.ExportHead:
        counts = await objects.row_counts(self._database)
        return protocol.ExportHead(
            object=stored.name,
            columns=[
                protocol.ExportedColumn(
                    name=field.name, type="text" if field.name in table.kept else field.kind.value
                )
                for field in table.schema.fields
            ],
            at=at or to_iso(self._now()),
            rows=counts.get(stored.name, 0),
            state=stored.state.value,
        )


async def _write_rows(
    response: web.StreamResponse, first: list[Row], others: AsyncIterator[list[Row]]
) -> int:
    """Write the pages, each on a line; return the number of rows."""
    count, page = 0, first
    while page:
        count += len(page)
        await _write(response, protocol.ExportPage(values=page))
        page = await anext(others, [])
    return count


async def _write(response: web.StreamResponse, line: object) -> None:
    async with asyncio.timeout(WRITE_DEADLINE_S):
        await response.write(msgspec.json.encode(line) + b"\n")
