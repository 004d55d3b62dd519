"""The error log, missed pushes, the history of quota and calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, moment
from rtsd.core.instant import DAY_MS, Millis, to_iso
from rtsd.store import error_log, quota
from rtsd.store.database import Database
from rtsd.store.quota import Usage
from rtsd.sync.estimate import IdleDay
from rtsd.sync.missed_pushes import MissedPushes
from rtsd.sync.spells import Spell, spells

HISTORY_MS: Millis = 7 * DAY_MS
SHOWN = 100
"""Changes of a spell that are listed."""


class OverviewRoutes:
    """Answers `/v1/errors`, `/v1/missed` and `/v1/quota/history`."""

    def __init__(
        self,
        database: Database,
        missed_pushes: MissedPushes,
        now: Callable[[], Millis],
        idle_day: Callable[[], Awaitable[IdleDay]],
    ) -> None:
        self._database = database
        self._missed_pushes = missed_pushes
        self._now = now
        self._idle_day = idle_day

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/errors", self._errors),
            web.get("/v1/missed", self._missed),
            web.get("/v1/quota/history", self._quota_history),
        ]

    async def _errors(self, _request: web.Request) -> web.Response:
        found = await error_log.newest(self._database)
        shown = msgspec.convert(found, list[protocol.ErrorEntry], from_attributes=True)
        return answer(protocol.Errors(errors=shown))

    async def _missed(self, request: web.Request) -> web.Response:
        now, text = self._now(), request.query.get("since")
        since = moment(text, "since") if text else now - DAY_MS
        found, is_truncated = await spells(self._database, self._missed_pushes, since, now)
        return answer(
            protocol.Missed(
                since=to_iso(since),
                missed=sum(len(spell.changes) for spell in found if spell.is_missed),
                spells=[_spell(spell) for spell in found],
                truncated=is_truncated,
            )
        )

    async def _quota_history(self, _request: web.Request) -> web.Response:
        since = self._now() - HISTORY_MS
        return answer(
            protocol.QuotaHistory(
                hours=[
                    protocol.HourlyCalls(at=to_iso(at), purpose=purpose, calls=calls)
                    for at, purpose, calls in await quota.spent_by_hour(self._database, since)
                ],
                usage=[_sample(usage) for usage in await quota.usage(self._database, since)],
                ours=[
                    protocol.HourlyUse(at=to_iso(at), name=name, used=used)
                    for at, name, used in await quota.used_by_hour(self._database, since)
                ],
                idle_day=msgspec.convert(await self._idle_day(), protocol.IdleDay, from_attributes=True),
            )
        )


def _spell(spell: Spell) -> protocol.Spell:
    return protocol.Spell(
        since=spell.since,
        until=spell.until,
        why=spell.why,
        missed=spell.is_missed,
        changes=len(spell.changes),
        objects=dict(Counter(change.object for change in spell.changes)),
        sources=dict(Counter(change.source for change in spell.changes)),
        first=[
            protocol.MissedChange(
                seq=change.seq,
                made_at=to_iso(change.made_at),
                object=change.object,
                id=change.id,
                op=change.op,
                source=change.source,
            )
            for change in spell.changes[:SHOWN]
        ],
    )


def _sample(usage: Usage) -> protocol.UsageSample:
    return protocol.UsageSample(
        at=to_iso(usage.at), name=usage.name, max=usage.max, used=usage.used, used_by_us=usage.ours
    )
