"""One-change pushes at a steady pace, each on a connection of its own, whether earlier ones are answered."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from typing import Any

from tests.bench import load
from tests.support.processes.sender import Shot, status_of


async def push(
    port: int, what: dict[str, Any], numbers: count[int], took: list[float], a_second: int
) -> None:
    """Send pushes on schedule until cancelled, and note their seconds; those under way are answered first.

    Raises RuntimeError if one is not answered 200.
    """
    begun = time.perf_counter()
    under_way: set[asyncio.Task[None]] = set()
    try:
        for due in count():
            (shot,) = load.shots(what | {"first": next(numbers), "count": 1})
            await asyncio.sleep(max(begun + due / a_second - time.perf_counter(), 0))
            under_way.add(asyncio.create_task(_send(port, shot, took)))
    finally:
        await asyncio.wait(under_way)
        for task in under_way:
            task.result()


async def _send(port: int, shot: Shot, took: list[float]) -> None:
    begun, received = time.perf_counter(), b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(shot.request)
    while (status := status_of(received)) is None:
        received += await reader.read(65_536)
    if status != 200:
        raise RuntimeError(f"a push was answered {status}")
    took.append(time.perf_counter() - begun)
    writer.close()
