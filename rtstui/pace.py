"""The rate of screen updates, which falls when the machine or the network cannot keep up."""

from __future__ import annotations

from collections import deque

HIGH_S, LOW_S = 0.05, 0.01
"""The event loop's lag (95th percentile) above which to slow down, and below which to speed up again."""

WINDOW = 20
"""Ticks over which the lag is measured: two seconds of them."""

SLOWEST = 5
"""The longest stretch of ticks with one update: two updates a second are always shown."""


class Pace:
    """Chooses the ticks that paint. Clocks and ages are painted every second in any case."""

    def __init__(self, every: int = 1) -> None:
        self._least = max(1, min(every, SLOWEST))
        self.every = self._least
        self._lags: deque[float] = deque(maxlen=WINDOW)
        self._ticks = 0

    def tick(self, lag_s: float) -> bool:
        """Take in how late this tick came; return True if it paints."""
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
