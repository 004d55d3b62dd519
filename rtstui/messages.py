"""The messages of widgets to their screen."""

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
    """A row of a table was opened by enter or a double click."""

    def __init__(self, table: str, key: str) -> None:
        super().__init__()
        self.table = table
        self.key = key


class FilterCleared(Message):
    """A table shows every row again."""

    def __init__(self, table: str) -> None:
        super().__init__()
        self.table = table


class EventChosen(Message):
    """The cursor of the event stream moved to an entry, or to none."""

    def __init__(self, event: Event | None, *, opened: bool = False) -> None:
        super().__init__()
        self.event = event
        self.opened = opened


class ViewAsked(Message):
    """The tab of a view was clicked."""

    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = view
