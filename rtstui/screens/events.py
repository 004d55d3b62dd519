"""The event view: the stream with a filter, a search, and the chosen entry in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from rtsd.control.protocol import Event
from rtsd.core.figures import day_clock
from rtsd.errors import RtsError
from rtstui.clean import clean, scrub
from rtstui.filter import LEGEND, Filter, FilterMistake, parse
from rtstui.journal_page import page_from
from rtstui.messages import EventChosen
from rtstui.screens.view import View, open_record
from rtstui.typed_moment import EXAMPLES, on_wire, typed_moment
from rtstui.widgets.card import EventCard
from rtstui.widgets.prompt import FilterLine, InputLine
from rtstui.widgets.stream import Stream

if TYPE_CHECKING:
    from rtstui.operator_app import OperatorApp


class Events(View):
    """The journal, live."""

    HELP = (
        "The journal, live. Any move upwards freezes the view, never the sync. / shows only entries that "
        "pass, f searches and hides nothing, T goes to a time. The first two know: " + LEGEND
    )
    AUTO_FOCUS = "Stream"
    body_id = "events-view"
    OPENS = frozenset({"stream"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="events.filter", key_display="/"),
        Binding("f", "find", "find", id="events.find"),
        Binding("n", "again(-1)", "next match", show=False, id="events.next_match"),
        Binding("N", "again(1)", "previous match", show=False, id="events.previous_match"),
        Binding("T", "time", "go to a time", id="events.time"),
        Binding("d", "detail", "detail", id="events.detail"),
        Binding("o", "same_record", "this record only", show=False, id="events.same_record"),
        Binding("escape", "back", "back", show=False, id="events.back"),
    ]

    def body(self) -> ComposeResult:
        """Yield the lines to type in, the stream, the detail."""
        yield FilterLine(LEGEND, id="filter")
        yield InputLine("find: the words of a filter; n and N go on", id="find")
        yield InputLine(f"go to a time: {EXAMPLES}", id="time")
        yield Static(id="mistake", classes="mistake", markup=False)
        yield Stream(id="stream")
        yield EventCard(id="card")

    def begin(self) -> None:
        """Follow the newest again."""
        super().begin()
        self.stream.action_follow()

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

    def action_time(self) -> None:
        """Open the line to type a time."""
        self.query_one("#time", InputLine).open("")

    def only(self, words: str) -> None:
        """Show only entries that pass these filter words."""
        box = self.query_one("#filter", InputLine)
        box.value = words
        box.set_class(bool(words), "-open")
        self.stream.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Apply the filter; a mistake is explained, and the last good filter stays in force."""
        chosen = Filter()
        try:
            if event.input.id != "time":
                chosen = parse(event.value, self.stream.state.now())
        except FilterMistake as error:
            self._explain(str(error))
            return
        self._explain("")
        if event.input.id == "filter":
            self.stream.set_filter(chosen)
        elif event.input.id == "find":
            self.stream.wanted_line = chosen

    def _explain(self, mistake: str) -> None:
        """Show a mistake under the line, or nothing."""
        box = self.query_one("#mistake", Static)
        box.update(clean(mistake))
        box.set_class(bool(mistake), "-said")

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Take away a mistake with the line that it is about; the filter stays in sight with its own."""
        if event.widget.id in ("find", "time"):
            self._explain("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the stream, to the newest match, or to a time."""
        if event.input.id == "time":
            self._go_to(event.value)
            return
        self.stream.focus()
        if event.input.id == "find":
            self.query_one("#find", InputLine).remove_class("-open")
            self.stream.find(-1)

    def _go_to(self, text: str) -> None:
        """Go to a time that was typed; what is older than the entries kept here is loaded."""
        stream = self.stream
        try:
            at = on_wire(typed_moment(text, stream.state.now()))
        except ValueError as error:
            self._explain(str(error))
            return
        self.query_one("#time", InputLine).close()
        stream.focus()
        if stream.jump(at):
            return
        if stream.state.live:
            self.run_worker(self._load_from(at), group="act", exclusive=True)
        else:
            stream.action_oldest()
            self._say(f"{self._reach()} rtsd is not connected: older ones can be loaded when it is back.")

    async def _load_from(self, at: str) -> None:
        """Show the journal from a moment on, as far back as rtsd has it."""
        stream, client = self.stream, cast("OperatorApp", self.app).client
        try:
            page = await page_from(client, at, stream.state.newest)
        except RtsError as error:
            self._say(f"{self._reach()} Older ones cannot be loaded: {error}")
            return
        stream.show_past([scrub(event) for event in page.entries], at)
        if not page.has_older:
            begin = day_clock(page.entries[0].at, stream.state.now())
            self._say(f"The journal begins at {begin}; [store] journal_keep says how long it is kept.")

    def _reach(self) -> str:
        oldest = next((line for line in self.stream.state.ring if isinstance(line, Event)), None)
        at = day_clock(oldest.at if oldest else None, self.stream.state.now())
        return f"The entries here reach back to {at}; `rtsd events` prints all of them."

    def _say(self, text: str) -> None:
        self.notify(clean(text), markup=False, timeout=8)

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
        """Close the detail, else the filter, else go live, else go to the view before."""
        card, box = self.query_one(EventCard), self.query_one("#filter", FilterLine)
        if card.has_class("-open"):
            card.remove_class("-open")
        elif box.has_class("-open"):
            box.action_close()
        elif self.stream.frozen is not None:
            self.stream.action_follow()
        else:
            self.app.call_later(self.app.run_action, "leave_view")
