"""The ledger at work: no call without its entry, none beyond the reserve or the operator's own caps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
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
"""How often the rolling 24 hours are summed up again."""

Tell = Callable[[Note], Awaitable[None]]
"""Puts into the journal what is held back."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What rtsd leaves alone: a share of each daily limit, and more than its own caps."""

    reserve: float
    daily: Mapping[str, int]
    """Own caps by resource, per 24 hours."""


@dataclass(frozen=True, slots=True)
class LimitForecast:
    """One of the org's limits now, and when it runs out at the rate of the last hour."""

    usage: Usage
    runs_out_at: Millis | None


@dataclass(slots=True)
class _Closed:
    """Salesforce itself refuses a resource: nothing is sent until then."""

    until: Millis
    times: int
    reason: str
    tried: bool = False
    """Whether a call went since, to find out."""

    def probed(self) -> None:
        """Note that a call goes, to find out."""
        self.tried = True


class StoredLedger:
    """Writes every call down before it is sent (salesforce.ledger.Ledger), and refuses what may not be.

    Everything it decides by is in the database, so a restart changes nothing. Each purpose that is held
    back, or resumes, is journalled once.
    """

    def __init__(self, database: Database, caps: Caps, now: Callable[[], Millis], tell: Tell) -> None:
        self._database = database
        self.caps = caps
        self._now = now
        self._tell = tell
        self.org = OrgUsage()
        self._spent: dict[str, int] = {}
        self._counted_at: Millis | None = None
        self._closed: dict[str, _Closed] = {}
        self._held: set[tuple[str, str]] = set()
        """Which purposes are held back, each by which resource."""
        self._warned: set[str] = set()

    @property
    def reserve(self) -> float:
        """The share of each daily limit that rtsd leaves alone."""
        return self.caps.reserve

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        """Write down what is sent next. Raises QuotaExhausted when it may not be; then nothing is.

        Checked and written in one transaction: calls that come at once cannot pass a cap together.
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
                tx.on_commit(partial(self.org.kept, samples))
        if samples:
            await self._warn()
        if refusal is not None:
            await self._hold_back(purpose, resource, refusal)
            raise refusal
        if proven:
            await self._let_go(purpose, resource)

    async def record(self, purpose: str, resource: str, count: int) -> None:
        """Write down what was drawn."""
        async with self._database.transaction() as tx:
            await self._recount(tx)
            await self._write(tx, purpose, resource, count)

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        """Salesforce itself has refused: the resource is closed for a while, ever longer."""
        of_jobs = BULK_JOBS in resources and error.reason != "REQUEST_LIMIT_EXCEEDED"
        resource = BULK_JOBS if of_jobs else API_REQUESTS
        now, before = self._now(), self._closed.get(resource)
        times = before.times + 1 if before and now - before.until < HOUR_MS else 1
        self._closed[resource] = _Closed(now + pause_ms(times), times, error.message)
        error.try_at = self._closed[resource].until
        await self._hold_back(purpose, resource, error)

    def saw_usage(self, used: int, highest: int) -> None:
        """Take the usage that came with an answer (Sforce-Limit-Info)."""
        self.saw_limit(API_REQUESTS, used, highest)

    def saw_limit(self, name: str, used: int, highest: int) -> None:
        """Take how much is used of one of the org's limits."""
        self.org.saw(name, used, highest, self._spent.get(name, 0), self._now())

    async def limit_read_at(self, name: str) -> Millis | None:
        """Time of the last figure for a limit, in this run or an earlier one; None: never."""
        self.org.restore(await quota.usage(self._database, self._now() - DAY_MS))
        return self.org.read_at(name)

    async def forecasts(self) -> list[LimitForecast]:
        """Every limit that is known, as of now."""
        now = self._now()
        kept = await quota.usage(self._database, now - DAY_MS)
        self.org.restore(kept)
        ours = self._database.counts.calls_by_resource(now)
        samples = self.org.samples(ours, now)
        hour: dict[str, list[tuple[Millis, int]]] = {}
        for one in [*(one for one in kept if one.at >= now - HOUR_MS), *samples]:
            hour.setdefault(one.name, []).append((one.at, one.used))
        return [LimitForecast(one, runs_out_at(hour[one.name], one.max)) for one in samples]

    async def _check(self, tx: Tx, purpose: str, resource: str, count: int) -> bool:
        """Whether a call may be sent by all that is known; False: it is sent to find out.

        Raises QuotaExhausted.
        """
        now, closed = self._now(), self._closed.get(resource)
        if closed is not None and now < closed.until:
            raise _refusal(closed.reason, None, closed.until)
        if closed is not None and not closed.tried:
            tx.on_commit(closed.probed)
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
                asked_at = self.org.probe_at if name == API_REQUESTS else now + HOUR_MS
                try_at = min(try_at, asked_at)
            raise _refusal(_sentence(name, bound, purpose), goes_on_at, try_at)
        if resource == API_REQUESTS:
            self.org.found_room(now)
        return True

    def _bounds(self, resource: str) -> Iterator[tuple[str, Bound]]:
        """What limits a resource. A Bulk job draws on the megabytes of results too."""
        for name in (resource, BULK_MEGABYTES) if resource == BULK_JOBS else (resource,):
            ours = self._spent.get(name, 0)
            cap = self.caps.daily.get(name)
            if cap is not None:
                yield name, Bound(cap, ours, ours_alone=True)
            known = self.org.now_used(name, ours, self._now())
            if known is not None:
                used, highest = known
                yield name, Bound(highest, used, int(highest * self.caps.reserve))

    async def _write(self, tx: Tx, purpose: str, resource: str, count: int) -> None:
        await quota.spend(tx, self._now(), purpose, resource, count)
        tx.on_commit(partial(self._count, resource, count))

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
            await self._tell(Note("quota", message=message, detail=_detail(purpose, resource, held=True)))

    async def _let_go(self, purpose: str, resource: str) -> None:
        if (purpose, resource) in self._held:
            self._held.remove((purpose, resource))
            message = f"{purpose} goes on: there are {resource} again"
            await self._tell(Note("quota", message=message, detail=_detail(purpose, resource, held=False)))

    async def _warn(self) -> None:
        """Say before it happens that a limit will be used up."""
        for one in await self.forecasts():
            name = one.usage.name
            if one.runs_out_at is None:
                self._warned.discard(name)
            elif name not in self._warned:
                self._warned.add(name)
                message = (
                    f"at the rate of the last hour all {one.usage.max} {name} of the org are used up"
                    f" about {to_minute(one.runs_out_at)}"
                )
                await self._tell(Note("quota", message=message, detail={"limit": name}))


def until(error: QuotaExhausted) -> str:
    """When work that was refused goes on, as the end of a sentence."""
    if error.goes_on_at is not None:
        return f"; goes on about {to_minute(error.goes_on_at)}"
    return f"; it is tried again about {to_minute(error.try_at)}"


def _refusal(message: str, goes_on_at: Millis | None, try_at: Millis) -> QuotaExhausted:
    error = QuotaExhausted(
        message, "Nothing is lost. To go on sooner, raise the cap or lower [quota] reserve."
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
