"""What the daemon's feed told: how many changes, how fresh, and when the mode changed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Event, Lagged
from rtsd.core.percentile import percentiles

_SAMPLES = 100_000


class Watch:
    """Follows the feed; `say` is told what a person would want to see."""

    def __init__(self, socket: Path, say: Callable[[str], None]) -> None:
        self._socket = socket
        self._say = say
        self._latencies: deque[int] = deque(maxlen=_SAMPLES)
        self.changes = 0
        self.by_source: Counter[str] = Counter()

    async def run(self) -> None:
        """Follow until the daemon ends the feed."""
        after: int | None = 0
        async with ControlClient(self._socket) as client:
            while after is not None:
                position, after = after, None
                async for message in client.follow(after=position):
                    if isinstance(message, Lagged):
                        after = message.after
                    elif isinstance(message, Event):
                        self._take(message)

    def freshness(self) -> dict[str, int | None]:
        """Return percentiles of the changes that pushes brought, from the org's commit to ours, in ms."""
        found = percentiles(self._latencies, (50, 95, 99))
        return dict(zip(("p50", "p95", "p99"), found or (None, None, None), strict=True))

    def _take(self, event: Event) -> None:
        if event.type == "change":
            self.changes += event.outcome == "applied"
            self.by_source[f"{event.source}"] += 1
            if event.source == "push" and event.latency_ms is not None:
                self._latencies.append(event.latency_ms)
        elif event.type == "mode" and event.message:
            self._say(event.message)
