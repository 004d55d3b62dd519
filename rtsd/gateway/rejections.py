"""Rejected pushes: all are counted, and one of each kind per minute is reported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rtsd.core.daily_count import DailyCount
from rtsd.core.instant import MINUTE_MS, Millis
from rtsd.errors import PushError

REPORT_EVERY_MS: Millis = MINUTE_MS


class Rejections:
    """Reports rejections, at a rate that senders cannot influence."""

    def __init__(self, report: Callable[[PushError], Awaitable[None]], now: Callable[[], Millis]) -> None:
        self._report = report
        self._now = now
        self._counted = DailyCount()
        self._reported: dict[str, Millis] = {}

    def count(self) -> None:
        """Count a rejection."""
        self._counted.add(self._now())

    async def report(self, error: PushError) -> None:
        """Count a rejection and report it. Raises StoreError if that is impossible."""
        self.count()
        now = self._now()
        if now - self._reported.get(error.code, 0) >= REPORT_EVERY_MS and error.code != "CannotCommit":
            self._reported[error.code] = now
            await self._report(error)

    def last_day(self) -> int:
        """The rejections of the last 24 hours, of this run."""
        return self._counted.last_day(self._now())
