"""Somebody who walks through every view, prompt and dialog again and again, while the org is busy."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.dashboard.screen import Screen, daemon
from tests.support.dashboard.tour import STOPS

KEY_EVERY_S = 0.15
KEYS = {
    "escape": b"\x1b",
    "enter": b"\r",
    "space": b" ",
    "tab": b"\t",
    "backspace": b"\x7f",
    "up": b"\x1b[A",
    "down": b"\x1b[B",
    "colon": b":",
    "slash": b"/",
    "question_mark": b"?",
    "ctrl+a": b"\x01",
    "ctrl+f": b"\x06",
    "ctrl+k": b"\x0b",
    "ctrl+n": b"\x0e",
    "ctrl+o": b"\x0f",
    "ctrl+r": b"\x12",
}
"""What a terminal sends for the keys of the tour that are no letters."""
EMPTY_EDITOR = ("slash", "ctrl+a", "ctrl+k", "escape")
"""The statement that the tour typed is not there when it types the next."""
MOST_BYTES = 200e6
"""Resident memory that the dashboard stays below."""


async def soak(
    seconds: float, rate: float, directory: Path, measured: Callable[[str], None]
) -> tuple[list[int], float]:
    """Walk through everything for so long, at so many events a second.

    Returns the resident bytes over time, and the CPU of the longest turn of the loop in ms: what other work
    on the machine takes from a frame is not the frame's.
    """
    held = directory / "held.json"
    program = "tests.support.dashboard.held_loop"
    async with daemon(rate) as socket:
        screen = await Screen.open(socket, program=program, HELD_FILE=str(held))
        try:
            await screen.shows("real time")
            sizes = await _walk(screen, seconds)
            await screen.shows("Store: SQLite", b"S")
            screen.press(b"q")
            async with asyncio.timeout(10):
                assert await screen.process.wait() == 0
        finally:
            await screen.close()
    found = json.loads(held.read_text())
    measured(
        f"{seconds:,.0f} s at {rate:,.0f} events/s: {found['turns']:,} turns of the loop took "
        f"{found['worst_ms']:.0f} ms at most, {found['worst_cpu_ms']:.0f} ms of them on the CPU"
    )
    return sizes, found["worst_cpu_ms"]


async def _walk(screen: Screen, seconds: float) -> list[int]:
    sizes: list[int] = []
    end = time.monotonic() + seconds
    while not sizes or time.monotonic() < end:
        for stop in STOPS:
            await _press(screen, *stop.keys, *stop.back)
            sizes.append(screen.rss)
        await _press(screen, *EMPTY_EDITOR)
    return sizes


async def _press(screen: Screen, *keys: str) -> None:
    for key in keys:
        screen.press(KEYS.get(key, key.encode()))
        await asyncio.sleep(KEY_EVERY_S)
