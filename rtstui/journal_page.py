"""A page of the journal from a moment on, found by number: entries are in the order of their time."""

from __future__ import annotations

from typing import NamedTuple

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Event

PAGE = 1_000
"""Entries that are loaded: a few dozen screens."""


class JournalPage(NamedTuple):
    """Entries from a moment on; whether the journal has older ones."""

    entries: list[Event]
    has_older: bool


async def page_from(client: ControlClient, at: str, newest: int) -> JournalPage:
    """Return the first entries at or after a moment of the wire; entry `newest` must be one of them.

    It takes an answer with a single entry for each halving of the journal.
    """
    before = 0  # every entry up to this number is too old
    while before < newest:
        middle = (before + newest) // 2
        found = await client.events(after=middle, limit=1)
        if found and found[0].seq <= newest and found[0].at < at:
            before = found[0].seq
        else:
            newest = middle
    return JournalPage(await client.events(after=before, limit=PAGE), before > 0)
