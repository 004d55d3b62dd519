"""The base of the numbered views: the frame around the body, the line to type in, the way to a record."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Input

from rtsd.control.protocol import DeadLetter, ErrorEntry, Event
from rtstui.format import fit
from rtstui.messages import ViewAsked
from rtstui.widgets.chrome import KeyBar, Notice, Tabs, TopBar, Verdicts
from rtstui.widgets.panel import ROLE_CLASSES, Panel
from rtstui.widgets.welcome import Welcome

RECORD_ID = re.compile(r"\b[a-zA-Z0-9]{5}0[a-zA-Z0-9]{9}(?:[A-Z0-5]{3})?\b")
"""An id inside a text: 15 characters, the sixth of them 0 (reserved), or 18 with the check."""


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
    ]

    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-tall")]  # noqa: RUF012 (declared so by Textual)

    def compose(self) -> ComposeResult:
        """Bars above and below, the body between them."""
        yield TopBar()
        yield Tabs()
        yield Verdicts()
        yield Notice()
        yield Welcome(id="welcome")
        with Container(classes="view--body", id=self.body_id):
            yield from self.body()
        yield KeyBar()

    body_id: ClassVar[str] = ""

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
        """Bring the view up to date: nothing did while it was hidden."""
        self.tick()

    def on_view_asked(self, message: ViewAsked) -> None:
        """Open the view of the tab that was clicked."""
        message.stop()
        self.app.call_later(self.app.run_action, f"view('{message.view}')")

    def leave(self) -> None:
        """Close what is open to type in: it would keep the keys of a view that is shown again."""
        for line in self.query(InputLine):
            line.leave()


class Leaf(View):
    """A view that escape leaves for the overview."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.view('1')", "overview", show=False, id="view.back")
    ]


class InputLine(Input):
    """A line to type in, over a view and only while it is needed. The view handles enter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False, id="line.close")]

    def __init__(self, placeholder: str, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id, placeholder=placeholder, select_on_focus=False, classes="line")
        self._hint = placeholder
        self.cursor_blink = False  # nothing moves on a screen at rest

    def open(self, text: str | None = None) -> None:
        """Show it and take the keys."""
        if text is not None:
            self.value = text
            self.cursor_position = len(text)
        self.add_class("-open")
        self.focus()

    def on_resize(self) -> None:
        """Cut the hint with an ellipsis where it does not fit."""
        self.placeholder = fit(self._hint, self.content_size.width).rstrip()

    def close(self) -> None:
        """Hide it and give the keys to the view's panels; the text stays."""
        if self.has_focus:
            self.screen.focus_next(Panel)
        self.remove_class("-open")

    def action_close(self) -> None:
        """Close it without an effect."""
        self.close()

    def leave(self) -> None:
        """Close it because another view is opened."""
        self.close()


class FilterLine(InputLine):
    """A line whose text is in force while it is typed, and until it is closed."""

    def action_close(self) -> None:
        """Close it; nothing is filtered any more."""
        self.value = ""
        self.close()

    def leave(self) -> None:
        """Give the keys back; the filter stays in force, and in sight."""
        if self.has_focus:
            self.screen.focus_next(Panel)


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
