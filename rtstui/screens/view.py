"""The base of the numbered views: the frame around the body, the line to type in, the way to a record."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Static

from rtsd.control.protocol import DeadLetter, ErrorEntry, Event
from rtstui import collector
from rtstui.messages import FilterCleared, ViewAsked
from rtstui.widgets.chrome import KeyBar, Notice, ReplyLine, StoryLine, Tabs, TopBar
from rtstui.widgets.panel import ROLE_CLASSES, Panel
from rtstui.widgets.prompt import InputLine, RowFilterLine
from rtstui.widgets.table import Table
from rtstui.widgets.verdicts import Verdicts
from rtstui.widgets.welcome import Welcome

RECORD_ID = re.compile(r"\b[a-zA-Z0-9]{5}0[a-zA-Z0-9]{9}(?:[A-Z0-5]{3})?\b")
"""An id inside a text: 15 characters, the sixth of them 0 (reserved), or 18 with the check."""

SETTLES_S = 1.0


class View(Screen[None]):
    """A numbered view. Subclasses give the body."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (declared so by Textual)
        (0, "-small"),
        (110, "-medium"),
        (170, "-wide"),
    ]

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next panel", show=False, id="view.next_panel"),
        Binding("shift+tab", "app.focus_previous", "previous panel", show=False, id="view.previous_panel"),
        Binding("super+c", "screen.copy_text", "copy the selected text", show=False, id="view.copy"),
        Binding("slash", "filter", "filter", id="view.filter", key_display="/"),
    ]

    VERTICAL_BREAKPOINTS = [(0, "-flat"), (20, "-low"), (30, "-tall")]  # noqa: RUF012 (declared so by Textual)

    def compose(self) -> ComposeResult:
        """Bars above and below, the body between them."""
        yield TopBar()
        yield Tabs()
        yield Verdicts(leads=self.LEADS)
        yield Notice()
        yield StoryLine()
        yield Welcome(id="welcome")
        yield RowFilterLine()
        yield Static(id="row-mistake", classes="mistake", markup=False)
        with Container(classes="view--body", id=self.body_id):
            yield from self.body()
        yield ReplyLine()
        yield KeyBar()

    _settled = _left = False

    back_to = "1"
    """The view that escape leads back to."""

    body_id: ClassVar[str] = ""

    LEADS: ClassVar[bool] = False
    """True if the three answers are what the view is about."""

    OPENS: ClassVar[frozenset[str]] = frozenset()
    """The tables whose rows the enter key opens."""

    def body(self) -> ComposeResult:
        """Yield the view's own panels."""
        raise NotImplementedError

    def tick(self) -> None:
        """Bring every panel up to date. Cheap when nothing changed."""
        if not self.is_mounted or not self.query(KeyBar):
            return  # its panels are not there yet, or no longer: the last of them is missing first
        self.prepare()
        welcome = self.query_one(Welcome)
        self.set_class(welcome.state.status is None, "-blank")
        for panel in self.query(Panel):
            panel.tick()

    def prepare(self) -> None:
        """Update what the view needs before its panels are painted."""

    def on_screen_resume(self) -> None:
        """Bring the view up to date: nothing did while it was hidden, or under a dialog that has closed."""
        collector.forget_closed()
        if self._left:
            self._left = False
            self.begin()
        if not self._settled:
            self.set_timer(SETTLES_S, self._settle)
        self.tick()

    def _settle(self) -> None:
        """Exempt the view's widgets from the garbage collector once they are there."""
        if self._settled or self.app.is_headless or not self.is_active:
            return
        self._settled = True
        collector.settle()

    def on_view_asked(self, message: ViewAsked) -> None:
        """Open the view of the tab that was clicked."""
        message.stop()
        self.app.call_later(self.app.run_action, f"view('{message.view}')")

    def action_filter(self) -> None:
        """Open the filter of the table that has the focus."""
        if (table := self.filterable) is not None:
            self.query_one(RowFilterLine).open_for(table)
        else:
            self.notify("Nothing to filter here: tab goes to a panel with rows.", markup=False, timeout=4)

    @property
    def filterable(self) -> Table | None:
        """The table that has the focus, if it has rows."""
        table = self.focused
        return table if isinstance(table, Table) and table.keys() else None

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show the filter of the table that gets the focus."""
        if isinstance(event.widget, Table):
            self.query_one(RowFilterLine).follow(event.widget)

    def on_filter_cleared(self, message: FilterCleared) -> None:
        """Hide the filter."""
        message.stop()
        self.query_one(RowFilterLine).follow(self.query_one(f"#{message.table}", Table))

    def begin(self) -> None:
        """Begin where the view began when it was opened first, so that the same keys always do the same.

        A list that ends with the newest row is at its end again; in the others the row is remembered.
        """
        for table in self.query(Table):
            if table.NEWEST_LAST:
                table.restart()
        for first in self.query(self.AUTO_FOCUS or Panel):
            first.focus()
            break

    def leave(self) -> None:
        """Close what is open to type in: it would keep the keys of a view that is shown again."""
        self._left = True
        for line in self.query(InputLine):
            line.leave()

    def stay(self) -> None:
        """Keep the place: what was opened from here leads back."""
        self._left = False


class Leaf(View):
    """A view that escape leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.leave_view", "back", show=False, id="view.back")
    ]


def record_of(entry: Event | ErrorEntry | DeadLetter | None) -> tuple[str, str] | None:
    """Return the object and the record id that an entry names; an error may have the id in its text."""
    match entry:
        case Event(object=str(name), id=str(record)):
            return name, record
        case DeadLetter(object=str(name), record=str(record)):
            return name, record
        case ErrorEntry(object=str(name), message=text) if found := RECORD_ID.search(text):
            return name, found.group()
    return None


def open_record(app: App[Any], entry: Event | ErrorEntry | DeadLetter | None) -> bool:
    """Show the record that an entry names; return False if it names none."""
    found = record_of(entry)
    if found is None:
        return False
    app.call_later(app.run_action, f"record({found[0]!r}, {found[1]!r})")
    return True
