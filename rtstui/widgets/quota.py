"""The org's daily limits: used by rtsd, used by others, left; and when one runs out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rtsd.control.limits import is_measured, is_stopped, limit_name, limit_role, used_share
from rtsd.control.protocol import Limit
from rtsd.core.figures import UNKNOWN, count, day_clock, percent, short, until
from rtsd.core.quota import API_REQUESTS
from rtstui.format import fit, right, wrap
from rtstui.rows import Row, Span
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table

WIDE = 96
"""Width in cells from which there is room for bars and for the rest of a limit."""

FORECAST = 26
"""Width in cells of the longest usual forecast."""

NOT_KNOWN = ("not known yet: first hour", "not known yet", UNKNOWN)
"""A start is busy: no forecast is made of less than an hour."""

NOT_READ = "No limits read yet: rtsd asks Salesforce soon."

WARN_MARKS = {"ok": " ", "warn": "▲", "error": "✖"}


def split_bar(limit: Limit, width: int) -> list[Span]:
    """Return a bar of `width` cells: our part, the others', the rest. A part above 0 has at least a cell."""
    if limit.max <= 0:
        return [("░" * width, "dim")]
    ours = min(width, _cells(limit.used_by_us / limit.max, width))
    others = min(width - ours, _cells(max(0, limit.used_by_others) / limit.max, width))
    return [
        ("█" * ours, limit_role(limit)),
        ("▓" * others, "off"),
        ("░" * (width - ours - others), "dim"),
    ]


def forecast(limit: Limit, panel: Panel, room: int) -> Span:
    """Return when a limit runs out, or else rtsd stops, at the present rate; in a form for the room."""
    role, *forms = _forecast(limit, panel.state.now())
    return (next((form for form in forms if len(form) <= room), forms[-1]), role)


def _forecast(limit: Limit, now: datetime) -> tuple[str, ...]:
    """Return the role of the forecast, and its forms, the longest first."""
    if limit.remaining <= 0:
        return ("error", "used up")
    end, verb = (limit.exhausted_at, "out") if limit.exhausted_at else (limit.reached_at, "stops")
    if is_stopped(limit) and not limit.exhausted_at:
        return ("warn", "rtsd has stopped", "stopped")
    if end is None:
        return ("dim", "lasts") if is_measured(limit) else ("dim", *NOT_KNOWN)
    at, left = day_clock(end, now), until(end, now)
    return ("warn", f"{verb} {at}, in {left}", f"{verb} {at}", f"{verb} in {left}", f"in {left}", left)


class Quota(Panel):
    """The limits in brief, for the overview."""

    def titles(self) -> tuple[str, str]:
        """The legend of the bars."""
        return "Quota, 24 h", "█ us ▓ others ░ left"

    def wanted(self) -> int:
        """One line per limit."""
        status = self.state.status
        return max(1, len(status.quota.limits)) if status else 1

    def paint(self, width: int, height: int) -> list[Row]:
        """The worst limits first, as many as fit."""
        status = self.state.status
        if status is None:
            return [(("Waiting for rtsd…", "dim"),)]
        limits = sorted(status.quota.limits, key=used_share, reverse=True)
        if not limits:
            return [((line, "dim"),) for line in wrap(NOT_READ, width)]
        limits.sort(key=lambda limit: limit.name != API_REQUESTS)
        rows: list[Row] = [self._row(limit, width) for limit in limits[:height]]
        if len(rows) < height:
            calls = status.quota.calls_24h
            by = " · ".join(f"{purpose} {short(number)}" for purpose, number in calls.items() if number)
            rows.append(((f"our calls: {by or 'none'}", "dim"),))
        return rows

    def _row(self, limit: Limit, width: int) -> Row:
        size = max(6, min(40, width - 38))
        role = limit_role(limit)
        return (
            (fit(limit_name(limit), 16) + " ", ""),
            *split_bar(limit, size),
            (right(percent(used_share(limit)), 5) + " ", role),
            (WARN_MARKS[role] + " ", role),
            forecast(limit, self, width - size - 25),
        )


class Limits(Table):
    """The limits in full, one line each."""

    def _limits(self) -> dict[str, Limit]:
        status = self.state.status
        return {limit.name: limit for limit in status.quota.limits} if status else {}

    def keys(self) -> Sequence[str]:
        """The limits' names, as the daemon lists them."""
        return list(self._limits())

    def empty(self) -> str:
        """They are not read yet."""
        return NOT_READ if self.state.status else "Waiting for rtsd…"

    def titles(self) -> tuple[str, str]:
        """The legend of the bars."""
        return "Daily limits of the org", "█ us ▓ others ░ left"

    def header(self, width: int) -> Row:
        """The columns' names."""
        left = f"{'LEFT':>11}" if width >= WIDE else ""
        used = fit("USED", self._bar_width(width) + 8)
        return ((f"{'LIMIT':<16}{'OURS':>9}{'OTHERS':>10}{left}{'OF':>11}  {used}FORECAST", "head"),)

    def row(self, key: str, width: int) -> Row:
        """One limit; a narrow panel leaves out the bar and the rest of the limit."""
        limit = self._limits()[key]
        role = limit_role(limit)
        left: Row = ((right(count(limit.remaining), 11), ""),) if width >= WIDE else ()
        return (
            (fit(limit_name(limit), 16), ""),
            (right(count(limit.used_by_us), 9), "bold"),
            (right(count(limit.used_by_others), 10), ""),
            *left,
            (right(count(limit.max), 11) + "  ", "dim"),
            *split_bar(limit, self._bar_width(width)),
            (right(percent(used_share(limit)), 5), role),
            (f" {WARN_MARKS[role]} ", role),
            forecast(limit, self, max(FORECAST, width - 59 - 8 - self._bar_width(width))),
        )

    def _bar_width(self, width: int) -> int:
        """Return the width that the columns leave, up to a bar that is long enough to read."""
        return max(0, min(60, width - 59 - 8 - FORECAST)) if width >= WIDE else 0


class Calls(Panel):
    """Our calls of the last 24 hours, by purpose."""

    def titles(self) -> tuple[str, str]:
        """The sum."""
        status = self.state.status
        total = sum(status.quota.calls_24h.values()) if status else 0
        return "Our calls in 24 h, by purpose", f"{count(total)} in all · every call is in the ledger"

    def wanted(self) -> int:
        """One line per purpose."""
        status = self.state.status
        return max(1, sum(number > 0 for number in status.quota.calls_24h.values())) if status else 1

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The largest first."""
        status = self.state.status
        calls = {key: number for key, number in status.quota.calls_24h.items() if number} if status else {}
        if not calls:
            return [(("None. A synchronised mirror costs no API call.", "dim"),)]
        top = max(calls.values())
        size = max(4, min(60, width - 26))
        return [
            (
                (fit(purpose, 14), ""),
                (right(count(number), 9) + "  ", "bold"),
                ("█" * _cells(number / top, size), "accent"),
            )
            for purpose, number in sorted(calls.items(), key=lambda item: -item[1])
        ]


def _cells(share: float, width: int) -> int:
    """Return the cells of a share; a share above 0 has at least one."""
    return max(1 if share > 0 else 0, round(share * width))
