"""The prompt that finds a record by what is known of it, over any view; the mirror alone is searched."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Found
from rtsd.errors import RtsError, UsageError
from rtstui.clean import clean, cleaned
from rtstui.messages import RowOpened
from rtstui.widgets.found import UNANSWERED, FoundTable, Search
from rtstui.widgets.panel import ROLE_CLASSES
from rtstui.widgets.prompt import InputLine

DEBOUNCE_S = 0.15
"""Typing is quicker than that: a request for each letter would only be thrown away."""

TICK_S = 0.1


class FindLine(InputLine):
    """The line to type in. The keys that move the cursor of the records are its own, too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "screen.move(-1)", "previous record", show=False, id="find.up"),
        Binding("down", "screen.move(1)", "next record", show=False, id="find.down"),
        Binding("pageup", "screen.move(-10)", "page up", show=False, id="find.page_up"),
        Binding("pagedown", "screen.move(10)", "page down", show=False, id="find.page_down"),
    ]

    def action_close(self) -> None:
        """Close the prompt."""
        if isinstance(self.screen, Find):
            self.screen.dismiss(None)


class Find(ModalScreen[tuple[str, str] | None]):
    """The line, and the records that have its text. Its result is an object and an id."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    OPENS: ClassVar[frozenset[str]] = frozenset({"found"})

    def __init__(self, client: ControlClient, text: str = "") -> None:
        """`text`: what is searched for at first."""
        super().__init__()
        self._client, self._text = client, text
        self._search = Search()
        self._asking = False
        self._pause: Timer | None = None
        self._lost = False
        self._opens = False
        """True if enter was pressed before the answer came."""

    def compose(self) -> ComposeResult:
        """Yield the line, and the records below it."""
        with Vertical(id="dialog") as box:
            box.border_title = Content("Find a record")
            box.border_subtitle = Content("enter opens it · ↑ ↓ choose · esc closes")
            yield FindLine("name, address, phone number or id", id="find-text")
            yield FoundTable(self._search, id="found")

    def on_mount(self) -> None:
        """Take the keys, and keep the records up to date."""
        self.query_one(FindLine).open(self._text)
        self.set_interval(TICK_S, self._tick)

    def _tick(self) -> None:
        search = self._search
        for table in self.query(FoundTable):  # none while the dialog closes
            if not table.state.live:
                self._lost = True
            elif self._lost:  # what is shown, or the failure, is of the time before
                self._lost, search.answered = False, UNANSWERED
            search.waited_s = search.waited_s + TICK_S if search.pending else 0.0
            if search.pending and self._pause is None and table.state.live:
                self._ask()
            table.tick()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search once nothing has been typed for a moment."""
        self._search.text, self._opens = event.value.strip(), False
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(DEBOUNCE_S, self._paused)
        self.query_one(FoundTable).tick()

    def _paused(self) -> None:
        self._pause = None
        self._ask()

    def _ask(self) -> None:
        """Search, unless a request is under way: its end asks for the newest text."""
        is_live = any(table.state.live for table in self.query(FoundTable))
        if not self._asking and self._search.pending and is_live:
            self._asking = True
            self.run_worker(self._answer(), group="find")

    async def _answer(self) -> None:
        search, text = self._search, self._search.text
        found, hint, problem = Found(records=[], truncated=False), "", ""
        try:
            if text:
                found = cleaned(await self._client.find(text))
        except UsageError as error:
            hint = clean(error.message)
        except RtsError as error:
            problem = clean(str(error))
        finally:
            self._asking = False
        search.answered, search.found, search.hint, search.problem = text, found, hint, problem
        for table in self.query(FoundTable):  # none if the dialog was closed before the answer came
            table.restart()
            table.tick()
            if not search.pending and self._opens:
                self._open()

    def action_move(self, by: int) -> None:
        """Move the cursor of the records."""
        self.query_one(FoundTable).action_move(by)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open the record under the cursor, or the first one once the answer is there."""
        event.stop()
        if self._search.pending:
            self._opens = True
        else:
            self._open()

    def on_row_opened(self, message: RowOpened) -> None:
        """Open a record that was clicked twice."""
        message.stop()
        self._open()

    def _open(self) -> None:
        self._opens = False
        table = self.query_one(FoundTable)
        if (chosen := table.find(table.cursor)) is not None:
            self.dismiss((chosen.object, chosen.id))
