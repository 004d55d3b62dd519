"""Pushes to several nodes at a steady rate, of which it is known which were answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from rtsd.core.ids import full_id
from tests.support.processes.rig import TOKEN
from tests.support.processes.sender import signed

RATE = 500
"""Pushes a second, to all gateways in turn."""
PATIENCE_S = 12.0
"""Seconds after which nobody waits for an answer any more."""
AT_ONCE = 600
"""Connections to a node, so that what hangs at one delays no push to another."""
NO_CONNECTION, NO_ANSWER = 0, -1
"""What counts as a status where there is none."""


@dataclass
class Flood:
    """Pushes at a steady rate, each with a record of its own; they are not sent again."""

    ports: Mapping[str, int]
    """Of the gateways, by node."""
    org_id: str
    template: dict[str, Any]
    answers: dict[str, Counter[int]] = field(default_factory=dict)
    """How many pushes a node answered with which status."""
    slowest: Counter[str] = field(default_factory=Counter)
    """The longest that a node took for an answer, in ms."""
    acked: set[str] = field(default_factory=set)
    """The ids of the records whose push was answered 200."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Push while the block runs, and wait for every answer at its end."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._run(stop))
        try:
            yield
        finally:
            stop.set()
            await task

    def answered(self, node: str, status: int) -> int:
        """How many pushes a node answered so."""
        return self.answers.get(node, Counter())[status]

    def total(self) -> Counter[int]:
        """How many pushes all nodes together answered with which status."""
        return sum(self.answers.values(), Counter())

    async def _run(self, stop: asyncio.Event) -> None:
        nodes = itertools.cycle(tuple(self.ports))
        began, sending = time.monotonic(), set[asyncio.Task[None]]()
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        connector = aiohttp.TCPConnector(limit=0, limit_per_host=AT_ONCE)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
            for number in itertools.count():
                if stop.is_set():
                    break
                task = asyncio.create_task(self._push(http, next(nodes), number))
                sending.add(task)
                task.add_done_callback(sending.discard)
                await asyncio.sleep(max(began + number / RATE - time.monotonic(), 0))
            await asyncio.gather(*sending)

    async def _push(self, http: aiohttp.ClientSession, node: str, number: int) -> None:
        record = full_id(f"00Qflood{number:07d}")
        change = {
            "object": "Lead",
            "op": "create",
            "id": record,
            "modstamp": self.template["SystemModstamp"],
            "fields": {**self.template, "Id": record},
        }
        head = {"v": 1, "kind": "changes", "org": self.org_id, "read_at": "2026-03-01T10:00:00.000Z"}
        request = signed(TOKEN, f"flood-{number}", msgspec.json.encode({**head, "changes": [change]})).request
        lines, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in lines.decode().split("\r\n")[1:])
        began, url = time.monotonic(), f"http://127.0.0.1:{self.ports[node]}/v1/push"
        try:
            async with http.post(url, data=body, headers=headers) as answer:
                await answer.read()
                status = answer.status
        except TimeoutError:
            status = NO_ANSWER
        except (OSError, aiohttp.ClientError):
            status = NO_CONNECTION
        else:
            self.slowest[node] = max(self.slowest[node], round((time.monotonic() - began) * 1000))
        self.answers.setdefault(node, Counter())[status] += 1
        if status == 200:
            self.acked.add(record)
