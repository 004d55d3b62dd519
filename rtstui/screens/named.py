"""From wherever a record is named to the view that shows it."""

from __future__ import annotations

import re
from typing import Any

from textual.app import App

from rtsd.control.protocol import DeadLetter, ErrorEntry, Event

ID = re.compile(r"\b[a-zA-Z0-9]{5}0[a-zA-Z0-9]{9}(?:[A-Z0-5]{3})?\b")
"""An id inside a text: 15 characters, the sixth of them 0 (reserved), or 18 with the check."""


def record_of(named: Event | ErrorEntry | DeadLetter | None) -> tuple[str, str] | None:
    """The object and id that something names; of an error, the id in its text."""
    match named:
        case Event(object=str(name), id=str(record)):
            return name, record
        case DeadLetter(object=str(name), record=str(record)):
            return name, record
        case ErrorEntry(object=str(name), message=text) if found := ID.search(text):
            return name, found.group()
    return None


def open_record(app: App[Any], named: Event | ErrorEntry | DeadLetter | None) -> bool:
    """Show the record that something names; False where it names none."""
    found = record_of(named)
    if found is None:
        return False
    app.call_later(app.run_action, f"record({found[0]!r}, {found[1]!r})")
    return True
