"""What this machine gives: its clocks, randomness and sleep. Nothing else in rtsd asks the system for them.

The daemon hands them down as values, so that a test can give it other ones; the layers below cannot import
this module.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rtsd.core.instant import Millis


def wall_ms() -> Millis:
    """The local time."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> Millis:
    """A clock that nobody sets, to measure how long things take."""
    return time.monotonic_ns() // 1_000_000


def random_token() -> str:
    """A new secret: 32 random bytes as text that fits into URLs."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that a daemon runs on."""

    wall: Callable[[], Millis] = wall_ms
    monotonic: Callable[[], Millis] = monotonic_ms
    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Pauses between retries, and the grace that rows under way are given."""
