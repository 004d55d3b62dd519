"""The spans of the past that plots and lists can show, in hours."""

from __future__ import annotations

DAY, WEEK = 24, 168


def other(hours: int) -> int:
    """Return the span to show next."""
    return WEEK if hours == DAY else DAY


def named(hours: int) -> str:
    """Return the name of a span."""
    return "24 h" if hours == DAY else "7 days"
