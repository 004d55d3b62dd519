"""Rejected pushes: all are counted, and one of each kind per minute is reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rtsd.core.daily_count import DailyCount
from rtsd.core.instant import MINUTE_MS, Millis, to_iso
from rtsd.errors import PushError
from rtsd.store.engine import Refused

REPORT_EVERY_MS: Millis = MINUTE_MS
LONGEST_REASON = 300
"""Characters of the last reason, which other nodes see."""


class Rejections:
    """Reports rejections, at a rate that senders cannot influence."""

    def __init__(self, now: Callable[[], Millis]) -> None:
        self._now = now
        self._counted = DailyCount()
        self._reported: dict[str, Millis] = {}
        self._last: tuple[Millis, str] | None = None
        self.reporter: Callable[[PushError], Awaitable[None]] = _nobody
        """Reports them."""

    def count(self) -> None:
        """Count a rejection."""
        self._counted.add(self._now())

    async def report(self, error: PushError) -> None:
        """Count a rejection and report it. Raises StoreError if that is impossible."""
        self.count()
        now = self._now()
        if now - self._reported.get(error.code, 0) >= REPORT_EVERY_MS and error.code != "CannotCommit":
            self._reported[error.code] = now
            self._last = now, f"{error.code}: {error}"[:LONGEST_REASON]
            await self.reporter(error)

    def last_day(self) -> int:
        """The rejections of the last 24 hours, of this run."""
        return self._counted.last_day(self._now())

    def refused(self) -> Refused:
        """Return them as other nodes see them."""
        at, reason = self._last or (None, None)
        return Refused(self.last_day(), None if at is None else to_iso(at), reason)


async def _nobody(_error: PushError) -> None:
    """Tell nobody, before there is a mirror."""
