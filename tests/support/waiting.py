"""Waiting for a condition instead of for a time.

Conditions are called without arguments; `Callable[..., …]` admits a lambda that binds a loop's variable.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

LOOK_EVERY_S = 0.02


@overload
async def eventually(probe: Callable[..., Awaitable[T | None]], what: str, within: float = 45.0) -> T: ...


@overload
async def eventually(probe: Callable[..., T | None], what: str, within: float = 45.0) -> T: ...


async def eventually(probe: Callable[..., Any], what: str, within: float = 45.0) -> Any:
    """Return the first true result of `probe`; AssertionError with the last one when none comes in time."""
    deadline = time.monotonic() + within
    while True:
        found = probe()
        result = await found if inspect.isawaitable(found) else found
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within:.0f} s; last seen: {result!r}")
        await asyncio.sleep(LOOK_EVERY_S)
