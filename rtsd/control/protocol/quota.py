"""The org's daily limits: now, and over the last days."""

from __future__ import annotations

import msgspec


class Limit(msgspec.Struct, kw_only=True):
    """One of the org's daily allocations."""

    name: str
    max: int
    remaining: int
    used_by_us: int = 0
    used_by_others: int = 0
    exhausted_at: str | None = None
    """When it will run out at the present rate."""
    stops_at: int | None = None
    """The use, by everybody, at which rtsd stops: the rest is the reserve. None if it does not use it."""
    reached_at: str | None = None
    """When the use reaches `stops_at` at the present rate; None if that is over a day away."""
    measured_s: float | None = None
    """Seconds over which that rate was measured, 3,600 at most; of less, no end says nothing yet."""


class IdleDay(msgspec.Struct, kw_only=True):
    """API calls on a day without changes: in real-time mode, under Interval Sync, without the package."""

    real_time: int
    interval: int
    awaiting_package: int


class Quota(msgspec.Struct, kw_only=True):
    """The org's limits, and rtsd's own calls of the last 24 hours by purpose."""

    limits: list[Limit] = msgspec.field(default_factory=list)
    calls_24h: dict[str, int] = msgspec.field(default_factory=dict)
    idle_day: IdleDay | None = None
    """An estimate, as `rtsd check` makes it"""


class HourlyCalls(msgspec.Struct, kw_only=True):
    """API calls of one purpose in the hour that begins at `at`."""

    at: str
    purpose: str
    calls: int


class UsageSample(msgspec.Struct, kw_only=True):
    """The use of a limit in the 24 hours before `at`: by everybody, and by rtsd."""

    at: str
    name: str
    max: int
    used: int
    used_by_us: int


class HourlyUse(msgspec.Struct, kw_only=True):
    """What rtsd used of a limit in the hour that begins at `at`."""

    at: str
    name: str
    used: int


class QuotaHistory(msgspec.Struct, kw_only=True):
    """`GET /v1/quota/history`: the last 7 days, oldest first."""

    hours: list[HourlyCalls] = msgspec.field(default_factory=list)
    usage: list[UsageSample] = msgspec.field(default_factory=list)
    ours: list[HourlyUse] = msgspec.field(default_factory=list)
    """The use of every limit by rtsd, hour by hour, as the ledger has it."""
    idle_day: IdleDay | None = None
    """An estimate, as `rtsd check` makes it."""
