"""How far a command is, on stderr: how much, how fast, and how long it still takes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self, TypeVar

import click

from rtsd.cli.output import span
from rtsd.errors import RtsError
from rtsd.machine import monotonic_ms

T = TypeVar("T")

SHOWN_EVERY_MS = 500
"""On a terminal, where one line is written over."""
SAID_EVERY_MS = 10_000
"""Elsewhere, a line each time."""
MEASURED_MS = 1_000
"""A shorter time says nothing about the pace."""


class ProgressLine:
    """A line that is written over on a terminal, and else a line every ten seconds; none if `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._on_terminal = sys.stderr.isatty()
        self._shown_at = monotonic_ms()
        self._what = ""
        self._began = (0, 0)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave a clean line."""
        if self._on_terminal and not self._quiet:
            self._write("")

    def show(self, what: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        """Show `done` units of `total`, if it is time. A new `what` has a pace of its own."""
        now = monotonic_ms()
        if what != self._what:
            self._what, self._began = what, (now, done)
        every = SHOWN_EVERY_MS if self._on_terminal else SAID_EVERY_MS
        if self._quiet or now - self._shown_at < every:
            return
        self._shown_at = now
        self._write(f"{what}: {' · '.join(self._facts(now, done, total, unit))}")

    def _facts(self, now: int, done: int, total: int | None, unit: str) -> list[str]:
        facts = [f"{done:,} of {total:,} {unit}" if total else f"{done:,} {unit}"]
        began, before = self._began
        if now - began >= MEASURED_MS and done > before:
            pace = (done - before) / (now - began)
            facts.append(f"{1000 * pace:,.0f} {unit}/s")
            if total and total > done:
                facts.append(f"{span(max(1_000, round((total - done) / pace)))} left")
        return facts

    def _write(self, text: str) -> None:
        start, end = ("\r\x1b[K", "") if self._on_terminal else ("", "\n")
        click.echo(f"{start}{text}{end}", nl=False, err=True)


async def watched(work: Awaitable[T], look: Callable[[], Awaitable[None]]) -> T:
    """Await `work`, and meanwhile call `look` every half a second; what `look` fails at is not shown."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(SHOWN_EVERY_MS / 1000)
            with suppress(RtsError):
                await look()

    watching = asyncio.create_task(watch())
    try:
        return await work
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
