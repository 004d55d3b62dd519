"""The quota over time: the use of a limit, and our own calls hour by hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from rtsd.control.protocol import Limit, QuotaHistory
from rtstui import documents
from rtstui.document_cache import CachedDocument
from rtstui.format import count, day_clock, moment, percent, short, until, wrap, zone_of
from rtstui.limits import limit_name, limit_role, used, used_share
from rtstui.rows import Row
from rtstui.widgets.chart import AXIS, plot, resample, ticks
from rtstui.widgets.panel import Panel

RANGES = (24, 168)
"""The spans that can be shown, in hours: a day, a week."""

MARKED_FROM = 0.7
"""The share of a limit from which its plot reaches up to the limit."""


class QuotaPlot(Panel):
    """The base of both plots: the daemon's history, and the span that is shown."""

    hours: ClassVar[int] = RANGES[0]

    def document(self) -> CachedDocument[QuotaHistory]:
        """The last seven days."""
        return self.load(documents.quota_history())

    def empty(self) -> list[Row] | None:
        """Return the text that stands in for the plot; None if it can be drawn."""
        document = self.document()
        if document.value is not None:
            return None
        text = documents.stand_in(document, self.state)
        return [((line, "dim"),) for line in wrap(text, max(10, self.size.width))]

    def _labels(self, width: int) -> Row:
        now = self.state.now()
        number = max(1, min(6, (width - AXIS) // 12))
        step = timedelta(hours=self.hours / number)
        begin = now - timedelta(hours=self.hours)
        form = "%H:%M" if self.hours <= 24 else "%a %d"
        labels = [(begin + step * place).astimezone().strftime(form) for place in range(number)]
        return ticks(labels, width - AXIS, zone_of(now))


class UsedPlot(QuotaPlot):
    """The use of a limit over the last hours, with the limit itself, and when it runs out."""

    chosen: str | None = None

    def _limit(self) -> Limit | None:
        status = self.state.status
        limits = status.quota.limits if status else []
        found = next((limit for limit in limits if limit.name == self.chosen), None)
        return found or (limits[0] if limits else None)

    def titles(self) -> tuple[str, str]:
        """The limit's name, its use, and its forecast."""
        limit = self._limit()
        if limit is None:
            return "Use over time", ""
        days = "24 h" if self.hours == RANGES[0] else "7 days"
        now = self.state.now()
        end = (
            "used up"
            if limit.remaining <= 0
            else f"▲ runs out {day_clock(limit.exhausted_at, now)}, in {until(limit.exhausted_at, now)}"
            if limit.exhausted_at
            else "lasts at the present rate"
        )
        said = (
            f"{count(used(limit))} used ({percent(used_share(limit))}), {count(limit.remaining)} left · {end}"
        )
        outdated = documents.as_of(self.document(), self.state)
        return f"{limit_name(limit)}: used by everybody, {days}", outdated + said

    def paint(self, width: int, height: int) -> list[Row]:
        """A column per stretch of time, as high as the highest use in it."""
        if (lack := self.empty()) is not None:
            return lack
        limit, document = self._limit(), self.document().value
        if limit is None or document is None:
            return []
        samples = [(moment(sample.at), sample.used) for sample in document.usage if sample.name == limit.name]
        values = _slots(samples, self.state.now(), self.hours, slots=self.hours * 4)
        drawn = resample(_carried(values), width - AXIS, total=False)
        # The newest sample may be an hour old: the last column is the use that the table shows.
        drawn[-1:] = [float(used(limit))]
        highest = max([value for value in drawn if value is not None], default=0.0)
        mark = float(limit.max) if highest >= limit.max * MARKED_FROM else None
        body = plot(drawn, max(1, height - 1), role=limit_role(limit), mark=mark)
        return [*body, self._labels(width)]


class CallsPlot(QuotaPlot):
    """Our own calls, hour by hour."""

    def titles(self) -> tuple[str, str]:
        """The sums by purpose."""
        by = " · ".join(
            f"{name} {short(number)}"
            for name, number in sorted(self._sums().items(), key=lambda item: -item[1])
            if number
        )
        days = "24 h" if self.hours == RANGES[0] else "7 days"
        return f"Our calls per hour, {days}", documents.as_of(self.document(), self.state) + by

    def _sums(self) -> dict[str, int]:
        """Return the calls by purpose: of a day, the status's own figures, which stand in other panels."""
        status, document = self.state.status, self.document().value
        if self.hours == RANGES[0] and status is not None:
            return status.quota.calls_24h
        since = self.state.now() - timedelta(hours=self.hours)
        sums: dict[str, int] = {}
        for hour in document.hours if document else ():
            if (at := moment(hour.at)) and at >= since:
                sums[hour.purpose] = sums.get(hour.purpose, 0) + hour.calls
        return sums

    def paint(self, width: int, height: int) -> list[Row]:
        """A column per hour."""
        if (lack := self.empty()) is not None:
            return lack
        document = self.document().value
        if document is None:
            return []
        sums: dict[datetime, float] = {}
        for hour in document.hours:
            if (at := moment(hour.at)) is not None:
                sums[at] = sums.get(at, 0.0) + hour.calls
        slots = _slots(list(sums.items()), self.state.now(), self.hours, slots=self.hours)
        values = [value or 0.0 for value in slots]
        if not any(values):
            return [(("None in that time. A synchronised mirror costs no API call.", "dim"),)]
        drawn = resample(values, width - AXIS, total=True)
        return [*plot(drawn, max(1, height - 1), role="accent"), self._labels(width)]


def _slots(
    samples: Sequence[tuple[datetime | None, float]], now: datetime, hours: int, slots: int
) -> list[float | None]:
    """Return the highest sample in each of `slots` equal parts of the last hours; None without one."""
    begin = now - timedelta(hours=hours)
    size = timedelta(hours=hours) / slots
    found: list[float | None] = [None] * slots
    for at, value in samples:
        if at is None or not begin <= at <= now:
            continue
        place = min(slots - 1, int((at - begin) / size))
        found[place] = max(value, found[place] or 0.0)
    return found


def _carried(values: Sequence[float | None]) -> list[float | None]:
    """Return the values with gaps filled by the value before; before the first nothing is known."""
    shown: list[float | None] = []
    last: float | None = None
    for value in values:
        last = value if value is not None else last
        shown.append(last)
    return shown
