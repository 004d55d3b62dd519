"""How often the screen is brought up to date: less often where the machine or the line cannot follow."""

from __future__ import annotations

from collections import deque

HIGH_S, LOW_S = 0.05, 0.01
"""The event loop's lag (95th percentile) above which to slow down, and below which to speed up again."""

WINDOW = 20
"""Ticks that are looked at: two seconds of them."""

SLOWEST = 5
"""Ticks that are left out at most: two updates a second are always shown."""


class Pace:
    """Of the ticks that come, which ones paint. Clocks and ages are painted every second in any case."""

    def __init__(self, every: int = 1) -> None:
        self._least = max(1, min(every, SLOWEST))
        self.every = self._least
        self._lags: deque[float] = deque(maxlen=WINDOW)
        self._ticks = 0

    def tick(self, lag_s: float) -> bool:
        """Take in how late this tick came; return whether it shall paint."""
        self._lags.append(lag_s)
        self._ticks += 1
        if len(self._lags) == WINDOW:
            late = sorted(self._lags)[int(WINDOW * 0.95) - 1]
            if late > HIGH_S and self.every < SLOWEST:
                self.every = min(SLOWEST, self.every * 2)
                self._lags.clear()
            elif late < LOW_S and self.every > self._least:
                self.every = max(self._least, self.every // 2)
                self._lags.clear()
        return self._ticks % self.every == 0
