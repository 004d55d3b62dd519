"""The stored ledger: records every call, and refuses calls beyond the reserve or the operator's own caps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial

from rtsd.core.backoff import pause_ms
from rtsd.core.instant import DAY_MS, HOUR_MS, Millis, to_minute
from rtsd.core.quota import API_REQUESTS, BULK_JOBS, BULK_MEGABYTES, LOGINS, Bound, frees_at, runs_out_at
from rtsd.errors import QuotaExhausted
from rtsd.store import quota
from rtsd.store.database import Database, Tx
from rtsd.store.journal import Note
from rtsd.store.quota import Usage
from rtsd.sync.usage import OrgUsage

RECOUNT_MS: Millis = 60_000
"""Time between recounts of the last 24 hours' usage."""

SPENT = frozenset({API_REQUESTS, BULK_JOBS, BULK_MEGABYTES})
"""The limits that rtsd's calls use, and that the reserve holds for."""

_tally: ContextVar[Counter[str] | None] = ContextVar("tally", default=None)

WriteNote = Callable[[Note], Awaitable[None]]
"""Writes one entry into the journal."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The limits on rtsd's usage: the reserve, a share of each daily limit, and the operator's own caps."""

    reserve: float
    daily: Mapping[str, int]
    """Own caps per 24 hours, by resource."""


@dataclass(frozen=True, slots=True)
class LimitForecast:
    """The usage of one of the org's limits, and what becomes of it at the last hour's rate. Times in ms."""

    usage: Usage
    hour: Sequence[tuple[Millis, int]]
    """The usage of the last hour, as (time, used)."""
    measured: Millis
    """The span of the figures behind the rate; an hour at most, and no forecast is made of less."""

    @property
    def runs_out_at(self) -> Millis | None:
        """The time at which the limit is used up; None if that is over a day away."""
        return self.reaches(self.usage.max)

    def reaches(self, used: int) -> Millis | None:
        """The time at which so much is used; None if that is over a day away."""
        return runs_out_at(self.hour, used)


@dataclass(slots=True)
class _Closed:
    """A resource that Salesforce itself has refused: nothing is sent until `until` (ms)."""

    until: Millis
    times: int
    """Consecutive refusals."""
    reason: str
    probed: bool = False
    """True if a call was sent since, as a probe."""

    def probe(self) -> None:
        """Note that a probe was sent."""
        self.probed = True


