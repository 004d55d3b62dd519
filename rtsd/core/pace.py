"""How many of something are let through a second: log lines, of which a sender could cause any number."""

from __future__ import annotations

from rtsd.core.instant import Millis


class Pace:
    """Lets `limit` through in each second, and counts what it holds back."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = -1
        self._let_through = 0
        self._held_back = 0

    def admit(self, now: Millis) -> int | None:
        """Return how many were held back since the last that was let through; None: this one is, too."""
        if now // 1000 != self._second:
            self._second, self._let_through = now // 1000, 0
        if self._let_through >= self._limit:
            self._held_back += 1
            return None
        self._let_through += 1
        held_back, self._held_back = self._held_back, 0
        return held_back
