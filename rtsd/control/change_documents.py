"""The changes of the journal as CloudEvents documents, one on a line: what `[[streams]]` publishes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from rtsd.control.feed import Feed
from rtsd.errors import Conflict
from rtsd.fanout import cloudevent
from rtsd.fanout.changes import Changes
from rtsd.store import journal, meta
from rtsd.store.database import Database
from rtsd.sync.org import ORG_ID

PAGE = 200
WRITE_DEADLINE_S = 30.0
"""A reader that takes nothing for this long is closed; it resumes with `after`."""


@dataclass(frozen=True, slots=True)
class ChangeDocuments:
    """Answers `GET /v1/events?format=cloudevents`."""

    feed: Feed
    database: Database

    async def org_id(self) -> str:
        """Return the org's id, which every document has. Raises Conflict before the first login."""
        found = await meta.get(self.database, ORG_ID)
        if found is None:
            raise Conflict("the org is not known yet", "retry once rtsd has logged in")
        return found

    async def page(
        self,
        response: web.StreamResponse,
        org_id: str,
        chosen: journal.Chosen,
        *,
        after: int | None,
        limit: int,
        last: int | None,
    ) -> None:
        """Write at most `limit` documents of chosen changes after an entry, or the `last` of them."""
        wanted = chosen._replace(applied=True)
        newest = await journal.newest_seq(self.database)
        if wanted.until is not None or last is not None:
            ending = await journal.chosen(self.database, wanted, limit=last or 1)
            newest = ending[-1].seq if ending else 0
            after = ending[0].seq - 1 if ending and last is not None else after
        if wanted.since is not None:
            beginning = await journal.chosen(self.database, wanted, after=after or 0, limit=1)
            after = beginning[0].seq - 1 if beginning else newest
        await self._write(
            response,
            org_id,
            Changes(self.database),
            after or 0,
            chosen.object,
            limit=limit if last is None else last,
            upto=newest,
        )

    async def follow(
        self, response: web.StreamResponse, org_id: str, after: int | None, object_name: str | None
    ) -> None:
        """Write the documents after an entry, else from now on, as they come."""
        sent = after if after is not None else await journal.newest_seq(self.database)
        changes = Changes(self.database)
        while True:  # a reader that lags is read for from the journal
            with self.feed.follow() as follower:
                sent = await self._write(response, org_id, changes, sent, object_name)
                async for _ in follower.batches():
                    sent = await self._write(response, org_id, changes, sent, object_name)

    async def _write(
        self,
        response: web.StreamResponse,
        org_id: str,
        changes: Changes,
        sent: int,
        object_name: str | None,
        *,
        limit: int | None = None,
        upto: int | None = None,
    ) -> int:
        """Write documents up to an entry, else the newest, or `limit` of them; return the last one read."""
        newest = await journal.newest_seq(self.database) if upto is None else upto
        left = limit
        while left is None or left:
            most = PAGE if left is None else min(PAGE, left)
            page = await changes.after(sent, newest, most, object_name)
            if not page:
                return newest
            data = b"".join(cloudevent.document(change, org_id)[0] + b"\n" for change in page)
            async with asyncio.timeout(WRITE_DEADLINE_S):
                await response.write(data)
            sent = page[-1].entry.seq
            left = None if left is None else left - len(page)
        return sent
