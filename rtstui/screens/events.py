"""The event view: the stream with a filter, a search, and the chosen entry in full."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from rtstui.clean import clean
from rtstui.filter import LEGEND, FilterMistake, parse
from rtstui.messages import EventChosen
from rtstui.screens.view import View, open_record
from rtstui.widgets.card import EventCard
from rtstui.widgets.prompt import FilterLine, InputLine
from rtstui.widgets.stream import Stream


class Events(View):
    """The journal, live."""

    HELP = (
        "The journal, live. Any move upwards freezes the view, never the sync. / shows only entries that "
        "pass, f searches and hides nothing. Both know: " + LEGEND
    )
    AUTO_FOCUS = "Stream"
    body_id = "events-view"
    OPENS = frozenset({"stream"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="events.filter", key_display="/"),
        Binding("f", "find", "find", id="events.find"),
        Binding("n", "again(-1)", "next match", show=False, id="events.next_match"),
        Binding("N", "again(1)", "previous match", show=False, id="events.previous_match"),
        Binding("d", "detail", "detail", id="events.detail"),
        Binding("o", "same_record", "this record only", show=False, id="events.same_record"),
        Binding("escape", "back", "back", show=False, id="events.back"),
    ]

    def body(self) -> ComposeResult:
        """Yield the lines to type in, the stream, the detail."""
        yield FilterLine(LEGEND, id="filter")
        yield InputLine("find: the words of a filter; n and N go on", id="find")
        yield Static(id="mistake", classes="mistake", markup=False)
        yield Stream(id="stream")
        yield EventCard(id="card")

    @property
    def stream(self) -> Stream:
        """The stream of events."""
        return self.query_one(Stream)

    def action_filter(self) -> None:
        """Open the filter line; it takes effect while typing."""
        self.query_one("#filter", InputLine).open()

    def action_find(self) -> None:
        """Open the search line."""
        self.query_one("#find", InputLine).open("")

    def only(self, words: str) -> None:
        """Show only entries that pass these filter words."""
        box = self.query_one("#filter", InputLine)
        box.value = words
        box.set_class(bool(words), "-open")
        self.stream.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply the filter; a mistake is explained, and the last good filter stays in force."""
        mistake = self.query_one("#mistake", Static)
        try:
            chosen = parse(event.value)
        except FilterMistake as error:
            mistake.update(clean(str(error)))
            mistake.add_class("-said")
            return
        mistake.remove_class("-said")
        if event.input.id == "filter":
            self.stream.set_filter(chosen)
        else:
            self.stream.wanted_line = chosen

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the stream, or to the newest match."""
        self.stream.focus()
        if event.input.id == "find":
            self.query_one("#find", InputLine).remove_class("-open")
            self.stream.find(-1)

    def action_again(self, by: int) -> None:
        """Go to the next match: up into the past, or down."""
        self.stream.find(by)

    def on_event_chosen(self, message: EventChosen) -> None:
        """Show the entry in the detail; if opened, its record, or the detail of an entry without one."""
        card = self.query_one(EventCard)
        card.event = message.event
        opened = message.opened and not open_record(self.app, message.event)
        card.set_class(message.event is not None and (opened or card.has_class("-open")), "-open")
        card.tick()

    def action_detail(self) -> None:
        """Show every field of the entry under the cursor, or hide them."""
        card = self.query_one(EventCard)
        if not card.has_class("-open"):
            self.stream.hold()
            card.event = self.stream.chosen
        card.toggle_class("-open")
        card.tick()

    def action_same_record(self) -> None:
        """Show only entries of the record under the cursor."""
        chosen = self.stream.chosen
        if chosen is not None and chosen.id:
            self.only(f"id:{chosen.id[:15]}")
        else:
            self.notify("Choose an entry with a record first: up and down do.", markup=False, timeout=4)

    def action_back(self) -> None:
        """Close the detail, else the filter, else go live, else go to the overview."""
        card, box = self.query_one(EventCard), self.query_one("#filter", FilterLine)
        if card.has_class("-open"):
            card.remove_class("-open")
        elif box.has_class("-open"):
            box.action_close()
        elif self.stream.frozen is not None:
            self.stream.action_follow()
        else:
            self.app.call_later(self.app.run_action, "view('1')")
