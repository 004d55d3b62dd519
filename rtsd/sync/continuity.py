"""Continuity: whether pushes have told of every change since the objects were last read, across restarts.

A subscription resumes where it stopped, and the bus has kept what came meanwhile. So a start owes no window
if nothing was missing when rtsd stopped, and the bus shows that nothing was lost since. That nothing is
missing is stored with the position, and forgotten before the position advances past what says otherwise.

What the bus shows: it accepts the position; and, where the package publishes, its heartbeats and changes come
without a pause of `silence_after`, and say that it is enabled, that its relay works and that every object has
its Apex trigger. Whatever is not shown by then is read from the org.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import blake2b

import msgspec

from rtsd.core import relay
from rtsd.core.instant import HOUR_MS, MINUTE_MS, Millis
from rtsd.core.payload import Changes, Heartbeat, Push
from rtsd.core.server_clock import ServerClock
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog
from rtsd.sync.schedule import CurrentSchedule
from rtsd.sync.unit_of_work import UnitsOfWork

KEPT: Millis = 71 * HOUR_MS
"""The age up to which a position is trusted. The bus keeps events for 72 hours, and may accept an older
position without all that came after it (Pub/Sub API guide, Event Message Durability)."""

ANSWERS_WITHIN: Millis = 5 * MINUTE_MS
"""The time in which a resumed stream has its first response: an idle one has a keepalive within 270 s."""


class Continuity:
    """Tracks what is missing, and waits after a start until the subscription has shown that nothing is."""

    def __init__(
        self,
        inbox: Inbox,
        stream: str,
        catalog: Catalog,
        *,
        by_package: bool,
        work: UnitsOfWork,
        schedule: CurrentSchedule,
        server_clock: ServerClock,
        now: Callable[[], Millis],
        monotonic: Callable[[], Millis],
    ) -> None:
        """`stream` is the topic, empty for a channel without one; `by_package`: the package publishes it."""
        self._inbox = inbox
        self._stream = stream
        self._catalog = catalog
        configs = [mirrored.config for mirrored in catalog]
        self._names = frozenset(config.name.lower() for config in configs)
        self._selection = blake2b(msgspec.json.encode(configs), digest_size=16).hexdigest()
        """What is mirrored, and when it is pushed: another configuration proves nothing for this one."""
        self._by_package = by_package
        self._work = work
        self._schedule = schedule
        self._server_clock = server_clock
        self._now = now
        self._monotonic = monotonic
        self._holds = False
        self._is_recorded = bool(stream)
        """Whether the inbox may have a record."""
        self._signed_at: Millis = 0
        """The last sign of the package, on Salesforce's clock (ms)."""
        self._started_at: Millis = 0
        self._resumes_until: Millis | None = None
        """Monotonic ms; None unless the subscription has yet to show that nothing is missing."""
        self.is_caught_up = False
        """Whether the resumed subscription has brought something that is not old."""
        self.losses = 0
        """How often something was found missing."""
        self.changed = asyncio.Event()
        """Set when a wait for the subscription may be over."""

    async def restore(self) -> None:
        """Restore what the last run has stored, if the position can be resumed."""
        if not self._stream:
            return
        record = await self._inbox.unbroken(self._stream)
        position = await self._inbox.position(self._stream)
        if record is None or position is None:
            return
        self._started_at = self._monotonic()
        self._resumes_until = self._started_at + min(ANSWERS_WITHIN, self._schedule().silence_after)
        signed_at, read, selection = record.split(" ")
        if selection != self._selection:
            await self.lost("the configuration has changed")
        elif self._read() < int(read):
            await self.lost("the mirror is older than what was read, as from a backup")
        elif not self._is_kept(position.at):
            await self.lost("the bus does not keep events for as long as rtsd was down")
        else:
            self._holds, self._signed_at = True, int(signed_at)
            await self._note("the stream is resumed where it stopped: no object is read unless that fails")

    @property
    def is_resuming(self) -> bool:
        """Whether it is not decided yet if windows are due."""
        return self._resumes_until is not None

    def left(self) -> Millis:
        """Return how long the subscription may still take to decide it, in ms."""
        return 0 if self._resumes_until is None else self._resumes_until - self._monotonic()

    async def resumed(self) -> None:
        """Record that no window is due: the subscription has brought everything since the last run."""
        self._resumes_until = None
        await self._note("the stream has brought what came while rtsd was down: no object has to be read")

    async def lost(self, reason: str) -> None:
        """Record durably that something may be missing: the next start reads windows, as does one that waits.

        Raises StoreError.
        """
        was_resuming = self.is_resuming
        self.losses += 1
        self._holds, self._resumes_until = False, None
        if self._is_recorded:
            self._is_recorded = False
            try:
                await self._inbox.forget_unbroken(self._stream)
            except BaseException:
                self._is_recorded = True
                raise
        if was_resuming:
            self.changed.set()
            await self._note(f"every object is being read: {reason}")

    def regained(self, losses: int) -> None:
        """Record that every object was read while pushes came; `losses` is their number when that began."""
        self._holds |= bool(self._stream) and losses == self.losses

    async def take(self, push: Push, signed_at: Millis) -> None:
        """Judge a push of the package before it is stored, signed at that time on Salesforce's clock (ms)."""
        reason = self._contradiction(push) if isinstance(push, Heartbeat) else ""
        if reason:
            await self.lost(reason)
        elif _is_sign(push):
            signed_at = min(signed_at, self._server_clock.now())
            if signed_at - self._signed_at > self._schedule().silence_after:
                await self.lost("the package was silent meanwhile")
            self._signed_at = max(self._signed_at, signed_at)

    async def resume_from(self, at: Millis | None) -> None:
        """Judge the position that a response has resumed from, of that local time (ms)."""
        if self.is_resuming and not self._is_kept(at):
            await self.lost("the bus does not keep events for as long as rtsd was down")

    def reached(self, at: Millis | None) -> None:
        """Record a stored position, of that local time (ms)."""
        if not self.is_resuming or self.is_caught_up:
            return
        self._resumes_until = self._started_at + self._schedule().silence_after
        reached, now = at or 0, self._now()
        if self._by_package:
            reached, now = self._signed_at, self._server_clock.now()
        if reached >= now - self._schedule().silence_after:
            self.is_caught_up = True
            self.changed.set()

    def record(self) -> str | None:
        """Return what is stored with a position; None if something is missing."""
        if not self._holds:
            return None
        self._is_recorded = True
        return f"{self._signed_at} {self._read()} {self._selection}"

    def _read(self) -> Millis:
        """Return how far windows have been read, as the sum of the cursors; only an older mirror has less."""
        return sum(mirrored.stored.cursor or 0 for mirrored in self._catalog)

    def _contradiction(self, beat: Heartbeat) -> str:
        """Return what a heartbeat says that keeps changes from being pushed; empty if nothing does."""
        if beat.settings.get("disabled") is True:
            return "the package was disabled meanwhile"
        failure = relay.from_heartbeat(beat.relay, self._now()).failure if beat.relay else None
        if failure is not None:
            return failure.what
        if beat.triggers is not None and not self._names <= {name.lower() for name in beat.triggers}:
            return "an object had no Apex trigger meanwhile"
        return ""

    def _is_kept(self, at: Millis | None) -> bool:
        """Whether the bus still has everything that came after a position of that time, by either clock."""
        return at is not None and max(self._now(), self._server_clock.now()) - at <= KEPT

    async def _note(self, message: str) -> None:
        await self._work.note(Note("package", message=message))


def _is_sign(push: Push) -> bool:
    """Whether a push shows that changes leave the org: by the relay, not by a retry."""
    if isinstance(push, Heartbeat):
        return push.triggers is not None and push.relay is not None and push.relay.get("relayed") is True
    return isinstance(push, Changes) and push.attempt <= 1
