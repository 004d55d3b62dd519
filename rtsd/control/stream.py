"""The journal on the control socket: a page of it, or followed as NDJSON; it waits for no reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from rtsd.control import protocol, wire
from rtsd.control.change_documents import ChangeDocuments
from rtsd.control.documents import is_on, moment, whole_number
from rtsd.control.feed import Feed, Follower
from rtsd.control.recent_status import RecentStatus
from rtsd.core.instant import to_iso
from rtsd.errors import UsageError
from rtsd.store import journal
from rtsd.store.database import Database

PAGE = 1_000
MOST_ENTRIES = 10_000
"""Entries in one answer."""
MOST_ROWS = 1_000
"""Entries in one frame."""
MOST_HZ = 60
WRITE_DEADLINE_S = 30.0
"""A reader that takes nothing for this long is closed; it resumes with `after`."""


@dataclass(frozen=True)
class EventQuery:
    """The parameters of `GET /v1/events`."""

    after: int | None
    chosen: journal.Chosen
    limit: int
    last: int | None
    """How many of the newest entries are wanted, if not those after one."""
    follow: bool
    hz: float
    rows: int
    cloudevents: bool
    """Whether only changes are wanted, as CloudEvents with values."""


class EventStream:
    """Answers `GET /v1/events`."""

    def __init__(
        self, feed: Feed, database: Database, status: RecentStatus, object_named: Callable[[str], str]
    ) -> None:
        """`object_named` returns the name of a mirrored object, or raises NotFound."""
        self._feed = feed
        self._database = database
        self._documents = ChangeDocuments(feed, database)
        self._status = status
        self._object_named = object_named

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/v1/events", self._answer)]

    def _query(self, request: web.Request) -> EventQuery:
        query = request.query
        name = query.get("object")
        chosen = journal.Chosen(
            self._object_named(name) if name else None,
            [kind for kind in query.get("type", "").split(",") if kind],
            to_iso(moment(query["since"], "since")) if query.get("since") else None,
            to_iso(moment(query["until"], "until")) if query.get("until") else None,
        )
        return EventQuery(
            after=whole_number(query["after"], "after") if "after" in query else None,
            chosen=chosen,
            last=min(whole_number(query["last"], "last"), MOST_ENTRIES) if "last" in query else None,
            limit=min(whole_number(query.get("limit", "1000"), "limit"), MOST_ENTRIES),
            follow=is_on(request, "follow"),
            hz=min(whole_number(query.get("hz", "0"), "hz"), MOST_HZ),
            rows=min(whole_number(query.get("rows", "200"), "rows"), MOST_ROWS),
            cloudevents=_is_cloudevents(query.get("format", "")),
        )

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with a page of the journal, or follow it."""
        query = self._query(request)
        org_id = await self._documents.org_id() if query.cloudevents else ""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            if query.cloudevents and query.follow:
                await self._documents.follow(response, org_id, query.after, query.chosen.object)
            elif query.cloudevents:
                await self._documents.page(
                    response, org_id, query.chosen, after=query.after, limit=query.limit, last=query.last
                )
            elif not query.follow:
                await self._page(response, query)
            elif query.hz:
                await self._frames(response, query)
            else:
                await self._follow(response, query)
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            pass  # the reader is gone, or stopped reading: it resumes with `after`
        return response

    async def _page(self, response: web.StreamResponse, query: EventQuery) -> None:
        if query.last is not None:
            entries = await journal.chosen(self._database, query.chosen, limit=query.last)
        else:
            after = query.after or 0
            entries = await journal.chosen(self._database, query.chosen, after=after, limit=query.limit)
        await _write(response, [wire.event(entry) for entry in entries])

    async def _follow(self, response: web.StreamResponse, query: EventQuery) -> None:
        """Send every entry from the snapshot on; with `after`, first those since then."""
        with self._feed.follow() as follower:
            status = await self._status.get(max_age_s=0)
            await _write(response, [protocol.Snapshot(status=status)])
            sent = query.after if query.after is not None else status.last_seq
            sent = await self._backfill(response, query, sent)
            await self._live(response, query, follower, sent)

    async def _backfill(self, response: web.StreamResponse, query: EventQuery, sent: int) -> int:
        while query.after is not None:
            entries = await journal.after(self._database, sent, object_name=query.chosen.object, limit=PAGE)
            if not entries:
                break
            await _write(response, [wire.event(entry) for entry in entries])
            sent = entries[-1].seq
        return sent

    async def _live(
        self, response: web.StreamResponse, query: EventQuery, follower: Follower, sent: int
    ) -> None:
        async for batch in follower.batches():
            fresh = [
                event for event in batch if event.seq > sent and (query.chosen.object in (None, event.object))
            ]
            sent = max(sent, batch[-1].seq)
            await _write(response, fresh)
        await _write(response, [protocol.Lagged(after=sent)])

    async def _frames(self, response: web.StreamResponse, query: EventQuery) -> None:
        """Send at most `hz` frames a second, each with the newest rows; the others are only counted."""
        shown = await self._status.get(max_age_s=0)
        await _write(response, [protocol.Snapshot(status=shown)])
        seen, total = shown.last_seq, self._feed.total
        while True:
            await asyncio.sleep(1 / query.hz)
            recent = await self._status.get()
            changed = recent if recent is not shown and _differs(recent, shown) else None
            shown = recent
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


def _is_cloudevents(name: str) -> bool:
    """Return whether a format is that of CloudEvents, or the journal's. Raises UsageError for another."""
    if name not in ("", "json", "cloudevents"):
        raise UsageError(f"there is no format {name}", "format is json or cloudevents")
    return name == "cloudevents"


def _differs(new: protocol.Status, old: protocol.Status) -> bool:
    """Return True if anything but the time has changed."""
    return msgspec.structs.replace(new, now=old.now) != old


async def _write(response: web.StreamResponse, lines: Sequence[msgspec.Struct]) -> None:
    if lines:
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        async with asyncio.timeout(WRITE_DEADLINE_S):
            await response.write(data)
