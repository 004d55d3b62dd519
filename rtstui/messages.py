"""What widgets tell their screen."""

from __future__ import annotations

from textual.message import Message

from rtsd.control.protocol import Event


class RowChosen(Message):
    """The cursor of a table moved to another row, or the row under it went away."""

    def __init__(self, table: str, key: str | None) -> None:
        super().__init__()
        self.table = table
        self.key = key


class RowOpened(Message):
    """Enter, or a double click, on a row of a table."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__()
        self.table = table
        self.key = key


class EventChosen(Message):
    """The cursor of the event stream stands on this entry, or on none."""

    def __init__(self, event: Event | None, *, opened: bool = False) -> None:
        super().__init__()
        self.event = event
        self.opened = opened


class ViewAsked(Message):
    """A tab was clicked: the number of the view."""

    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = view
