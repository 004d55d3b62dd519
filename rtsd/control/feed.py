"""The live journal: entries go to every follower, and no follower can delay the daemon."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from rtsd.control.protocol import Event

QUEUE = 10_000
"""Entries a follower may be behind; beyond that it gets a notice that it lagged, and is closed."""
RECENT = 1_000
"""The newest entries that are kept for thinned feeds."""


class Follower:
    """A reader's queue of live entries."""

    def __init__(self) -> None:
        self._queue: deque[Event] = deque()
        self._ready = asyncio.Event()
        self.lagged = False

    def offer(self, events: Sequence[Event]) -> None:
        """Queue entries, unless the reader is too far behind."""
        if self.lagged or len(self._queue) + len(events) > QUEUE:
            self.lagged = True  # for good: entries after a batch that was left out would hide the hole
        else:
            self._queue.extend(events)
        self._ready.set()

    async def batches(self) -> AsyncIterator[list[Event]]:
        """Yield entries in order, until the follower has lagged and its queue is read."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            batch = list(self._queue)
            self._queue.clear()
            if batch:
                yield batch
            if self.lagged:
                return


class Feed:
    """Sends journal entries to all followers."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()
        self.recent: deque[Event] = deque(maxlen=RECENT)
        self.counters: Counter[str] = Counter()
        """Entries since the start, by type, and changes by source and outcome."""
        self.total = 0

    def publish(self, events: Sequence[Event]) -> None:
        """Send entries to all followers; call it only after their commit."""
        for event in events:
            self.counters[event.type] += 1
            if event.type == "change":
                self.counters[f"change.{event.source}"] += 1
                self.counters[f"outcome.{event.outcome}"] += 1
        self.total += len(events)
        self.recent.extend(events)
        for follower in self._followers:
            follower.offer(events)

    @property
    def followers(self) -> int:
        """How many are registered."""
        return len(self._followers)

    @contextmanager
    def follow(self) -> Iterator[Follower]:
        """Register a follower while the block runs."""
        follower = Follower()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)
