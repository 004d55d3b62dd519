"""Clocks that tests move."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class FakeClock:
    """A clock in ms that stands still until a test moves it; pass it where `now` or `monotonic` is taken."""

    ms: int = 1_772_359_200_000  # 2026-03-01T10:00:00Z

    def __call__(self) -> int:
        """The time."""
        return self.ms

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ms += int(seconds * 1000)


@dataclass
class ManualClock:
    """Real time plus what a test adds."""

    ahead_ms: int = 0

    def __call__(self) -> int:
        """Milliseconds since 1970."""
        return int(time.time() * 1000) + self.ahead_ms

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead_ms += int(seconds * 1000)
