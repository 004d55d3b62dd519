"""Entries of the journal as lines, with the values of changes, for people and for programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from rtsd.cli.history import shown
from rtsd.cli.output import coloured
from rtsd.control.protocol import ChangeValues, Event
from rtsd.logs import clean

UNKNOWN = "?"
"""A value that nothing tells; an empty one is a dash."""


def line(entry: Event, values: ChangeValues | None = None) -> str:
    """Return an entry on a line: number, time, operation or type, object, record, and the rest."""
    words = [
        str(entry.seq),
        entry.at,
        entry.op or entry.type,
        entry.object,
        entry.id,
        f'"{values.name}"' if values and values.name else None,
        f"from {entry.source}" if entry.source else None,
        entry.outcome,
        f"{entry.latency_ms} ms" if entry.latency_ms is not None else None,
        _changed(values) if values and values.changed else ",".join(entry.changed or ()),
        entry.message,
    ]
    return " ".join(coloured(clean(word)) for word in words if word)


def with_values(entry: Event, values: ChangeValues | None) -> str:
    """Return an entry as JSON; a change with its `values`, as `GET /v1/events/values` has them."""
    document = msgspec.to_builtins(entry)
    if values is not None:
        told = msgspec.to_builtins(values)
        document["values"] = {key: value for key, value in told.items() if key != "seq"}
    return msgspec.json.encode(document).decode()


async def gathered(entries: AsyncIterator[Event], most: int) -> AsyncIterator[list[Event]]:
    """Yield entries as they come, together those that are there already."""
    arriving: asyncio.Future[Event | None] = asyncio.ensure_future(_next(entries))
    try:
        while (entry := await arriving) is not None:
            batch = [entry]
            arriving = asyncio.ensure_future(_next(entries))
            while (
                len(batch) < most and await _is_there(arriving) and (entry := arriving.result()) is not None
            ):
                batch.append(entry)
                arriving = asyncio.ensure_future(_next(entries))
            yield batch
    finally:
        arriving.cancel()


async def _next(entries: AsyncIterator[Event]) -> Event | None:
    return await anext(entries, None)


async def _is_there(arriving: asyncio.Future[Event | None]) -> bool:
    """Whether an entry has come; an error is left for whoever awaits it."""
    await asyncio.sleep(0)
    return arriving.done() and arriving.exception() is None


def _changed(values: ChangeValues) -> str:
    fields = [
        f"{name}: {_text(change.before)} → {_text(change.after)}" for name, change in values.changed.items()
    ]
    return ", ".join(fields + ([f"{values.more} more"] if values.more else []))


def _text(value: object) -> str:
    return UNKNOWN if value is msgspec.UNSET else shown(value)
