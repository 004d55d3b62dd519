"""The numbered views: which panels each one has and what they say to each other."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from rtstui.clean import clean
from rtstui.filter import LEGEND, Filter, FilterMistake, parse
from rtstui.messages import EventChosen, RowChosen, RowOpened
from rtstui.screens.view import View
from rtstui.widgets.card import EventCard
from rtstui.widgets.errors import DeadLetters, ErrorLog, TroubleCard
from rtstui.widgets.objects import ObjectCard, Objects
from rtstui.widgets.pulse import Pulse
from rtstui.widgets.quota import Calls, Limits, Quota
from rtstui.widgets.stream import Stream


class Overview(View):
    """Is it right, is it fresh, what did it cost; and what happens now."""

    HELP = "Everything at a glance: the objects, the newest events, the quota and the errors."
    AUTO_FOCUS = "Stream"
    body_id = "overview"
    OPENS = frozenset({"objects", "errors", "letters"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="overview.filter", key_display="/"),
    ]

    def body(self) -> ComposeResult:
        """Facts and the stream; the style sheet places them by width."""
        yield Objects(id="objects")
        yield Stream(id="stream")
        yield Quota(id="quota")
        yield Calls(id="calls")
        yield ErrorLog(id="errors")
        yield DeadLetters(id="letters")
        yield Pulse(id="pulse")

    async def action_filter(self) -> None:
        """The filter stands in the event view."""
        await self.app.run_action("view('2')")
        self.app.call_later(self.app.run_action, "screen.filter")

    def on_row_opened(self, message: RowOpened) -> None:
        """Enter on an object or an error opens its view."""
        self.app.call_later(self.app.run_action, "view('3')" if message.table == "objects" else "view('4')")

    def on_event_chosen(self, message: EventChosen) -> None:
        """Enter on an entry opens the event view."""
        if message.opened:
            self.app.call_later(self.app.run_action, "view('2')")


class Events(View):
    """The stream alone, with a filter and the chosen entry in full."""

    HELP = "The journal, live. Any move upwards freezes the view, never the sync. Filter: " + LEGEND
    AUTO_FOCUS = "Stream"
    body_id = "events-view"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="events.filter", key_display="/"),
        Binding("escape", "back", "back", show=False, id="events.back"),
    ]

    def body(self) -> ComposeResult:
        """The filter line, the stream, the detail."""
        yield Input(id="filter", placeholder=LEGEND, select_on_focus=False)
        yield Static(id="mistake", markup=False)
        yield Stream(id="stream")
        yield EventCard(id="card")

    def on_mount(self) -> None:
        """Nothing moves on a screen at rest."""
        self.query_one("#filter", Input).cursor_blink = False

    def action_filter(self) -> None:
        """Type a filter; it acts while typing."""
        box = self.query_one("#filter", Input)
        box.add_class("-open")
        box.focus()

    def only(self, words: str) -> None:
        """Show what passes these filter words."""
        box = self.query_one("#filter", Input)
        box.value = words
        box.set_class(bool(words), "-open")
        self.query_one(Stream).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """A filter that cannot be read leaves the last good one in force and says why."""
        mistake = self.query_one("#mistake", Static)
        try:
            chosen = parse(event.value)
        except FilterMistake as error:
            mistake.update(clean(str(error)))
            mistake.add_class("-said")
            return
        mistake.remove_class("-said")
        self.query_one(Stream).set_filter(chosen)

    def on_input_submitted(self) -> None:
        """Back to the stream, with the filter in force."""
        self.query_one(Stream).focus()

    def on_event_chosen(self, message: EventChosen) -> None:
        """Show the entry under the cursor in full."""
        card = self.query_one(EventCard)
        card.event = message.event
        card.set_class(message.event is not None and (message.opened or card.has_class("-open")), "-open")
        card.tick()

    def action_back(self) -> None:
        """One step back: the detail, the filter, the frozen view, the overview."""
        card, box, stream = (
            self.query_one(EventCard),
            self.query_one("#filter", Input),
            self.query_one(Stream),
        )
        if card.has_class("-open"):
            card.remove_class("-open")
        elif box.has_class("-open"):
            box.value = ""
            box.remove_class("-open")
            stream.focus()
        elif stream.frozen is not None:
            stream.action_follow()
        else:
            self.app.call_later(self.app.run_action, "view('1')")


class _Leaf(View):
    """A view whose escape leads to the overview."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.view('1')", "overview", show=False, id="view.back")
    ]


class ObjectsView(_Leaf):
    """Every object, the chosen one explained, and its events where there is room."""

    HELP = "Each mirrored object: its state, its rows, how complete, how fresh, what the last check found."
    AUTO_FOCUS = "Objects"
    body_id = "objects-view"
    OPENS = frozenset({"objects"})

    def body(self) -> ComposeResult:
        """The table and the card."""
        yield Objects(id="objects")
        yield ObjectCard(id="object-card")
        yield Stream(id="its-events")

    def on_row_opened(self, message: RowOpened) -> None:
        """Enter shows the object's events."""
        self.app.call_later(self.app.run_action, f"events_of({message.key!r})")

    def on_row_chosen(self, message: RowChosen) -> None:
        """Explain the row under the cursor."""
        card = self.query_one(ObjectCard)
        card.chosen = message.key
        card.tick()
        self.query_one(Stream).set_filter(parse(f"obj:{message.key}") if message.key else Filter())


class Errors(_Leaf):
    """What failed, and what waits for a decision."""

    HELP = "The error log, and the dead letters: what could not be applied, with its reason."
    AUTO_FOCUS = "ErrorLog"
    body_id = "errors-view"

    def body(self) -> ComposeResult:
        """Log, letters, the chosen one in full."""
        yield ErrorLog(id="errors")
        yield DeadLetters(id="letters")
        yield TroubleCard(id="trouble-card")

    def on_row_chosen(self, message: RowChosen) -> None:
        """Show the whole text of the row under the cursor."""
        table = self.query_one(f"#{message.table}")
        if not table.has_focus:
            return
        card = self.query_one(TroubleCard)
        if isinstance(table, ErrorLog | DeadLetters):
            card.chosen = table.find(message.key)
        card.tick()


class QuotaView(_Leaf):
    """Who uses the org's daily limits, and whether they will last."""

    HELP = "The org's daily limits: used by rtsd, by others, left; and when one runs out at the present rate."
    AUTO_FOCUS = "Limits"
    body_id = "quota-view"

    def body(self) -> ComposeResult:
        """The limits, and our calls by purpose."""
        yield Limits(id="limits")
        yield Calls(id="calls")
