"""Statistics of the daemon's feed: number and latency of changes, and changes of the mode."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Event, Lagged
from rtsd.core.percentile import percentiles

_SAMPLES = 100_000


class FeedMonitor:
    """Follows the feed and reports changes of the mode through `say`."""

    def __init__(self, socket: Path, say: Callable[[str], None]) -> None:
        self._socket = socket
        self._say = say
        self._latencies: deque[int] = deque(maxlen=_SAMPLES)
        self.changes = 0
        self.by_source: Counter[str] = Counter()

    async def run(self) -> None:
        """Follow the feed until the daemon ends it."""
        after: int | None = 0
        async with ControlClient(self._socket) as client:
            while after is not None:
                position, after = after, None
                async for message in client.follow(after=position):
                    if isinstance(message, Lagged):
                        after = message.after
                    elif isinstance(message, Event):
                        self._count(message)

    def freshness(self) -> dict[str, int | None]:
        """Return the percentiles in ms from the org's commit to the mirror's, for changes from pushes."""
        found = percentiles(self._latencies, (50, 95, 99))
        return dict(zip(("p50", "p95", "p99"), found or (None, None, None), strict=True))

    def _count(self, event: Event) -> None:
        if event.type == "change":
            self.changes += event.outcome == "applied"
            self.by_source[f"{event.source}"] += 1
            if event.source == "push" and event.latency_ms is not None:
                self._latencies.append(event.latency_ms)
        elif event.type == "mode" and event.message:
            self._say(event.message)
