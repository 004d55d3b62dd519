"""Moments as an operator types them: how long ago, a clock time, a date with one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

SPAN = re.compile(r"-?([0-9]{1,9})(ms|s|m|h|d)")
"""A duration as rtsd's configuration writes it; a minus in front changes nothing."""

UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")

EXAMPLES = "5m, 12:30 or 2026-11-30T12:30"
"""What `typed_moment` reads, for hints and mistakes."""


def typed_moment(text: str, now: datetime) -> datetime:
    """Return the moment (aware) that a text means: `5m` before now, the last `12:30`, a date and time.

    Without a zone it is local. Raises ValueError, whose text says what can be typed.
    """
    text = text.strip()
    try:
        if found := SPAN.fullmatch(text):
            return now - timedelta(**{UNITS[found[2]]: int(found[1])})
        if found := CLOCK.fullmatch(text):
            return _last(now, *(int(part or 0) for part in found.groups()))
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ValueError(f"{text or 'nothing'} is no time; such as {EXAMPLES}") from None


def on_wire(moment: datetime) -> str:
    """Return a moment as the wire writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _last(now: datetime, hour: int, minute: int, second: int) -> datetime:
    """Return the last moment at which local clocks showed this time."""
    local = now.astimezone().replace(tzinfo=None)  # without a zone: a day back keeps the time of day
    at = local.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return (at if at <= local else at - timedelta(days=1)).astimezone()
