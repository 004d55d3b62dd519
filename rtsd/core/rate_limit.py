"""Rate limits on log lines that a sender could cause in any number."""

from __future__ import annotations

from rtsd.core.instant import Millis


class RateLimit:
    """Admits `limit` events per second and counts those it suppresses."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = -1
        self._admitted = 0
        self._suppressed = 0

    def admit(self, now: Millis) -> int | None:
        """Admit an event: the number suppressed since the last admitted one, or None to suppress this one."""
        if now // 1000 != self._second:
            self._second, self._admitted = now // 1000, 0
        if self._admitted >= self._limit:
            self._suppressed += 1
            return None
        self._admitted += 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed
