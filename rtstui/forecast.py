"""What a limit's use will be if the rate of the last hour goes on: pure arithmetic, no Textual here.

Salesforce counts a rolling 24 hours (Salesforce developer limits, API Request Limits and Allocations): a call
counts until a day after it was made. So nothing resets at midnight, and at midnight the count is that of the
calendar day. rtsd's own calls are known hour by hour, those of others only in sum.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rtsd.control.idle_cost import idle_sentence
from rtsd.control.limits import ceiling_of, is_stopped, used
from rtsd.control.protocol import HourlyUse, Limit, QuotaHistory, Status
from rtsd.core.figures import count, day_clock, moment, percent, zone_of
from rtsd.core.quota import API_REQUESTS, DELIVERIES

DAY, HOUR = timedelta(days=1), timedelta(hours=1)

SHORT = "Less than an hour measured: no forecast yet."


@dataclass(frozen=True, slots=True)
class Use:
    """The use of a limit in the 24 hours before a moment, by rtsd and by others."""

    ours: float
    others: float

    @property
    def total(self) -> float:
        """By everybody."""
        return self.ours + self.others


@dataclass(frozen=True, slots=True)
class Forecast:
    """The use of a limit from `now` on, at the rates (a second) of the last hour."""

    now: datetime
    limit: Limit
    midnight: datetime
    """The next one, local: until then the count becomes that of today."""
    ours: Sequence[tuple[datetime, float]]
    """What rtsd used, by the begin of its hour."""
    ours_rate: float
    others_rate: float
    out_at: datetime | None
    """When the limit runs out, as rtsd says."""

    @property
    def ends(self) -> datetime:
        """The moment up to which it goes: midnight, or the end of the limit if that is later."""
        return max(self.midnight, self.out_at or self.midnight)

    def at(self, moment: datetime) -> Use:
        """Return the use at a later moment; never more than the limit."""
        ahead = (moment - self.now).total_seconds()
        ours = self._kept(moment) + self.ours_rate * ahead
        if self.out_at is not None:
            # The table says when it is out: so does the picture.
            share = min(1.0, ahead / max(1.0, (self.out_at - self.now).total_seconds()))
            total = used(self.limit) + self.limit.remaining * share
        else:
            total = ours + max(0.0, self.limit.used_by_others + self.others_rate * ahead)
        ours = min(ours, float(self.limit.max))
        return Use(ours, max(0.0, min(total, self.limit.max) - ours))

    def _kept(self, moment: datetime) -> float:
        """Return how much of what rtsd uses now still counts at a later moment."""
        gone = 0.0
        for begin, number in self.ours:
            counted = max(begin, self.now - DAY)  # what lies before does not count any more
            end = min(begin + HOUR, moment - DAY)
            gone += number * max(0.0, (end - counted) / HOUR)
        return max(0.0, self.limit.used_by_us - gone)


def forecast(limit: Limit, history: QuotaHistory, now: datetime) -> Forecast | None:
    """Return the forecast of a limit; None if less than an hour was measured."""
    samples = [
        (at, sample.used, sample.used_by_us)
        for sample in history.usage
        if sample.name == limit.name and (at := moment(sample.at)) is not None and at <= now
    ]
    out_at = moment(limit.exhausted_at) if limit.remaining > 0 else None
    if out_at is None and not (samples and now - samples[0][0] >= HOUR):
        return None
    hour = samples[bisect_left(samples, now - HOUR, key=lambda sample: sample[0]) :]
    # As rtsd forecasts: from the first figure within the hour on, and never over less than an hour.
    first = hour[0] if hour else (now, used(limit), limit.used_by_us)
    span = max((now - first[0]).total_seconds(), HOUR.total_seconds())
    others_risen = limit.used_by_others - (first[1] - first[2])
    ours = _by_hour(history.ours, limit.name)
    return Forecast(
        now=now,
        limit=limit,
        midnight=next_midnight(now),
        ours=ours,
        ours_rate=_spent_since(ours, now - HOUR, now) / HOUR.total_seconds(),
        others_rate=others_risen / span,
        out_at=out_at,
    )


def next_midnight(now: datetime) -> datetime:
    """Return the next local midnight."""
    tomorrow = now.astimezone().date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day).astimezone()


DEMO = "The demo reads the org every few seconds, at a price of its own: `rtsd check` prices a real day."


def words(
    found: Forecast | None, limit: Limit, history: QuotaHistory, status: Status, *, demo: bool = False
) -> list[str]:
    """Return the forecast in sentences: at the present rate, in the steady state, at what use rtsd stops."""
    said = [_rate(found) if found else SHORT]
    if limit.name == API_REQUESTS and (idle := history.idle_day) is not None:
        said.append(DEMO if demo else idle_sentence(idle, limit, status))
    if limit.stops_at is not None and not is_stopped(limit):
        why = "[push] deliveries" if limit.name == DELIVERIES else "[quota] reserve"
        said.append(f"rtsd stops at {count(limit.stops_at)} ({why}).")
    if limit.name.startswith("Daily"):
        said.append("Each use counts for 24 h: nothing resets at midnight.")
    return said


def _rate(found: Forecast) -> str:
    use = found.at(found.midnight)
    share = percent(use.total / found.limit.max) if found.limit.max > 0 else "100%"
    by = f"{found.midnight:%H:%M} {zone_of(found.midnight)}"
    end = _end(found)
    return (
        f"At this rate {count(use.ours)} of ours by {by}, {count(use.total)} of everybody's ({share}): {end}."
    )


def _end(found: Forecast) -> str:
    """Return whether the next 24 hours have enough, and else when rtsd stops or the limit ends."""
    limit, now = found.limit, found.now
    ends = [f"used up {day_clock(limit.exhausted_at, now)}"] if limit.exhausted_at else []
    if is_stopped(limit):
        ends.append(f"rtsd has stopped, at {count(limit.stops_at)}")
    elif limit.reached_at:
        ends.append(f"rtsd stops {day_clock(limit.reached_at, now)}")
    if ends:
        return ", ".join(ends)
    use = found.at(now + DAY).total
    ceiling = ceiling_of(limit)
    # What rtsd says decides: its rate is measured to the minute.
    return f"enough, {count(use)} in 24 h" if use < ceiling else "enough for 24 h"


def _by_hour(history: Sequence[HourlyUse], name: str) -> list[tuple[datetime, float]]:
    hours = [(moment(hour.at), float(hour.used)) for hour in history if hour.name == name]
    return [(at, number) for at, number in hours if at is not None]


def _spent_since(ours: Sequence[tuple[datetime, float]], since: datetime, now: datetime) -> float:
    """Return what rtsd used since a moment; of the hour that it lies in, the share after it."""
    total = 0.0
    for begin, number in ours:
        end = min(begin + HOUR, now)
        if end > since and end > begin:
            total += number * min(1.0, (end - since) / (end - begin))
    return total
