"""A table whose cursor follows the row, not the place: rows may move or go at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from rtsd.core.figures import count
from rtstui.filter import RowFilter
from rtstui.format import wrap
from rtstui.messages import FilterCleared, RowChosen, RowOpened
from rtstui.rows import Row, plain
from rtstui.widgets.panel import Panel

SEARCHED = 1_000
"""Width in cells of a row whose text is filtered: there is room for every column, and for long values."""


class Table(Panel, can_focus=True):
    """Rows with keys under an optional header. Subclasses give the keys and a row for each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "down", show=False, id="table.down"),
        Binding("pageup,ctrl+u", "move(-10)", "page up", show=False, id="table.page_up"),
        Binding("pagedown,ctrl+d", "move(10)", "page down", show=False, id="table.page_down"),
        Binding("home,g", "move(-100000)", "first", show=False, id="table.first"),
        Binding("end,G", "move(100000)", "last", show=False, id="table.last"),
        Binding("enter", "open", "open", id="table.open", key_display="enter"),
        Binding("y", "copy", "copy the row", show=False, id="table.copy"),
        Binding("escape", "clear_filter", "clear the filter", show=False, id="table.clear_filter"),
    ]

    NEWEST_LAST: ClassVar[bool] = False
    """Whether the last row is the newest: the table begins at its end, and shows what comes there."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.cursor: str | None = None
        self.filter = RowFilter()
        self._passing: tuple[object, Sequence[str]] = (None, ())
        self._place = 0
        self._top = 0
        self._at_end = self.NEWEST_LAST
        """Whether the end is followed: until the cursor is moved away from it."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer enter only in views that open rows, and escape only while rows are filtered out."""
        if action == "clear_filter":
            return bool(self.filter)
        return action != "open" or self.id in getattr(self.screen, "OPENS", ())

    def keys(self) -> Sequence[str]:
        """Return the keys of all rows, in order; `shown` leaves out those that the filter does."""
        raise NotImplementedError

    def row(self, key: str, width: int) -> Row:
        """Return the row of a key."""
        raise NotImplementedError

    def header(self, width: int) -> Row | None:  # noqa: ARG002
        """Return the line above the rows, which does not scroll."""
        return None

    def empty(self) -> str:
        """Return the text that stands in for rows."""
        return ""

    def empty_role(self) -> str:
        """Return the role of that text."""
        return "dim"

    @property
    def lit(self) -> bool:
        """True while the cursor is shown."""
        return self.has_focus

    def set_filter(self, chosen: RowFilter) -> None:
        """Show only rows that pass."""
        self.filter = chosen
        self.tick()

    def shown(self) -> Sequence[str]:
        """Return the keys of the rows that pass the filter."""
        keys = self.keys()
        if not self.filter:
            return keys
        stamp = (self.filter, self.stamp(), list(keys))
        if stamp != self._passing[0]:
            self._passing = (stamp, [key for key in keys if self.filter(self.text(key))])
        return self._passing[1]

    def text(self, key: str) -> str:
        """Return the text of a row in which the filter searches: as it is shown, so masked where that is."""
        return plain(self.row(key, SEARCHED))

    def stamp(self) -> object:
        """Return what changes whenever the text of a row may: the filter is then applied again."""
        return self.state.rev, int(self.state.now().timestamp()), self.masking

    def border(self) -> tuple[str, str]:
        """The titles, and what the filter leaves."""
        above, below = super().border()
        if not self.filter:
            return above, below
        shown = self.shown()
        said = f"{self._in_sight(shown)}{count(len(shown))} of {count(len(self.keys()))} · esc clears"
        return f"{above} · {self.filter.text}", f"{said} · {below}" if below else said

    def part(self, keys: Sequence[str]) -> str:
        """Return the rows in sight as a text for the border, if not all are; a filter says that itself."""
        return "" if self.filter else self._in_sight(keys)

    def _in_sight(self, keys: Sequence[str]) -> str:
        room = self.size.height - (self.header(self.size.width) is not None)
        if len(keys) <= room or room <= 0:
            return ""
        return f"{self._top + 1} to {self._top + room} of "

    def wanted(self) -> int:
        """All rows and the header; without rows, the lines of the text that stands in."""
        width = self.size.width or max(10, self.app.size.width - 4)
        rows = len(self.keys()) or len(wrap(self.empty(), width)) or 1
        return rows + (self.header(width) is not None)

    def paint(self, width: int, height: int) -> list[Row]:
        """The header, and the page of the cursor."""
        keys = self.shown()
        self._keep_place(keys)
        head = self.header(width)
        rows: list[Row] = [] if head is None else [head]
        if not keys:
            role = "dim" if self.keys() else self.empty_role()
            return [*rows, *(((line, role),) for line in wrap(self._stand_in(), width))]
        room = max(1, height - len(rows))
        place = self._place if self.cursor is not None else 0
        wanted = len(keys) if self._at_end else self._top
        self._top = max(0, min(max(place - room + 1, min(wanted, place)), len(keys) - room))
        for key in keys[self._top : self._top + room]:
            row = self.row(key, width)
            marked = key == self.cursor and self.lit
            rows.append(tuple((text, "cursor") for text, _ in _filled(row, width)) if marked else row)
        return rows

    def _stand_in(self) -> str:
        """Return the text in place of rows: none pass the filter, or there are none."""
        if self.filter and (total := len(self.keys())):
            return f"0 of {count(total)} match. esc clears the filter."
        return self.empty()

    def _keep_place(self, keys: Sequence[str]) -> None:
        """Follow the key under the cursor; if it is gone, take the row in its place."""
        if self._at_end and keys and not self.has_focus:
            self._place = len(keys) - 1
            gone, self.cursor = self.cursor, keys[-1]
        elif not keys:
            gone, self.cursor = self.cursor, None
        elif self.cursor in keys:
            self._place = keys.index(self.cursor)
            return
        else:
            gone = self.cursor
            self._place = len(keys) - 1 if self._at_end else min(self._place, len(keys) - 1)
            self.cursor = keys[self._place]
        if gone != self.cursor:
            self.post_message(RowChosen(self.id or "", self.cursor))

    def restart(self) -> None:
        """Begin at the first row, or at the end: other rows come."""
        self.cursor, self._place, self._top = None, 0, 0
        self._at_end = self.NEWEST_LAST

    def choose(self, key: str) -> None:
        """Put the cursor on a row."""
        if key not in self.shown() and key in self.keys():
            self.action_clear_filter()
        shown = self.shown()
        if key in shown and key != self.cursor:
            self.cursor = key
            self._place = shown.index(key)
            self._at_end = self.NEWEST_LAST and self._place == len(shown) - 1
            self.post_message(RowChosen(self.id or "", key))
        self.tick()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        keys = self.shown()
        if keys:
            self.choose(keys[max(0, min(self._place + by, len(keys) - 1))])

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.cursor is not None:
            self.post_message(RowOpened(self.id or "", self.cursor))

    def action_clear_filter(self) -> None:
        """Show every row again."""
        if self.filter:
            self.set_filter(RowFilter())
            self.post_message(FilterCleared(self.id or ""))

    def action_copy(self) -> None:
        """Send the row under the cursor to the terminal's clipboard."""
        if self.cursor is not None:
            self.app.copy_to_clipboard(plain(self.row(self.cursor, 300)).strip())

    def export(self) -> tuple[str, str]:
        """Return every row that passes the filter, also those out of sight."""
        head = self.header(200)
        rows = [*([] if head is None else [head]), *(self.row(key, 200) for key in self.shown())]
        return "txt", "".join(plain(row).rstrip() + "\n" for row in rows)

    def on_focus(self) -> None:
        """Show the cursor, and have the view follow the row under it."""
        self.tick()
        self.post_message(RowChosen(self.id or "", self.cursor))

    def on_blur(self) -> None:
        """Hide the cursor: keys go elsewhere."""
        self.tick()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.action_move(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.action_move(1)

    def on_click(self, event: events.Click) -> None:
        """A click chooses a row, a double click opens it."""
        place = event.get_content_offset(self)
        if place is None:
            return
        index = self._top + place.y - (self.header(self.size.width) is not None)
        keys = self.shown()
        if 0 <= index < len(keys):
            self.choose(keys[index])
            if event.chain == 2:
                self.action_open()


def _filled(row: Row, width: int) -> Row:
    """Return the row as wide as the panel, so that the cursor is a bar."""
    return (*row, (" " * max(0, width - len(plain(row))), ""))
