"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY_S = 0.02


async def eventually(
    probe: Callable[[], T | Awaitable[T | None] | None], what: str, within: float = 15.0
) -> T:
    """Return the first true result of `probe`; AssertionError with the last one when none comes in time."""
    deadline = time.monotonic() + within
    while True:
        found = probe()
        result: T | None = await found if inspect.isawaitable(found) else found
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within:.0f} s; last seen: {result!r}")
        await asyncio.sleep(LOOK_EVERY_S)
