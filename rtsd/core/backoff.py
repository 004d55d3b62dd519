"""Exponential back-off."""

from __future__ import annotations

from rtsd.core.instant import HOUR_MS, Millis

FIRST_MS: Millis = 30_000
"""The pause after the first failure."""


def pause_ms(failures: int, first: Millis = FIRST_MS, longest: Millis = HOUR_MS) -> Millis:
    """The pause after `failures` failures in a row: `first`, then doubling up to `longest`."""
    return min(first << min(max(failures - 1, 0), 16), longest)