class StoredLedger:
    """Records every call before it is sent (salesforce.ledger.Ledger), and refuses calls beyond a limit.

    Its decisions depend only on the database, so a restart changes nothing. It journals once when a purpose
    is held back, and once when it resumes.
    """

    def __init__(
        self, database: Database, caps: Caps, now: Callable[[], Millis], write_note: WriteNote
    ) -> None:
        self._database = database
        self.caps = caps
        self._now = now
        self._write_note = write_note
        self.org = OrgUsage()
        self._spent: dict[str, int] = {}
        self._counted_at: Millis | None = None
        self._closed: dict[str, _Closed] = {}
        self._held: set[tuple[str, str]] = set()
        """Held-back work as (purpose, resource)."""
        self._warned: set[str] = set()

    @property
    def reserve(self) -> float:
        """The share of each daily limit that rtsd never uses."""
        return self.caps.reserve

    def stops_at(self, name: str, highest: int) -> int | None:
        """Return the usage, by everybody, at which rtsd stops; None for a limit that its calls do not use."""
        return highest - int(highest * self.caps.reserve) if name in SPENT else None

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        """Record a call about to be sent. Raises QuotaExhausted if it is refused; then nothing is recorded.

        One transaction checks and records, so that concurrent calls cannot exceed a cap together.
        """
        if resource == LOGINS:
            await self.record(purpose, resource, count)
            return
        refusal: QuotaExhausted | None = None
        proven = False
        async with self._database.transaction() as tx:
            await self._recount(tx)
            try:
                proven = await self._check(tx, purpose, resource, count)
            except QuotaExhausted as error:
                refusal = error
            else:
                await self._write(tx, purpose, resource, count)
            ours = self._spent_with(resource, 0 if refusal else count)
            samples = self.org.due_samples(ours, self._now(), refused=refusal is not None)
            if samples:
                await quota.add_usage(tx, samples, self._now())
                tx.on_commit(partial(self.org.stored, samples))
        if samples:
            await self._warn()
        if refusal is not None:
            await self._hold_back(purpose, resource, refusal)
            raise refusal
        if proven:
            await self._release(purpose, resource)

    async def record(
        self, purpose: str, resource: str, count: int, on_commit: Callable[[], None] | None = None
    ) -> None:
        """Record usage that has occurred; `on_commit` runs in the moment in which it counts here."""
        async with self._database.transaction() as tx:
            await self._recount(tx)
            await self._write(tx, purpose, resource, count)
            if on_commit is not None:
                tx.on_commit(on_commit)

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        """Record a refusal by Salesforce itself, and close the resource for a growing time."""
        of_jobs = BULK_JOBS in resources and error.reason != "REQUEST_LIMIT_EXCEEDED"
        resource = BULK_JOBS if of_jobs else API_REQUESTS
        now, before = self._now(), self._closed.get(resource)
        times = before.times + 1 if before and now - before.until < HOUR_MS else 1
        self._closed[resource] = _Closed(now + pause_ms(times), times, error.message)
        error.try_at = self._closed[resource].until
        await self._hold_back(purpose, resource, error)

    def observe_usage(self, used: int, highest: int) -> None:
        """Record the usage of API requests from a response's header (Sforce-Limit-Info)."""
        self.observe_limit(API_REQUESTS, used, highest)

    def observe_limit(self, name: str, used: int, highest: int) -> None:
        """Record the usage of one of the org's limits."""
        self.org.observe(name, used, highest, self._spent.get(name, 0), self._now())

    def current(self, name: str) -> tuple[int, int] | None:
        """Return the usage of one of the org's limits, rtsd's included, and its maximum; None if unknown."""
        return self.org.current(name, self._spent.get(name, 0), self._now())

    def spent(self, resource: str) -> int:
        """Return rtsd's own usage of a limit in the last 24 hours."""
        return self._database.counts.calls_by_resource(self._now()).get(resource, 0)

    async def limit_read_at(self, name: str) -> Millis | None:
        """Return the time of a limit's last figure (ms), in this run or an earlier one; None without one."""
        self.org.restore(await quota.usage(self._database, self._now() - DAY_MS))
        return self.org.read_at(name)

    async def forecasts(self) -> list[LimitForecast]:
        """Return the forecast of every known limit."""
        now = self._now()
        kept = await quota.usage(self._database, now - DAY_MS)
        self.org.restore(kept)
        ours = self._database.counts.calls_by_resource(now)
        samples = self.org.samples(ours, now)
        hour: dict[str, list[tuple[Millis, int]]] = {}
        first: dict[str, Millis] = {}
        for usage in kept:
            first.setdefault(usage.name, usage.at)
        for usage in [*(usage for usage in kept if usage.at >= now - HOUR_MS), *samples]:
            hour.setdefault(usage.name, []).append((usage.at, usage.used))
        return [
            LimitForecast(usage, hour[usage.name], min(now - first.get(usage.name, now), HOUR_MS))
            for usage in samples
        ]

    async def _check(self, tx: Tx, purpose: str, resource: str, count: int) -> bool:
        """Return True if the known limits allow a call, False if it is sent only as a probe.

        Raises QuotaExhausted if it must not be sent.
        """
        now, closed = self._now(), self._closed.get(resource)
        if closed is not None and now < closed.until:
            raise _refusal(closed.reason, None, closed.until)
        if closed is not None and not closed.probed:
            tx.on_commit(closed.probe)
            return False
        held = (purpose, resource) in self._held
        for name, bound in self._bounds(resource):
            missing = bound.missing(purpose, count if name == resource else 1, held_back=held)
            if not missing:
                continue
            if name == API_REQUESTS and not bound.ours_alone and self.org.may_probe(now):
                return False
            goes_on_at = frees_at(await quota.spent_by_minute(tx, name, now - DAY_MS), missing)
            try_at = goes_on_at or now + HOUR_MS
            if not bound.ours_alone:
                probe_at = self.org.probe_at if name == API_REQUESTS else now + HOUR_MS
                try_at = min(try_at, probe_at)
            raise _refusal(_sentence(name, bound, purpose), goes_on_at, try_at)
        if resource == API_REQUESTS:
            self.org.reset_probes(now)
        return True

    def _bounds(self, resource: str) -> Iterator[tuple[str, Bound]]:
        """Yield the bounds of a resource, by name. A Bulk job also uses megabytes of results."""
        for name in (resource, BULK_MEGABYTES) if resource == BULK_JOBS else (resource,):
            ours = self._spent.get(name, 0)
            cap = self.caps.daily.get(name)
            if cap is not None:
                yield name, Bound(cap, ours, ours_alone=True)
            known = self.org.current(name, ours, self._now())
            if known is not None:
                used, highest = known
                yield name, Bound(highest, used, int(highest * self.caps.reserve))

    async def _write(self, tx: Tx, purpose: str, resource: str, count: int) -> None:
        await quota.spend(tx, self._now(), purpose, resource, count)
        tx.on_commit(partial(self._count, resource, count))
        if (tally := _tally.get()) is not None:
            tx.on_commit(partial(tally.update, {resource: count}))

    def _count(self, resource: str, count: int) -> None:
        self._spent = self._spent_with(resource, count)

    def _spent_with(self, resource: str, count: int) -> dict[str, int]:
        """The calls of 24 hours by resource, with some more of one."""
        return {**self._spent, resource: self._spent.get(resource, 0) + count}

    async def _recount(self, tx: Tx) -> None:
        now = self._now()
        if self._counted_at is None:
            self.org.restore(await quota.usage(tx, now - DAY_MS))
        if self._counted_at is None or not 0 <= now - self._counted_at < RECOUNT_MS:
            self._counted_at = now
            self._spent = await quota.spent_by_resource(tx, now - DAY_MS)

    async def _hold_back(self, purpose: str, resource: str, refusal: QuotaExhausted) -> None:
        if (purpose, resource) not in self._held:
            self._held.add((purpose, resource))
            message = f"{purpose} is held back: {refusal.message}{until(refusal)}"
            await self._write_note(
                Note("quota", message=message, detail=_detail(purpose, resource, held=True))
            )

    async def _release(self, purpose: str, resource: str) -> None:
        if (purpose, resource) in self._held:
            self._held.remove((purpose, resource))
            message = f"{purpose} resumes: {resource} are available again"
            await self._write_note(
                Note("quota", message=message, detail=_detail(purpose, resource, held=False))
            )

    async def _warn(self) -> None:
        """Journal a warning, once, for each limit that will run out."""
        for forecast in await self.forecasts():
            name = forecast.usage.name
            if forecast.runs_out_at is None:
                self._warned.discard(name)
            elif name not in self._warned:
                self._warned.add(name)
                message = (
                    f"at the rate of the last hour all {forecast.usage.max} {name} of the org are used up"
                    f" about {to_minute(forecast.runs_out_at)}"
                )
                await self._write_note(Note("quota", message=message, detail={"limit": name}))


