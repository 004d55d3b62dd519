"""Alerts about conditions of the daemon, sent once when one begins and, if configured, when it ends.

::

    silent        changes were made that a push should have delivered (`push.quiet`), not mere idleness;
                  or the relay in the org is known not to pass changes on
    unreachable   the org does not answer, or refuses the login
    quota         objects wait for quota
    dead_letter   there are new dead letters; repeated for further ones, at most once an hour
    drift         the last check of an object found rows missing, stale or orphaned
    incomplete    an object is not proven, or cannot be read
    stream        a stream of `[[streams]]` takes nothing

Sent alerts are stored, so that a restart does not repeat them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

import msgspec

from rtsd.core.instant import HOUR_MS, Millis, to_iso
from rtsd.core.object_state import ObjectState
from rtsd.core.plural import plural
from rtsd.core.silence import Quiet
from rtsd.rules.match import new_webhook_id
from rtsd.rules.rule import Alert
from rtsd.services import Service
from rtsd.store import dead_letters, meta, outbox
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.store.outbox import NewDelivery
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.missed_pushes import PushActivity
from rtsd.sync.reachability import Reachability
from rtsd.sync.relay_watch import RelayWatch
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork

CHECK_EVERY_S = 1.0
"""Seconds between checks of the conditions, all but one of which are in memory."""
GRACE_MS: Millis = 5_000
"""The time an object may be incomplete before the alert, as its proof often follows."""
REPEAT_AFTER_MS: Millis = HOUR_MS
"""The minimum time between alerts about further dead letters."""
_KEY = "alerts"

Streams = Callable[[], Iterable[tuple[str, str]]]
"""Returns the streams that take nothing, each with the reason."""
RenderStatus = Callable[[], Awaitable[object]]
"""Renders `GET /v1/status` for the wire."""


class ActiveAlert(msgspec.Struct):
    """A condition that holds: since when, when it was sent, and a `mark` that grows with new occurrences."""

    since: Millis
    message: str
    told_at: Millis | None = None
    mark: int = 0


class AlertWatch(Service):
    """Checks the conditions and adds alerts to the outbox."""

    name = "alerts"

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        push: PushActivity,
        relay: RelayWatch | None,
        reachability: Reachability,
        streams: Streams,
        status: RenderStatus,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        super().__init__()
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._push = push
        self._relay = relay
        self._reachability = reachability
        self._streams = streams
        self._status = status
        self._random_bytes = random_bytes
        self._alerts: Sequence[Alert] = ()
        self._known: dict[str, ActiveAlert] | None = None

    def set_alerts(self, alerts: Sequence[Alert]) -> None:
        """Replace all alerts."""
        self._alerts = alerts

    async def step(self) -> float:
        """Check the conditions once."""
        await self.check()
        return CHECK_EVERY_S

    async def check(self) -> int:
        """Send alerts for conditions that began or ended since the last check; return their number."""
        if not self._alerts:
            return 0
        if self._known is None:
            self._known = await self._restore()
        now = self._now()
        held = {key: found async for key, found in self._conditions()}
        began = [key for key, found in held.items() if self._is_due(key, found, now)]
        ended = [key for key in self._known if key not in held]
        resolved = [key for key in ended if self._known[key].told_at is not None]
        if not began and not ended:
            return 0
        return await self._send(began, resolved, held, now)

    async def _restore(self) -> dict[str, ActiveAlert]:
        stored = await meta.get(self._database, _KEY)
        return msgspec.json.decode(stored, type=dict[str, ActiveAlert]) if stored else {}

    def _is_due(self, key: str, found: ActiveAlert, now: Millis) -> bool:
        """Record a condition that holds; return whether to send its alert now."""
        known = (self._known or {}).get(key)
        if known is None:
            known = found
            if self._known is not None:
                self._known[key] = known
        known.message = found.message
        if known.told_at is None:
            return now - known.since >= (GRACE_MS if key.startswith("incomplete") else 0)
        return found.mark > known.mark and now - known.told_at >= REPEAT_AFTER_MS

    async def _send(
        self, began: Sequence[str], ended: Sequence[str], held: dict[str, ActiveAlert], now: Millis
    ) -> int:
        """Add the alerts to the outbox and store that they were sent, in one transaction."""
        known = self._known or {}
        status = (
            await self._status() if began or ended else None
        )  # otherwise only conditions without an alert ended
        count = 0
        async with self._work.begin() as unit:
            for key in began:
                count += await self._post(unit, key, known[key].message, status, resolved=False)
            for key in ended:
                count += await self._post(unit, key, known[key].message, status, resolved=True)
            kept = {key: active for key, active in known.items() if key in held}
            for key in began:
                kept[key] = ActiveAlert(known[key].since, known[key].message, now, held[key].mark)
            await meta.put(unit.tx, _KEY, msgspec.json.encode(kept).decode())
        self._known = dict(kept)
        return count

    async def _post(self, unit: UnitOfWork, key: str, message: str, status: object, *, resolved: bool) -> int:
        kind, _, object_name = key.partition(" ")
        wanted = [alert for alert in self._alerts if kind in alert.on and (alert.resolved or not resolved)]
        if not wanted:
            return 0
        now = self._now()
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
                webhook_id=new_webhook_id(self._random_bytes),
                rule=alert.name,
                destination=alert.action.destination,
                object="",
                record=key,
                event=unit.entries[-1].seq,
                body=document,
            )
            await outbox.add(unit.tx, [delivery], now)
        return len(wanted)

    async def _conditions(self) -> AsyncIterator[tuple[str, ActiveAlert]]:
        """The conditions that hold now, keyed `kind` or `kind object`."""
        now = self._now()
        failure = self._relay.failure if self._relay is not None else None
        if failure is not None:
            yield "silent", ActiveAlert(now, f"{failure.what} {failure.do}")
        elif self._push.quiet is Quiet.SILENT:
            yield "silent", ActiveAlert(now, self._push.quiet_proof or "pushes are lost")
        if self._reachability.error is not None:
            yield "unreachable", ActiveAlert(now, self._reachability.error)
        for mirrored in self._catalog:
            for kind, message in _of_object(mirrored):
                yield f"{kind} {mirrored.name}", ActiveAlert(now, message)
        for name, message in self._streams():
            yield f"stream {name}", ActiveAlert(now, message)
        waiting = [mirrored for mirrored in self._catalog if mirrored.deferred is not None]
        if waiting:
            yield "quota", ActiveAlert(now, _waits(waiting))
        own = [
            alert.name for alert in self._alerts
        ]  # an alert about its own dead letter would repeat endlessly
        newest = await dead_letters.newest_id(self._database, but_of=own)
        if newest:
            yield "dead_letter", ActiveAlert(now, "there are dead letters: rtsd dead-letters", mark=newest)


def _of_object(mirrored: MirroredObject) -> Iterator[tuple[str, str]]:
    drift = mirrored.suspicions.drift
    if drift:
        found = f"{plural(drift.missing, 'row')} missing, {drift.stale} stale, {drift.orphaned} orphaned"
        yield "drift", f"{mirrored.name}: {found} at {mirrored.stored.checked_at}"
    if mirrored.state in (ObjectState.INCOMPLETE, ObjectState.ERROR):
        yield "incomplete", f"{mirrored.name}: {mirrored.stored.error or mirrored.state.value}"


def _waits(waiting: Sequence[MirroredObject]) -> str:
    names = ", ".join(mirrored.name for mirrored in waiting)
    why = next((mirrored.deferred.why.message for mirrored in waiting if mirrored.deferred is not None), "")
    return f"{names}: waiting for quota: {why}"
