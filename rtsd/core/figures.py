"""Numbers and moments as people read them, in few characters."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil

UNKNOWN = "—"
"""An unknown value is neither 0 nor empty, and looks like neither."""


def moment(text: str | None) -> datetime | None:
    """Return a moment of the wire (ISO 8601, UTC); None if it is missing or malformed."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def span(seconds: float) -> str:
    """Return a duration in at most four characters: `2s 14s 3m 2h 5d`."""
    seconds = max(0.0, seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def age(at: str | None, now: datetime) -> str:
    """Return the age of a moment of the wire: `3m`, or a dash without a moment."""
    when = moment(at)
    return UNKNOWN if when is None else span((now - when).total_seconds())


def until(at: str | None, now: datetime) -> str:
    """Return the time left until a moment of the wire."""
    when = moment(at)
    return UNKNOWN if when is None else span((when - now).total_seconds())


def zone_of(at: datetime) -> str:
    """Return the name of the local time zone at a moment; one without a name is its distance from UTC."""
    name = at.astimezone().tzname() or ""
    return name if name[:1].isalpha() else f"UTC{name}"


def clock(at: str | None, *, millis: bool = False, zone: bool = True) -> str:
    """Return the local time of day of a moment of the wire; without its zone only if that stands above."""
    when = moment(at)
    if when is None:
        return UNKNOWN
    text = when.astimezone().strftime("%H:%M:%S")
    text = f"{text}.{when.microsecond // 1000:03d}" if millis else text
    return f"{text} {zone_of(when)}" if zone else text


def day_clock(at: str | None, now: datetime, *, zone: bool = True, seconds: bool = False) -> str:
    """Return the local time of day, with the date unless it is today; as for `clock`, with its zone."""
    when = moment(at)
    if when is None:
        return UNKNOWN
    local = when.astimezone()
    same_day = local.date() == now.astimezone().date()
    time_of_day = "%H:%M:%S" if seconds else "%H:%M"
    text = local.strftime(time_of_day if same_day else f"%m-%d {time_of_day}")
    return f"{text} {zone_of(when)}" if zone else text


def count(number: float | None) -> str:
    """Return a whole number with thousands separated."""
    return UNKNOWN if number is None else f"{int(number):,}"


def short(number: float | None) -> str:
    """Return a number in at most five characters: `950 1.2k 48k 1.3M`."""
    if number is None:
        return UNKNOWN
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            value = number / size
            return f"{value:.1f}{unit}" if value < 10 else f"{value:.0f}{unit}"
    return f"{number:.0f}"


def per_second(rate: float) -> str:
    """Return a rate: `0 0.4 42 1.2k`."""
    return f"{rate:.1f}" if 0 < rate < 10 else short(rate)


def millis(number: float | None) -> str:
    """Return a delay of so many ms with the fitting unit: `640ms 1.3s 42s 61s 12m`.

    Rounded up, so that what is over a goal never looks like it.
    """
    if number is None:
        return UNKNOWN
    if number < 1_000:
        return f"{ceil(number)}ms"
    if number < 10_000:
        return f"{ceil(number / 100) / 10:.1f}s"
    seconds = ceil(number / 1_000)
    if seconds < 600:
        return f"{seconds}s"
    return span(ceil(seconds / 60) * 60)


def percent(share: float) -> str:
    """Return a share of 1 as a percentage that is never rounded to a false 0 or 100."""
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return "99%"
    return f"{share * 100:.0f}%"
