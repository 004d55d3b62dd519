"""`GET /v1/status`, also while the database is away: then what is known without it, and nothing is green."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer
from rtsd.core.instant import Millis, to_iso
from rtsd.errors import LeaderAway, StorageAway
from rtsd.store.outage import Outage

UNKNOWN = "unknown"
WHY = "the database is away: pushes are refused with 503, and nothing is proven until it is back"


class KnownStatus:
    """Has the status made by whoever can, and keeps the last one for as long as nobody can."""

    def __init__(
        self, outage: Outage, now: Callable[[], Millis], blank: Callable[[], protocol.Status]
    ) -> None:
        """`blank` makes the status of a process that knows only itself."""
        self._outage = outage
        self._now = now
        self._blank = blank
        self._last: protocol.Status | None = None
        self.source: Callable[[], Awaitable[protocol.Status]] = _not_yet
        """Makes the status; it may raise StorageAway."""

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/v1/status", self._answer)]

    async def _answer(self, _request: web.Request) -> web.Response:
        return answer(await self.get())

    async def get(self) -> protocol.Status:
        """Return the status as of now, at once if the database is known to be away.

        Raises LeaderAway if nobody can make it though the database is there.
        """
        if self._outage.reason:
            return self._without_database(self._outage.reason)
        try:
            self._last = await self.source()
        except StorageAway as error:
            return self._without_database(error.message)
        return self._last

    def _without_database(self, reason: str) -> protocol.Status:
        """Return what is known of this process, and the last figures, which say as of when."""
        now, last, status = self._now(), self._last, self._blank()
        since = to_iso(now - int(self._outage.seconds * 1000))
        if last is not None:
            status.org = msgspec.structs.replace(last.org, reachable=None, error=None)
            status.push.last_at = last.push.last_at
            status.push.last_heartbeat_at = last.push.last_heartbeat_at
            status.objects = [_unproven(found) for found in last.objects]
            status.inbox, status.dead_letters, status.errors_24h = (
                last.inbox,
                last.dead_letters,
                last.errors_24h,
            )
            status.privacy, status.last_seq = last.privacy, last.last_seq
        status.mode_since, status.mode_reason = since, WHY
        status.storage = f"error: {reason}"
        status.store = msgspec.structs.replace(
            status.store if last is None else last.store,
            reachable=False,
            away_since=since,
            error=reason,
            as_of=None if last is None else last.now,
        )
        return status


async def _not_yet() -> protocol.Status:
    raise starting()


def starting() -> LeaderAway:
    """Return what is said before there is a mirror."""
    return LeaderAway("rtsd is starting, and waits for the database or for Salesforce", "its log tells why")


def _unproven(found: protocol.Object) -> protocol.Object:
    """Return an object's last figures, which nothing proves now."""
    return protocol.Object(
        name=found.name,
        state=UNKNOWN,
        rows=found.rows,
        expected_rows=found.expected_rows,
        counted_at=found.counted_at,
        where=found.where,
        as_of=found.as_of,
        proven_at=found.proven_at,
        last_change_at=found.last_change_at,
        formulas_as_of=found.formulas_as_of,
    )
