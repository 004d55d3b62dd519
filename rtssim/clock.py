"""The org's own clock, and the formats in which the org stores and prints its time.

The clock can run ahead, run fast or stand still, so that a test can let hours pass at once.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def stamp(moment: datetime) -> str:
    """Return a datetime as the database stores it: UTC, whole seconds, `.000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def rest_stamp(moment: datetime) -> str:
    """Return a datetime as REST prints it: UTC, whole seconds, `.000+0000`."""
    return rest_form(stamp(moment))


def rest_form(stored: str) -> str:
    """Return a stored datetime as REST prints it."""
    return f"{stored[:23]}+0000"


class Clock:
    """Aware UTC time with an offset to the machine's clock and a speed.

    `start` is the org time at construction (default: the machine's time); `speed` is org seconds per
    machine second, 0 freezes it.
    """

    def __init__(self, start: datetime | None = None, *, speed: float = 1.0) -> None:
        self._origin = start if start is not None else datetime.now(UTC)
        self._anchor = time.monotonic()
        self._speed = speed

    def now(self) -> datetime:
        """Return the org's current time."""
        return self._origin + timedelta(seconds=(time.monotonic() - self._anchor) * self._speed)

    def set_speed(self, speed: float) -> None:
        """Let time pass `speed` times as fast from now on; 0 freezes it."""
        if speed < 0:
            raise ValueError("the org's clock never runs backwards: speed must be 0 or more")
        self._rebase(self.now())
        self._speed = speed

    def freeze(self) -> None:
        """Stop the clock; `advance` still moves it."""
        self.set_speed(0.0)

    def advance(self, seconds: float) -> datetime:
        """Jump `seconds` ahead and return the new time."""
        if seconds < 0:
            raise ValueError("the org's clock never runs backwards: advance by 0 seconds or more")
        self._rebase(self.now() + timedelta(seconds=seconds))
        return self.now()

    def set_offset(self, seconds: float) -> None:
        """Put the org `seconds` ahead of the machine's clock, or behind it if negative (clock skew)."""
        self._rebase(datetime.now(UTC) + timedelta(seconds=seconds))

    def _rebase(self, origin: datetime) -> None:
        self._origin = origin
        self._anchor = time.monotonic()
