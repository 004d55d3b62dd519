"""The quota over time: the use of a limit, and our own calls hour by hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from rtsd.control.limits import is_measured, is_stopped, limit_name, limit_role, used, used_share
from rtsd.control.protocol import Limit, QuotaHistory
from rtsd.core.figures import count, day_clock, moment, percent, short, until, zone_of
from rtstui import documents, ranges
from rtstui.document_cache import CachedDocument
from rtstui.forecast import Forecast, forecast, words
from rtstui.format import wrap
from rtstui.rows import Row
from rtstui.widgets.chart import AXIS, LEGEND, Column, Level, divided, plot, resample, stacked, ticks
from rtstui.widgets.panel import Panel

if TYPE_CHECKING:
    from rtstui.widgets.chrome import HasLinks

MARKED_FROM = 0.25
"""The share of a limit from which its plot reaches up to the limit."""

LEAST_PLOT = 3
"""Rows below which a plot shows nothing that its words do not say."""


class QuotaPlot(Panel):
    """The base of both plots: the daemon's history, and the span that is shown."""

    hours: int = ranges.DAY

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


class UsedPlot(QuotaPlot):
    """The use of a limit over the last hours by us and by others, and its forecast up to midnight."""

    chosen: str | None = None

    def _limit(self) -> Limit | None:
        status = self.state.status
        limits = status.quota.limits if status else []
        found = next((limit for limit in limits if limit.name == self.chosen), None)
        return found or (limits[0] if limits else None)

    def titles(self) -> tuple[str, str]:
        """The limit's name with the legend; its use, and when it runs out."""
        limit = self._limit()
        if limit is None:
            return "Use over time", ""
        end = _end(limit, self.state.now())
        said = (
            f"{count(used(limit))} used ({percent(used_share(limit))}), {count(limit.remaining)} left · {end}"
        )
        outdated = documents.as_of(self.document(), self.state)
        return f"{limit_name(limit)}, {ranges.named(self.hours)}: {LEGEND}", outdated + said

    def paint(self, width: int, height: int) -> list[Row]:
        """A column per stretch of time, the forecast on the right of now, and below both it in words."""
        if (lack := self.empty()) is not None:
            return lack
        limit, history, status = self._limit(), self.document().value, self.state.status
        if limit is None or history is None or status is None:
            return []
        found = forecast(limit, history, self.state.now())
        is_demo = cast("HasLinks", self.app).story is not None
        sentences = words(found, limit, history, status, demo=is_demo)
        # The words have all facts of the picture: they stay where there is no room for both.
        said = _fitting(sentences, width, max(1, height // 3))
        room = height - len(said) - 1
        if room < LEAST_PLOT:
            return [((line, ""),) for line in _fitting(sentences, width, height)]
        timeline = Timeline(self.state.now(), self.hours, found, width - AXIS)
        shown = [*_past(limit, history, timeline), *_future(found, timeline)]
        rows = stacked(shown, room, levels=_levels(limit, shown), role=limit_role(limit))
        rows = divided(rows, timeline.now_at, "│", "bold")
        if found is not None and timeline.midnight_at is not None:
            rows = divided(rows, timeline.midnight_at, "┊", "dim")
        return [*rows, timeline.labels(), *(((line, ""),) for line in said)]


def _end(limit: Limit, now: datetime) -> str:
    """Return when a limit runs out, or else rtsd stops, at the present rate."""
    if limit.remaining <= 0:
        return "used up"
    if limit.exhausted_at:
        return f"▲ runs out {day_clock(limit.exhausted_at, now)}, in {until(limit.exhausted_at, now)}"
    if is_stopped(limit):
        return "▲ rtsd has stopped"
    if limit.reached_at:
        return f"▲ rtsd stops {day_clock(limit.reached_at, now)}, in {until(limit.reached_at, now)}"
    return "lasts at the present rate" if is_measured(limit) else "no forecast yet"


def _fitting(sentences: Sequence[str], width: int, height: int) -> list[str]:
    """Return as many whole sentences as fit; at least the first one."""
    forms = (wrap(" ".join(sentences[:number]), width) for number in range(len(sentences), 0, -1))
    return next((lines for lines in forms if len(lines) <= height), wrap(sentences[0], width))


@dataclass(frozen=True, slots=True)
class Timeline:
    """The columns of a plot: the last hours, now, and what is forecast."""

    now: datetime
    hours: int
    forecast: Forecast | None
    width: int

    @property
    def begin(self) -> datetime:
        """The moment on the left."""
        return self.now - timedelta(hours=self.hours)

    @property
    def now_at(self) -> int:
        """The column of now; what is left of it is past."""
        if self.forecast is None:
            return self.width - 1
        past = timedelta(hours=self.hours)
        return min(self.width - 2, round((self.width - 1) * (past / (past + self.forecast.ends - self.now))))

    @property
    def midnight_at(self) -> int | None:
        """The column of the next midnight; None if there is no forecast."""
        if self.forecast is None:
            return None
        ahead = (self.forecast.midnight - self.now) / max(self.forecast.ends - self.now, timedelta(seconds=1))
        return self.now_at + max(1, round((self.width - 1 - self.now_at) * ahead))

    def moments(self) -> list[datetime]:
        """Return the moments of the columns of the forecast."""
        if self.forecast is None:
            return []
        number = self.width - 1 - self.now_at
        return [self.now + (self.forecast.ends - self.now) * (at + 1) / number for at in range(number)]

    def labels(self) -> Row:
        """Return now, the next midnight, and times of the past."""
        step = max(1, round(self.hours / max(1, min(6, self.now_at // 12))))
        form = "%H:%M" if self.hours <= ranges.DAY else "%a %d"
        known = [(self.now_at - 1, "now")]
        if self.midnight_at is not None:
            known.append((self.midnight_at - 2, "00:00"))
        for hour in range(0, self.hours, step):
            at = self.begin + timedelta(hours=hour)
            known.append((round(self.now_at * hour / self.hours), at.astimezone().strftime(form)))
        return ticks(known, self.width, zone_of(self.now))


def _past(limit: Limit, history: QuotaHistory, timeline: Timeline) -> list[Column]:
    """Return the columns up to now. The last one is the use that the table shows: a sample may be old."""
    samples = [
        (moment(sample.at), float(sample.used_by_us), float(max(0, sample.used - sample.used_by_us)))
        for sample in history.usage
        if sample.name == limit.name
    ]
    now, slots = timeline.now, timeline.hours * 4
    ours = _slots([(at, used_by_us) for at, used_by_us, _ in samples], now, timeline.hours, slots)
    others = _slots([(at, by_others) for at, _, by_others in samples], now, timeline.hours, slots)
    parts = [resample(_carried(part), timeline.now_at, total=False) for part in (ours, others)]
    columns = [Column(*part) for part in zip(*parts, strict=True)]
    newest = Column(float(limit.used_by_us), float(max(0, used(limit) - limit.used_by_us)))
    return [*columns[:-1], newest, Column(None, None)]


def _future(found: Forecast | None, timeline: Timeline) -> list[Column]:
    """Return the columns of the forecast."""
    if found is None:
        return []
    uses = [found.at(at) for at in timeline.moments()]
    return [Column(use.ours, use.others, is_forecast=True) for use in uses]


def _levels(limit: Limit, shown: Sequence[Column]) -> list[Level]:
    """Return the limit and the reserve as lines, if the use comes so near that both fit into one plot."""
    highest = max((column.ours or 0.0) + (column.others or 0.0) for column in shown)
    if highest < limit.max * MARKED_FROM:
        return []
    levels = [Level(float(limit.max), f"limit {count(limit.max)}", "─")]
    if limit.stops_at is not None and limit.stops_at < limit.max:
        levels.append(Level(float(limit.stops_at), f"reserve: rtsd stops at {count(limit.stops_at)}", "╌"))
    return levels


class CallsPlot(QuotaPlot):
    """Our own calls, hour by hour."""

    def titles(self) -> tuple[str, str]:
        """The sums by purpose."""
        by = " · ".join(
            f"{name} {short(number)}"
            for name, number in sorted(self._sums().items(), key=lambda item: -item[1])
            if number
        )
        return f"Our calls per hour, {ranges.named(self.hours)}", documents.as_of(
            self.document(), self.state
        ) + by

    def _sums(self) -> dict[str, int]:
        """Return the calls by purpose: of a day, the status's own figures, which stand in other panels."""
        status, document = self.state.status, self.document().value
        if self.hours == ranges.DAY and status is not None:
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
        labels = Timeline(self.state.now(), self.hours, None, width - AXIS).labels()
        return [*plot(drawn, max(1, height - 1), role="accent"), labels]


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
