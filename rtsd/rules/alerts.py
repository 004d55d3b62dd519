"""Alerts: conditions of the daemon, told once when one begins, and once more when it ends if that is asked.

::

    silent        changes were made that a push should have brought (`push.quiet`), not mere idleness
    unreachable   the org does not answer, or refuses the login
    quota         objects wait for quota
    dead_letter   something could not be used or delivered; again when more came, once an hour at most
    drift         the last check of an object found rows missing, stale or orphaned
    incomplete    an object is not proven, or cannot be read

What was told is kept in the store: a restart repeats nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

import msgspec

from rtsd.core.instant import Millis, to_iso
from rtsd.core.silence import Quiet
from rtsd.rules.match import new_webhook_id
from rtsd.rules.rule import Alert
from rtsd.store import dead_letters, meta, outbox
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.store.outbox import NewDelivery
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.controller import Controller
from rtsd.sync.engine import Engine, UnitOfWork

LOOK_S = 1.0
"""How often the conditions are looked at: all but one is in memory."""
GRACE_MS: Millis = 5_000
"""So long an object may be incomplete before that is told: a proof is often on its way."""
AGAIN_MS: Millis = 3_600_000
"""How soon further dead letters are told."""
_KEY = "alerts"

ShownStatus = Callable[[], Awaitable[object]]
"""`GET /v1/status`, as it goes on the wire."""


class Condition(msgspec.Struct):
    """A condition that holds: since when, whether it was told, and what tells more of it from the same."""

    since: Millis
    message: str
    told_at: Millis | None = None
    mark: int = 0


class AlertWatch:
    """Looks at the conditions, and puts alerts into the outbox."""

    def __init__(self, engine: Engine, controller: Controller, status: ShownStatus) -> None:
        self._engine = engine
        self._controller = controller
        self._status = status
        self._alerts: Sequence[Alert] = ()
        self._known: dict[str, Condition] | None = None

    def set_alerts(self, alerts: Sequence[Alert]) -> None:
        """Take alerts up, instead of those there were."""
        self._alerts = alerts

    async def run(self) -> None:
        """Look, forever."""
        while True:
            await self.step()
            await asyncio.sleep(LOOK_S)

    async def step(self) -> int:
        """Tell what began or ended since the last look; return how many alerts that made."""
        if not self._alerts:
            return 0
        if self._known is None:
            self._known = await self._restore()
        now = self._engine.now()
        held = {key: found async for key, found in self._conditions()}
        began = [key for key, found in held.items() if self._is_news(key, found, now)]
        ended = [key for key in self._known if key not in held]
        told = [key for key in ended if self._known[key].told_at is not None]
        if not began and not ended:
            return 0
        return await self._tell(began, told, held, now)

    async def _restore(self) -> dict[str, Condition]:
        stored = await meta.get(self._engine.database, _KEY)
        return msgspec.json.decode(stored, type=dict[str, Condition]) if stored else {}

    def _is_news(self, key: str, found: Condition, now: Millis) -> bool:
        """Take note of a condition that holds; whether it is to be told now."""
        known = (self._known or {}).get(key)
        if known is None:
            known = found
            if self._known is not None:
                self._known[key] = known
        known.message = found.message
        if known.told_at is None:
            return now - known.since >= (GRACE_MS if key.startswith("incomplete") else 0)
        return found.mark > known.mark and now - known.told_at >= AGAIN_MS

    async def _tell(
        self, began: Sequence[str], ended: Sequence[str], held: dict[str, Condition], now: Millis
    ) -> int:
        """Put the alerts into the outbox, and remember that, in one transaction."""
        known = self._known or {}
        status = await self._status() if began or ended else None  # else only what was not told has ended
        count = 0
        async with self._engine.unit_of_work() as unit:
            for key in began:
                count += await self._post(unit, key, known[key].message, status, resolved=False)
            for key in ended:
                count += await self._post(unit, key, known[key].message, status, resolved=True)
            kept = {key: one for key, one in known.items() if key in held}
            for key in began:
                kept[key] = Condition(known[key].since, known[key].message, now, held[key].mark)
            await meta.put(unit.tx, _KEY, msgspec.json.encode(kept).decode())
        self._known = dict(kept)
        return count

    async def _post(self, unit: UnitOfWork, key: str, message: str, status: object, *, resolved: bool) -> int:
        kind, _, object_name = key.partition(" ")
        wanted = [one for one in self._alerts if kind in one.on and (one.resolved or not resolved)]
        if not wanted:
            return 0
        now = self._engine.now()
        document = msgspec.json.encode(
            {
                "v": 1,
                "alert": kind,
                "at": to_iso(now),
                "message": message,
                "object": object_name or None,
                "resolved": resolved,
                "status": status,
            }
        )
        for alert in wanted:
            word = "resolved" if resolved else "fired"
            detail = {"rule": alert.name, "alert": kind, "resolved": resolved}
            note = Note(
                "rule",
                object_name or None,
                outcome="fired",
                message=f"alert {kind} {word}: {message}",
                detail=detail,
            )
            await unit.note(note)
            delivery = NewDelivery(
                webhook_id=new_webhook_id(),
                rule=alert.name,
                destination=alert.action.destination,
                object="",
                record=key,
                event=unit.entries[-1].seq,
                body=document,
            )
            await outbox.add(unit.tx, [delivery], now)
        return len(wanted)

    async def _conditions(self) -> AsyncIterator[tuple[str, Condition]]:
        """Every condition that holds now, by `kind` or `kind object`."""
        now, controller = self._engine.now(), self._controller
        if controller.push.quiet is Quiet.SILENT:
            yield "silent", Condition(now, controller.push.quiet_proof or "pushes get lost")
        if controller.unreachable is not None:
            yield "unreachable", Condition(now, controller.unreachable)
        for mirrored in self._engine.catalog:
            for kind, message in _of_object(mirrored):
                yield f"{kind} {mirrored.name}", Condition(now, message)
        waiting = [one for one in self._engine.catalog if one.deferred is not None]
        if waiting:
            yield "quota", Condition(now, _waits(waiting))
        own = [alert.name for alert in self._alerts]  # an alert about its own dead letter would never end
        newest = await dead_letters.newest_id(self._engine.database, but_of=own)
        if newest:
            yield "dead_letter", Condition(now, "there are dead letters: rtsd dead-letters", mark=newest)


def _of_object(mirrored: MirroredObject) -> Iterator[tuple[str, str]]:
    if mirrored.drift is not None and any(mirrored.drift):
        missing, stale, orphaned = mirrored.drift
        found = f"{missing} rows missing, {stale} stale, {orphaned} orphaned"
        yield "drift", f"{mirrored.name}: {found} at {mirrored.checked_at}"
    if mirrored.state in (ObjectState.INCOMPLETE, ObjectState.ERROR):
        yield "incomplete", f"{mirrored.name}: {mirrored.error or mirrored.state.value}"


def _waits(waiting: Sequence[MirroredObject]) -> str:
    names = ", ".join(one.name for one in waiting)
    why = next((one.deferred.why.message for one in waiting if one.deferred is not None), "")
    return f"{names}: waiting for quota: {why}"
