"""The open-loop load generator, a process of its own: pushes at a rate that does not wait for answers.

A push takes an idle connection, else a new one, up to `connections`. A push that was refused, or whose
connection was closed, comes again after a second, in place of a new one. Reads one JSON document from
stdin, writes one to stdout.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, deque
from typing import Any

from tests.bench.load import shots
from tests.support.processes.sender import Shot, status_of

RETRY_S = 1.0
TICK_S = 0.005


class Flood:
    """What is sent, and what became of it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.port: int = order["port"]
        self.most: int = order["connections"]
        self.rate: float = order["rate"]
        self.due = deque(shots(order))
        self.again: deque[tuple[float, Shot]] = deque()
        self.idle: list[Connection] = []
        self.open = 0
        self.answers: Counter[str] = Counter()
        self.accepted: list[float] = []
        self.refused: list[float] = []

    async def run(self) -> float:
        """Send until the new pushes are used up or `seconds` are over; return the seconds it took."""
        start = now = time.perf_counter()
        end, sent = start + len(self.due) / self.rate, 0
        while (now := time.perf_counter()) < end:
            for _ in range(int((now - start) * self.rate) - sent):
                sent += 1
                await self._send(now)
            await asyncio.sleep(TICK_S)
        return now - start

    async def _send(self, now: float) -> None:
        shot = self.again.popleft()[1] if self.again and self.again[0][0] <= now else self.due.popleft()
        if self.idle:
            self.idle.pop().send(shot)
        elif self.open < self.most:
            self.open += 1
            asyncio.get_running_loop().create_task(self._connect(shot))
        else:
            self.answers["no connection left"] += 1
            self.due.append(shot)

    async def _connect(self, shot: Shot) -> None:
        connection = Connection(self)
        connection.send(shot)
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", self.port)
        except OSError:
            connection.connection_lost(None)

    def over(self, shot: Shot, status: int, seconds: float) -> None:
        """Note an answer; 0 is a closed connection."""
        self.answers[str(status)] += 1
        if status == 200:
            self.accepted.append(seconds)
        else:
            self.refused.append(seconds)
            self.again.append((time.perf_counter() + RETRY_S, shot))


class Connection(asyncio.Protocol):
    """One push at a time."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._shot: Shot | None = None
        self._begun = 0.0
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def send(self, shot: Shot) -> None:
        """Send, now or as soon as there is a connection."""
        self._shot, self._begun = shot, time.perf_counter()
        if self._transport is not None:
            self._transport.write(shot.request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first push."""
        assert isinstance(transport, asyncio.Transport)
        assert self._shot is not None
        self._transport = transport
        transport.write(self._shot.request)

    def data_received(self, data: bytes) -> None:
        """Note an answer, and wait for the next push."""
        self._received += data
        status = status_of(self._received)
        if status and self._shot is not None:
            closing = b"\r\nconnection: close\r\n" in self._received.lower()
            self._received = b""
            self._over(status)
            if not closing:
                self._flood.idle.append(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Give the place to another connection."""
        if self in self._flood.idle:
            self._flood.idle.remove(self)
        self._over(0)
        self._flood.open -= 1

    def _over(self, status: int) -> None:
        shot, self._shot = self._shot, None
        if shot is not None:
            self._flood.over(shot, status, time.perf_counter() - self._begun)


def at(sorted_seconds: list[float], share: float) -> float:
    """Return a percentile in ms; 0 of nothing."""
    return sorted_seconds[int(len(sorted_seconds) * share)] * 1e3 if sorted_seconds else 0.0


async def flood(order: dict[str, Any]) -> dict[str, Any]:
    """Send, and return the answers with their percentiles (ms)."""
    found = Flood(order)
    cpu = time.process_time()
    seconds = await found.run()
    found.accepted.sort()
    found.refused.sort()
    return {
        "seconds": seconds,
        "cpu": time.process_time() - cpu,
        "answers": dict(found.answers),
        "p50_ms": at(found.accepted, 0.5),
        "p99_ms": at(found.accepted, 0.99),
        "refused_p99_ms": at(found.refused, 0.99),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(flood(json.load(sys.stdin)))))
