"""Followed events: NDJSON for as long as the reader stays; no reader is ever waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from rtsd.control import protocol, views
from rtsd.control.feed import Feed, Follower
from rtsd.control.views import Views
from rtsd.store import journal

PAGE = 1_000
WRITE_DEADLINE_S = 30.0
"""A reader that takes nothing for so long is closed; it resumes with `after`."""
STATUS_EVERY_S = 1.0
"""How often a thinned feed looks whether the status changed."""


@dataclass(frozen=True)
class EventQuery:
    """The parameters of `GET /v1/events`."""

    after: int | None
    object: str | None
    limit: int
    follow: bool
    hz: float
    rows: int


class EventStream:
    """Answers `GET /v1/events`."""

    def __init__(self, feed: Feed, shown: Views) -> None:
        self._feed = feed
        self._views = shown

    async def answer(self, request: web.Request, query: EventQuery) -> web.StreamResponse:
        """Answer a page of the journal, or follow it."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            if not query.follow:
                await self._page(response, query)
            elif query.hz:
                await self._frames(response, query)
            else:
                await self._follow(response, query)
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            pass  # the reader went away, or stopped reading: it resumes with `after`
        return response

    async def _page(self, response: web.StreamResponse, query: EventQuery) -> None:
        entries = await journal.after(
            self._views.engine.database, query.after or 0, object_name=query.object, limit=query.limit
        )
        await _write(response, [views.event(entry) for entry in entries])

    async def _follow(self, response: web.StreamResponse, query: EventQuery) -> None:
        """Everything from the snapshot on; first, with `after`, what was missed."""
        with self._feed.follow() as follower:
            status = await self._views.status()
            await _write(response, [protocol.Snapshot(status=status)])
            sent = query.after if query.after is not None else status.last_seq
            sent = await self._backfill(response, query, sent)
            await self._live(response, query, follower, sent)

    async def _backfill(self, response: web.StreamResponse, query: EventQuery, sent: int) -> int:
        database = self._views.engine.database
        while query.after is not None:
            entries = await journal.after(database, sent, object_name=query.object, limit=PAGE)
            if not entries:
                break
            await _write(response, [views.event(entry) for entry in entries])
            sent = entries[-1].seq
        return sent

    async def _live(
        self, response: web.StreamResponse, query: EventQuery, follower: Follower, sent: int
    ) -> None:
        async for batch in follower.batches():
            fresh = [
                event
                for event in batch
                if event.seq > sent and (query.object is None or event.object == query.object)
            ]
            sent = max(sent, batch[-1].seq)
            await _write(response, fresh)
        await _write(response, [protocol.Lagged(after=sent)])

    async def _frames(self, response: web.StreamResponse, query: EventQuery) -> None:
        """At most `hz` frames a second, each with the newest rows; what did not fit is only counted."""
        status = await self._views.status()
        await _write(response, [protocol.Snapshot(status=status)])
        seen, total, ticks = status.last_seq, self._feed.total, 0
        shown = status
        while True:
            await asyncio.sleep(1 / query.hz)
            ticks += 1
            changed = None
            if ticks >= STATUS_EVERY_S * query.hz:
                ticks = 0
                fresh = await self._views.status()
                changed = fresh if _differs(fresh, shown) else None
                shown = fresh
            if changed is None and self._feed.total == total:
                continue
            rows = [event for event in self._feed.recent if event.seq > seen]
            rows = rows[max(len(rows) - query.rows, 0) :]
            frame = protocol.Frame(
                seq=rows[-1].seq if rows else seen,
                counters=dict(self._feed.counters),
                skipped=max(self._feed.total - total - len(rows), 0),
                rows=rows,
                status=changed,
            )
            seen, total = frame.seq, self._feed.total
            await _write(response, [frame])


def _differs(one: protocol.Status, other: protocol.Status) -> bool:
    """Whether anything but the time has changed."""
    return msgspec.structs.replace(one, now=other.now) != other


async def _write(response: web.StreamResponse, lines: Sequence[msgspec.Struct]) -> None:
    if lines:
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        async with asyncio.timeout(WRITE_DEADLINE_S):
            await response.write(data)
