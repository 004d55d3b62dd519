"""The editor of the SQL view: a statement over several lines, with history and completion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea

from rtsd.control.protocol import ObjectFields
from rtstui import documents
from rtstui.clean import clean
from rtstui.rows import Row, Span
from rtstui.sql_completion import Completion, complete
from rtstui.sql_history import SqlHistory
from rtstui.widgets.panel import Panel

LONGEST = 131_072
"""Characters of a pasted text that are taken."""


class SqlEditor(TextArea):
    """A statement. Enter runs it when it ends with a semicolon or is one line, as in psql and pgcli."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,f5,ctrl+enter,ctrl+j", "run", "run", id="sql.run", key_display="ctrl+r"),
        Binding("ctrl+n,alt+enter,shift+enter", "new_line", "new line", show=False, id="sql.new_line"),
        Binding("ctrl+up", "older", "older statement", show=False, id="sql.older"),
        Binding("ctrl+down", "newer", "newer statement", show=False, id="sql.newer"),
        Binding("tab", "complete(1)", "complete", show=False, id="sql.complete"),
        Binding("shift+tab", "complete(-1)", "complete backwards", show=False, id="sql.complete_back"),
        Binding("escape", "leave", "leave the editor", id="sql.leave", key_display="esc"),
    ]

    class Submitted(Message):
        """The statement is to be run."""

        def __init__(self, statement: str) -> None:
            super().__init__()
            self.statement = statement

    class Left(Message):
        """The keys go to the rows."""

    def __init__(self, history: SqlHistory, names: Names, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id, classes="framed", highlight_cursor_line=False)
        self.cursor_blink = False  # nothing moves on a screen at rest
        self.border_title = Content("SQL, read-only")
        self._history = history
        self._names = names
        self._begun: tuple[Completion, int, tuple[int, int]] | None = None
        """The completion that tab steps through, the place in it, and where its word begins."""

    @property
    def is_whole(self) -> bool:
        """True if enter runs the statement."""
        text = self.text.strip()
        return "\n" not in text or text.endswith(";")

    def on_mount(self) -> None:
        """Say what the keys do."""
        self._say_keys()

    def on_text_area_changed(self) -> None:
        """Say what enter does now."""
        self._say_keys()

    def watch_has_focus(self, has_focus: bool) -> None:  # noqa: FBT001 (Textual's)
        """Say what the keys do here, or how to come back."""
        super().watch_has_focus(has_focus)
        self._say_keys()

    def _say_keys(self) -> None:
        if not self.has_focus:
            self.border_subtitle = Content("i edits it")
            return
        enter = "enter runs · ctrl+n new line" if self.is_whole else "; and enter, or ctrl+r, runs"
        leads = "to the rows" if self.text.strip() else "leaves"
        self.border_subtitle = Content(f"{enter} · tab completes · ↑ ↓ history · esc {leads}")

    async def _on_key(self, event: events.Key) -> None:
        """Run a whole statement on enter, instead of a new line; any key but tab ends a completion."""
        if event.key not in {"tab", "shift+tab"}:
            self._end_completion()
        if event.key == "enter" and self.is_whole:
            event.stop()
            event.prevent_default()
            self.action_run()

    async def _on_paste(self, event: events.Paste) -> None:
        """Take a text without anything that steers a terminal."""
        event.prevent_default()
        event.stop()
        self._type(event.text)

    def _type(self, text: str) -> None:
        lines = (clean(line, LONGEST) for line in text.expandtabs(4).splitlines() or [""])
        self.move_cursor(self.replace("\n".join(lines), *self.selection).end_location)

    def show(self, statement: str) -> None:
        """Put a statement in place of the one that is there."""
        self.select_all()
        self._type(statement)

    def action_run(self) -> None:
        """Have the statement run."""
        if text := self.text.strip():
            self.post_message(self.Submitted(text))

    def action_new_line(self) -> None:
        """Go on in a new line."""
        self.move_cursor(self.replace("\n", *self.selection).end_location)

    def action_leave(self) -> None:
        """Give the keys to the rows; the statement stays."""
        self._end_completion()
        self.post_message(self.Left())

    # -- history ---------------------------------------------------------------------------------

    def action_cursor_up(self, select: bool = False) -> None:  # noqa: FBT001, FBT002 (Textual's)
        """Move up; from the first line to the statement before."""
        if not select and self.navigator.is_first_wrapped_line(self.cursor_location):
            self.action_older()
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:  # noqa: FBT001, FBT002 (Textual's)
        """Move down; from the last line to the statement after."""
        if not select and self.navigator.is_last_wrapped_line(self.cursor_location):
            self.action_newer()
        else:
            super().action_cursor_down(select)

    def action_older(self) -> None:
        """Show the statement that was run before."""
        if (found := self._history.older(self.text)) is not None:
            self.show(found)

    def action_newer(self) -> None:
        """Show the statement that was run after, at last what was being typed."""
        if (found := self._history.newer()) is not None:
            self.show(found)

    # -- completion ------------------------------------------------------------------------------

    def action_complete(self, by: int) -> None:
        """Put the next name in place of the beginning that was typed; the keys stay here."""
        if self._begun is None:
            row, column = self.cursor_location
            before = self.get_text_range((0, 0), (row, column))
            found = complete(before, self.text, self._names.objects())
            begun = (found, -1 if by > 0 else 0, (row, column - len(found.typed)))
        else:
            begun = self._begun
        found, place, start = begun
        if not found.names:
            self._names.show_none(found.typed)
            return
        place = (place + by) % len(found.names)
        self.move_cursor(self.replace(found.names[place], start, self.cursor_location).end_location)
        self._begun = (found, place, start) if len(found.names) > 1 else None
        self._names.show(found.names, place)

    def _end_completion(self) -> None:
        self._begun = None
        self._names.hide()


class Names(Panel):
    """The names that tab steps through, in one line; hidden while there are none."""

    FRAMED = DATED = False

    def __init__(self, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self._shown: tuple[Sequence[str], int] = ((), 0)
        self._said = ""

    def objects(self) -> Sequence[ObjectFields]:
        """The tables and columns, once they are loaded."""
        document = self.load(documents.schema())
        return document.value or ()

    def show(self, names: Sequence[str], place: int) -> None:
        """Show the names around the one that was taken."""
        self._shown, self._said = (names, place), ""
        self._appear(on=len(names) > 1)

    def show_none(self, typed: str) -> None:
        """Say that no name begins so, or that the names are not known yet."""
        document = self.load(documents.schema())
        self._said = f'No table or column begins with "{typed}".' if typed else "Nothing to complete here."
        if document.value is None:
            self._said = (
                documents.stand_in(document, self.state) or "The tables are being read: press tab again."
            )
        self._appear(on=True)

    def hide(self) -> None:
        """Take no line."""
        self._appear(on=False)

    def _appear(self, *, on: bool) -> None:
        self.set_class(on, "-open")
        self.tick()

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The names from the one before, as many as there is room for."""
        if self._said:
            return [((f" {self._said}", "dim"),)]
        names, place = self._shown
        begin = max(0, place - 1)
        spans: list[Span] = [(f" {place + 1} of {len(names)}  ", "dim")]
        for number, name in enumerate(names[begin:], begin):
            spans += [(name, "cursor" if number == place else ""), ("  ", "")]
        return [tuple(spans)]