@contextmanager
def tallied() -> Iterator[Counter[str]]:
    """Count, by limit, what the block and the tasks that it starts use, and nothing else that runs."""
    spent: Counter[str] = Counter()
    token = _tally.set(spent)
    try:
        yield spent
    finally:
        _tally.reset(token)


def until(error: QuotaExhausted) -> str:
    """Return the end of a sentence that says when refused work resumes."""
    if error.goes_on_at is not None:
        return f"; resumes about {to_minute(error.goes_on_at)}"
    return f"; next attempt about {to_minute(error.try_at)}"


def _refusal(message: str, goes_on_at: Millis | None, try_at: Millis) -> QuotaExhausted:
    error = QuotaExhausted(
        message, "Nothing is lost. To resume sooner, raise the cap or lower [quota] reserve."
    )
    error.goes_on_at, error.try_at = goes_on_at, try_at
    return error


def _sentence(name: str, bound: Bound, purpose: str) -> str:
    stop = bound.stop(purpose)
    if bound.ours_alone:
        return f"{bound.used} of rtsd's own cap of {bound.highest} {name} are used, {purpose} stops at {stop}"
    return (
        f"{bound.used} of the org's {bound.highest} {name} are used, {purpose} stops at {stop}"
        f" ({bound.reserve} are reserved for others)"
    )


def _detail(purpose: str, resource: str, *, held: bool) -> dict[str, str | bool]:
    return {"purpose": purpose, "limit": resource, "held": held}
