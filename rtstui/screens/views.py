"""The views that consist of a few panels: overview, objects, errors, quota."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from rtsd.control.verdict import worst_object
from rtstui import ranges
from rtstui.clean import masked
from rtstui.filter import Filter, parse
from rtstui.messages import EventChosen, RowChosen, RowOpened
from rtstui.screens.dialogs import Reader
from rtstui.screens.view import Leaf, View, open_record
from rtstui.widgets.errors import DeadLetters, ErrorLog, TroubleCard
from rtstui.widgets.objects import ObjectCard, Objects
from rtstui.widgets.quota import Calls, Limits, Quota
from rtstui.widgets.stream import Pulse, Stream
from rtstui.widgets.usage import CallsPlot, QuotaPlot, UsedPlot
from rtstui.widgets.verdicts import BARE

BARE_WIDTH, BARE_HEIGHT = 50, 14
"""Cells below which the overview shows the three answers alone."""


class Overview(View):
    """Objects, events, quota and errors at a glance."""

    HELP = "Everything at a glance: the objects, the newest events, the quota and the errors."
    AUTO_FOCUS = "Stream"
    body_id = "overview"
    LEADS = True
    OPENS = frozenset({"objects", "errors", "letters", "stream"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="overview.filter", key_display="/"),
        Binding("A", "repair", "audit…", show=False, id="overview.repair"),
    ]

    def begin(self) -> None:
        """Follow the events again; the keys stay where they were, as views are opened from here."""
        self.query_one(Stream).action_follow()

    def body(self) -> ComposeResult:
        """Yield the panels; the style sheet places them by width."""
        yield Objects(id="objects")
        yield Stream(id="stream")
        yield Quota(id="quota")
        yield Calls(id="calls")
        yield ErrorLog(id="errors")
        yield DeadLetters(id="letters")
        yield Pulse(id="pulse")

    def on_resize(self, event: events.Resize) -> None:
        """Show the three answers and nothing else where nothing else can be read."""
        width, height = event.size
        self.set_class(width < BARE_WIDTH or height < BARE_HEIGHT, BARE)

    async def action_repair(self) -> None:
        """Audit the object that the first answer names."""
        status = self.query_one(Objects).state.status
        worst = worst_object(status) if status else None
        if worst:
            await self.app.run_action(f"audit(False, {worst.name!r})")
        elif self.query_one(Objects).has_focus:
            await self.app.run_action("audit")
        else:
            self.notify("Nothing differs. tab goes to the objects: A audits the one under the cursor.")

    def action_filter(self) -> None:
        """Open the filter of the table in focus; that of the stream is in the event view."""
        if self.filterable is not None:
            super().action_filter()
        else:
            self.app.call_later(self._filter_events)

    async def _filter_events(self) -> None:
        await self.app.run_action("view('2')")
        self.app.call_later(self.app.run_action, "screen.filter")

    def on_row_opened(self, message: RowOpened) -> None:
        """Open the view of objects or errors."""
        self.app.call_later(self.app.run_action, "view('3')" if message.table == "objects" else "view('4')")

    def on_event_chosen(self, message: EventChosen) -> None:
        """Open the record of an entry, or the event view if it names none."""
        if message.opened and not open_record(self.app, message.event):
            self.app.call_later(self.app.run_action, "view('2')")


class ObjectsView(Leaf):
    """Every object, the chosen one in full, and its events if there is room."""

    HELP = (
        "Each mirrored object: its state, rows, completeness, freshness, and the findings of its last check."
    )
    AUTO_FOCUS = "Objects"
    body_id = "objects-view"
    OPENS = frozenset({"objects"})

    def body(self) -> ComposeResult:
        """Yield the table, the card, the events."""
        yield Objects(id="objects")
        yield ObjectCard(id="object-card")
        yield Stream(id="its-events")

    def on_row_opened(self, message: RowOpened) -> None:
        """Show the object's events."""
        self.app.call_later(self.app.run_action, f"events_of({message.key!r})")

    def on_row_chosen(self, message: RowChosen) -> None:
        """Show the object under the cursor in full."""
        card = self.query_one(ObjectCard)
        card.chosen = message.key
        card.tick()
        self.query_one(Stream).set_filter(
            parse(f"obj:{message.key}", card.state.now()) if message.key else Filter()
        )


class Errors(Leaf):
    """The error log and the dead letters."""

    HELP = (
        "The error log, and the dead letters: changes that could not be applied, with the reason. "
        "Enter opens the record that a row names, if it is mirrored, or the whole reason."
    )
    AUTO_FOCUS = "ErrorLog"
    body_id = "errors-view"
    OPENS = frozenset({"errors", "letters"})

    def body(self) -> ComposeResult:
        """Yield the log, the letters, the chosen row in full."""
        yield ErrorLog(id="errors")
        yield DeadLetters(id="letters")
        yield TroubleCard(id="trouble-card")

    _placed = False

    def begin(self) -> None:
        """Begin at the list that has rows."""
        super().begin()
        self._placed = False

    def prepare(self) -> None:
        """Go to the letters if these are the first rows there are."""
        log, letters = self.query_one(ErrorLog), self.query_one(DeadLetters)
        if self._placed or self.app.focused is not log:
            return
        self._placed = bool(log.keys() or letters.keys())
        if letters.keys() and not log.keys():
            letters.focus()

    def on_row_chosen(self, message: RowChosen) -> None:
        """Show the row under the cursor in full."""
        table = self.query_one(f"#{message.table}")
        if not table.has_focus:
            return
        if isinstance(table, ErrorLog | DeadLetters):
            self.query_one(TroubleCard).show(table, message.key)

    def on_row_opened(self, message: RowOpened) -> None:
        """Open the record that the row names, else its whole text."""
        table = self.query_one(f"#{message.table}")
        if not isinstance(table, ErrorLog | DeadLetters):
            return
        found, status = table.find(message.key), table.state.status
        if found is None:
            return
        is_mirrored = status is not None and any(item.name == found.object for item in status.objects)
        if not is_mirrored or not open_record(self.app, found):
            said = masked(found.message) if table.masking else found.message
            self.app.push_screen(Reader(f"{found.object or 'No object'} · {message.key}", [((said, ""),)]))


class QuotaView(Leaf):
    """The org's daily limits: who uses them, and how long they last."""

    HELP = (
        "The org's daily limits: used by rtsd, by others, left; and when one runs out at the present rate. "
        "The plots show the limit under the cursor, and our own calls by purpose."
    )
    AUTO_FOCUS = "Limits"
    body_id = "quota-view"
    VERTICAL_BREAKPOINTS = [*View.VERTICAL_BREAKPOINTS, (40, "-high")]  # noqa: RUF012 (declared so by Textual)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "hours", "24 h or 7 days", id="quota.hours"),
    ]

    def body(self) -> ComposeResult:
        """Yield the limits, their use over time, our calls by purpose and by hour."""
        yield Limits(id="limits")
        yield UsedPlot(id="used-plot")
        yield Calls(id="calls")
        yield CallsPlot(id="calls-plot")

    def on_row_chosen(self, message: RowChosen) -> None:
        """Plot the limit under the cursor."""
        plot = self.query_one(UsedPlot)
        plot.chosen = message.key
        plot.tick()

    def action_hours(self) -> None:
        """Show a day, or a week."""
        for plot in self.query(QuotaPlot):
            plot.hours = ranges.other(plot.hours)
        self.tick()
