"""How changes arrive: the mode machine at work, and what runs in which mode."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from rtsd.core.instant import Millis, from_iso
from rtsd.core.mode import READS_BY_INTERVAL, Mode, Signal, next_mode
from rtsd.core.payload import Heartbeat, Push
from rtsd.core.silence import Quiet
from rtsd.errors import (
    AuthenticationFailed,
    Conflict,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
)
from rtsd.store import journal, meta
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync.audit import StateAudit
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.columns import Columns
from rtsd.sync.conditions import Conditions
from rtsd.sync.deferral import defer, undefer
from rtsd.sync.describe import Describer
from rtsd.sync.engine import Engine
from rtsd.sync.fingerprint import Fingerprint, Fingerprinter
from rtsd.sync.interval import Interval
from rtsd.sync.loading import LOOK_S, Loader
from rtsd.sync.org import OrgIdentity
from rtsd.sync.package import PackageWatch, Problem
from rtsd.sync.package_errors import PackageErrors
from rtsd.sync.realtime import RealTime
from rtsd.sync.repair import SETTLE_S, Repair
from rtsd.sync.schedule import Schedule
from rtsd.sync.silence import PushSeen, Silence

log = structlog.get_logger("rtsd.controller")

RETRY_S = 5.0
"""The first pause after a failed step; doubles up to RETRY_MOST_S."""
RETRY_MOST_S = 300.0
REAL_TIME_LOOK_S = 10.0
"""How often, while pushes come, it is looked whether the package is to be asked for; that costs nothing."""
SUSPICION_PAUSE_MS: Millis = 600_000
"""How often contradictions make a fingerprint due, at most."""
EXPECTS_PUSHES = {
    Signal.PUSH: True,
    Signal.PACKAGE_FOUND: True,
    Signal.PACKAGE_ENABLED: True,
    Signal.PACKAGE_MISSING: False,
    Signal.PACKAGE_DISABLED: False,
}
"""What tells whether the package is installed and enabled."""


class Controller:
    """Runs the loops, and moves between modes."""

    def __init__(
        self,
        engine: Engine,
        schedule: Schedule,
        *,
        realtime: RealTime,
        interval: Interval,
        audit: StateAudit,
        columns: Columns,
        fingerprinter: Fingerprinter,
        repair: Repair,
        describer: Describer,
        org: OrgIdentity,
        package: PackageWatch | None,
        conditions: Conditions,
        package_errors: PackageErrors,
        monotonic: Callable[[], Millis],
    ) -> None:
        self._engine = engine
        self.schedule = schedule
        self.realtime = realtime
        self.interval = interval
        self.audit = audit
        self.columns = columns
        self.fingerprinter = fingerprinter
        self.repair = repair
        self.describer = describer
        self.org = org
        self.package = package
        self.conditions = conditions
        self.package_errors = package_errors
        self._problems: Sequence[Problem] = ()
        """What contradicted the configuration at the last look at the package."""
        self.loader = Loader(
            engine,
            lambda: self.schedule,
            audit=audit,
            columns=columns,
            describer=describer,
            org=org,
            check=self.check,
        )
        self._monotonic = monotonic
        self.push = PushSeen(heard=monotonic())
        self.silence = Silence(engine, self.push, schedule.silence_after)
        if package is not None:
            self.silence.unpushed_objects = package.uncovered
        self.mode = Mode.AWAITING_PACKAGE if package else Mode.INTERVAL
        self.mode_since = engine.now()
        self.mode_reason = "started" if package else "no gateway is configured"
        self.unreachable: str | None = None
        self._answered = 0
        """Calls that had gone well when the org was lost."""
        self._to_load = asyncio.Event()
        self._to_read = asyncio.Event()
        self._to_check = asyncio.Event()
        self._catch_up = True
        """Whether a window is owed although nothing is silent: after a start, and when pushes return."""

    async def observe(self, signal: Signal, reason: str = "") -> None:
        """Let the machine take a signal; a new mode goes into the journal with its reason."""
        if signal in EXPECTS_PUSHES:
            await self.silence.expect(pushes=EXPECTS_PUSHES[signal])
        target = next_mode(self.mode, signal)
        if target is self.mode:
            return
        before, self.mode = self.mode, target
        self.mode_since, self.mode_reason = self._engine.now(), reason or signal.value
        if target is Mode.REAL_TIME and before in READS_BY_INTERVAL:
            self._catch_up = True
        self.realtime.paused = target is Mode.PAUSED
        self.wake()
        log.info("mode", mode=target.value, before=before.value, reason=self.mode_reason)
        detail = {"from": before.value, "to": target.value}
        await self._engine.note(Note("mode", message=f"{target.value}: {self.mode_reason}", detail=detail))

    async def observe_push(self, push: Push, at: Millis) -> None:
        """Take a valid push as evidence: the channel works."""
        self.push.saw(push, at, self._monotonic())
        disabled = isinstance(push, Heartbeat) and push.settings.get("disabled") is True
        if self.package is not None:
            self.package.heard_from(push, at)
            if self.mode is Mode.DISABLED and not isinstance(push, Heartbeat):
                self.package.look_soon()  # on its way when it was switched off, or switched on again?
        await self.observe(Signal.PACKAGE_DISABLED if disabled else Signal.PUSH)

    async def watch_silence(self) -> None:
        """Notice silence: forever, and never later than a second."""
        while True:
            left = await self._notice_silence()
            await asyncio.sleep(min(max(left, 10), 1000) / 1000)

    async def _notice_silence(self) -> Millis:
        """Fall silent if it is time; how long to wait else."""
        left = self.push.heard + self.schedule.silence_after - self._monotonic()
        if left > 0:
            return left
        if self.mode is Mode.REAL_TIME:
            self.push.quiet = Quiet.UNKNOWN
            self.push.quiet_proof = "no sign of life: every object is being read"
            await self.observe(Signal.SILENCE)
            if self.package is not None:
                self.package.look_soon()
        return 1000

    async def watch_package(self) -> None:
        """Look for the package until it is there, ever more seldom; its pushes tell the rest."""
        if self.package is None:
            return
        while True:
            self.package.wake.clear()
            pause = await self._guarded(self._look_for_package, self.package.pause_s())
            with suppress(TimeoutError):
                await asyncio.wait_for(self.package.wake.wait(), pause)

    async def _look_for_package(self) -> float:
        watch = self.package
        if watch is None or self.mode is Mode.PAUSED:
            return REAL_TIME_LOOK_S
        if self.mode is not Mode.REAL_TIME or watch.is_wanted:
            await self.take_look(await watch.look())
        await self.conditions.step(watch.known.state)
        await self.package_errors.step(watch.known)
        if self.mode is Mode.REAL_TIME:
            watch.next_look_at = None
            return REAL_TIME_LOOK_S
        watch.next_look_at = self._engine.now() + int(watch.pause_s() * 1000)
        return watch.pause_s()

    async def take_look(self, signal: Signal) -> None:
        """Let the machine take what a look at the package found."""
        if signal is Signal.PACKAGE_MISSING and self.mode is Mode.REAL_TIME:
            await self.observe(Signal.SILENCE, "the package is gone from the org")
        await self.observe(signal)
        await self._tell_problems()

    async def _tell_problems(self) -> None:
        """Put into the journal what contradicts the configuration, once."""
        problems = self.package.problems() if self.package else []
        for one in problems:
            if one not in self._problems:
                log.warning("package", problem=one.what)
                await self._engine.note(Note("package", message=f"{one.what} {one.do}"))
        self._problems = problems

    async def keep_loading(self) -> None:
        """Describe and load what is not there yet, and prove what is: forever."""
        await self._repeat(self._load, self._to_load)

    async def _load(self) -> float:
        return RETRY_MOST_S if self.mode is Mode.PAUSED else await self.loader.step()

    async def keep_reading(self) -> None:
        """Read windows while the mode asks for it: forever."""
        await self._repeat(self._read, self._to_read)

    async def _read(self) -> float:
        if self.mode in READS_BY_INTERVAL or self.mode is Mode.UNREACHABLE or self._catch_up:
            self._catch_up = False
            try:
                await self._read_windows()
            except BaseException:
                self._catch_up = True
                raise
        elif self.mode is Mode.REAL_TIME and self.package is not None:
            uncovered = self.package.uncovered()  # nothing pushes these, whatever the mode is
            await self._read_windows([one for one in self._engine.catalog if one.name in uncovered])
        return self.schedule.interval / 1000

    async def _read_windows(self, only: Sequence[MirroredObject] | None = None) -> None:
        """One window of every object; what they hold says whether the silence was idleness."""
        before = self.mode
        unread = only is not None
        refused: QuotaExhausted | None = None
        for mirrored in self._engine.catalog if only is None else only:
            if mirrored.loaded and not mirrored.paused and mirrored.state is not ObjectState.ERROR:
                try:
                    unread |= not await self._read_window(mirrored)
                except QuotaExhausted as error:
                    refused = error
            else:
                unread = True
        if refused is not None:
            raise refused
        await self.silence.look()
        if before is self.mode is Mode.INTERVAL and not unread:
            await self.silence.judge()

    async def _read_window(self, mirrored: MirroredObject) -> bool:
        """One window of one object; False when it could not be read."""
        try:
            await self.interval.step(mirrored)
        except QuotaExhausted as error:
            await defer(self._engine, mirrored, error)
            raise
        except (OrgUnreachable, AuthenticationFailed):
            raise
        except SalesforceError as error:
            await self.audit.doubt(mirrored, f"a window could not be read: {error}")
            await self.loader.failed(mirrored, error)
            return False
        await undefer(self._engine, mirrored)
        return True

    async def keep_checking(self) -> None:
        """Fingerprint every live object, each as often as configured: forever."""
        await self._repeat(self._check, self._to_check)

    async def _check(self) -> float:
        period = self.schedule.fingerprint_every
        for mirrored in self._engine.catalog:
            if not period or self.mode in (Mode.PAUSED, Mode.UNREACHABLE) or mirrored.paused:
                continue
            if mirrored.table is None or mirrored.table.schema.cursor is None:
                continue  # read whole every so often instead
            last = from_iso(mirrored.checked_at) if mirrored.checked_at else 0
            due = last + min(period, SUSPICION_PAUSE_MS if mirrored.suspicion else period)
            if mirrored.state is ObjectState.LIVE and self._engine.now() >= due:
                await self.check(mirrored)
        return LOOK_S

    async def check(self, mirrored: MirroredObject) -> Fingerprint:
        """Fingerprint one object and repair what differs; what the check found is the answer."""
        if mirrored.described.schema.cursor is None:
            raise Conflict(
                f"{mirrored.name} has no field that orders its versions, so it has no fingerprint",
                f"`rtsd audit {mirrored.name} --full` reads it again",
            )
        if mirrored.suspicion:
            log.info("fingerprint before its time", object=mirrored.name, reason=mirrored.suspicion)
        mirrored.suspicion = ""
        result = await self.fingerprinter.step(mirrored)
        if result.found or result.unsettled:
            seq = await journal.newest_seq(self._engine.database)
            await self.repair.step()
            await self.fingerprinter.prove(mirrored, result)
            await self.fingerprinter.tell_apart(mirrored, result, seq)
        mirrored.contradicted = await self.fingerprinter.contradicted(mirrored, result)
        if mirrored.contradicted:
            reason = f"{mirrored.contradicted} rows have newer stamps than the org shows; they are read again"
            await self.audit.doubt(mirrored, reason)
        await self.silence.look()
        return result

    async def keep_repairing(self) -> None:
        """Fetch the records that are asked for: forever, collecting what a burst names."""
        await self._repeat(self._repair, self._engine.fetch_wanted)

    async def _repair(self) -> float:
        if self.mode is not Mode.PAUSED:
            await asyncio.sleep(SETTLE_S)
            await self.repair.step(patiently=True)
        return RETRY_S

    async def _repeat(self, step: Callable[[], Awaitable[float]], wake: asyncio.Event) -> None:
        """Run a step, sleep as long as it says or until woken: forever."""
        while True:
            wake.clear()
            pause = await self._guarded(step, RETRY_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), pause)

    async def _guarded(self, step: Callable[[], Awaitable[float]], pause: float) -> float:
        """Run a step; what Salesforce refuses is shown and tried again, anything else ends the daemon."""
        try:
            result = await step()
        except (OrgUnreachable, AuthenticationFailed) as error:
            await self._lost(error)
        except QuotaExhausted as error:  # the journal says what is held back, once
            wait = (error.try_at - self._engine.now()) / 1000
            return min(max(wait, RETRY_S), RETRY_MOST_S)
        except SalesforceError as error:
            await self._engine.report(error)
        else:
            await self._found()
            return result
        return pause

    async def _lost(self, error: SalesforceError) -> None:
        self._answered = self._engine.client.exchange.answered
        if self.unreachable != str(error):
            self.unreachable = str(error)
            await self._engine.report(error)
        await self.observe(Signal.ORG_UNREACHABLE, error.message)

    async def _found(self) -> None:
        # a step that had nothing to ask is no sign of the org
        if self.unreachable is not None and self._engine.client.exchange.answered > self._answered:
            self.unreachable = None
            await self.observe(Signal.ORG_REACHABLE)

    async def pause(self) -> None:
        """Stop reading and applying; pushes are still taken."""
        await self.observe(Signal.PAUSE)
        await self._remember_pause(paused=True)

    async def resume(self) -> None:
        """Go on."""
        self._catch_up = True
        await self.observe(Signal.RESUME)
        await self._remember_pause(paused=False)

    async def restore(self) -> None:
        """Take up what an earlier run knew of the push channel, and its pause."""
        await self.silence.restore()
        await self.conditions.restore()
        if await meta.get(self._engine.database, "paused") == "1":
            await self.observe(Signal.PAUSE)

    async def _remember_pause(self, *, paused: bool) -> None:
        async with self._engine.database.transaction() as tx:
            await meta.put(tx, "paused", "1" if paused else "0")

    def catch_up(self) -> None:
        """Read a window of every object now, whatever the mode."""
        self._catch_up = True
        self.wake()

    def wake(self) -> None:
        """Have the loops look again now."""
        self._to_load.set()
        self._to_read.set()
        self._to_check.set()
