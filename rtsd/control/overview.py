"""The daemon at a glance: its status, the error log, the history of quota and calls."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer
from rtsd.control.views import Views
from rtsd.core.instant import DAY_MS, Millis, to_iso
from rtsd.store import error_log, quota
from rtsd.store.database import Database
from rtsd.store.quota import Usage

HISTORY_MS: Millis = 7 * DAY_MS


class OverviewRoutes:
    """Answers `/v1/status`, `/v1/errors` and `/v1/quota/history`."""

    def __init__(self, views: Views, database: Database, now: Callable[[], Millis]) -> None:
        self._views = views
        self._database = database
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/status", self._status),
            web.get("/v1/errors", self._errors),
            web.get("/v1/quota/history", self._quota_history),
        ]

    async def _status(self, _request: web.Request) -> web.Response:
        return answer(await self._views.status())

    async def _errors(self, _request: web.Request) -> web.Response:
        found = await error_log.newest(self._database)
        shown = msgspec.convert(found, list[protocol.ErrorEntry], from_attributes=True)
        return answer(protocol.Errors(errors=shown))

    async def _quota_history(self, _request: web.Request) -> web.Response:
        since = self._now() - HISTORY_MS
        return answer(
            protocol.QuotaHistory(
                hours=[
                    protocol.HourlyCalls(at=to_iso(at), purpose=purpose, calls=calls)
                    for at, purpose, calls in await quota.spent_by_hour(self._database, since)
                ],
                usage=[_sample(usage) for usage in await quota.usage(self._database, since)],
            )
        )


def _sample(usage: Usage) -> protocol.UsageSample:
    return protocol.UsageSample(
        at=to_iso(usage.at), name=usage.name, max=usage.max, used=usage.used, used_by_us=usage.ours
    )
