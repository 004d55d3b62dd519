"""The live event stream: newest wins, the view can be frozen, entries that are not shown are counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import dropwhile, islice
from typing import ClassVar

import msgspec
from textual import events
from textual.binding import Binding, BindingType

from rtsd.control.protocol import Event
from rtsd.core.figures import UNKNOWN, clock, count, per_second, short, span
from rtstui.event_row import NAMED_FROM, WIDE, RowStyle, event_row
from rtstui.filter import Filter
from rtstui.format import spark
from rtstui.meaning import TROUBLE_TYPES, veiled
from rtstui.messages import EventChosen
from rtstui.rows import Row, plain
from rtstui.state import RATE_SECONDS, RING, Gap, Line
from rtstui.widgets.panel import Panel

READ_S = 2.0
"""Seconds that a row stays in sight at least if its values are asked for: it could not be read otherwise."""


class Stream(Panel, can_focus=True):
    """The journal's newest entries. Any move upwards freezes the view; nothing is lost meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "freeze", "freeze", id="events.freeze"),
        Binding("up,k", "move(-1)", "older", show=False, id="events.up"),
        Binding("down,j", "move(1)", "newer", show=False, id="events.down"),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False, id="events.page_up"),
        Binding("pagedown,ctrl+d", "page(1)", "page down", show=False, id="events.page_down"),
        Binding("home,g", "oldest", "oldest kept", show=False, id="events.oldest"),
        Binding("end,G", "follow", "newest, live again", show=False, id="events.follow"),
        Binding(
            "left_square_bracket", "trouble(-1)", "previous error", show=False, id="events.previous_error"
        ),
        Binding("right_square_bracket", "trouble(1)", "next error", show=False, id="events.next_error"),
        Binding("enter", "open", "open", id="events.open", key_display="enter"),
        Binding("y", "copy", "copy the line", show=False, id="events.copy"),
        Binding("Y", "copy(True)", "copy as JSON", show=False, id="events.copy_json"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.filter = Filter()
        self.wanted_line = Filter()
        """The filter of `find`."""
        self.frozen: list[Line] | None = None
        self.frozen_at: datetime | None = None
        self.cursor = 0
        """Index into `frozen`."""
        self._top = 0
        self._matching: deque[Line] = deque(maxlen=RING)
        self._taken = 0
        self._frozen_from = 0

    # -- what there is ---------------------------------------------------------------------------

    def set_filter(self, chosen: Filter) -> None:
        """Show only entries that pass, those in the ring first."""
        self.filter = chosen
        self._matching.clear()
        self._taken = 0
        self._thaw()
        self.tick()

    def tick(self) -> None:
        """Take in new entries, then paint."""
        state = self.state
        if self.filter:
            if state.appended < self._taken:
                self._matching.clear()
                self._taken = 0
            new = min(state.appended - self._taken, len(state.ring))
            passing = (line for line in islice(state.ring, len(state.ring) - new, None) if self._passes(line))
            self._matching.extend(passing)
        self._taken = state.appended
        super().tick()

    @property
    def lines(self) -> Sequence[Line]:
        """The entries that pass the filter, oldest first."""
        if self.frozen is not None:
            return self.frozen
        return self._matching if self.filter else self.state.ring

    def _passes(self, line: Line) -> bool:
        return isinstance(line, Event) and self.filter(line)

    # -- how it looks ----------------------------------------------------------------------------

    def titles(self) -> tuple[str, str]:
        """The filter above; below: live or frozen, and the number of entries out of sight."""
        above = self.dated("Events") + (f" · {self.filter.text}" if self.filter else "")
        state = self.state
        if self.frozen is not None and self.frozen_at is not None:
            new = state.newest - self._frozen_from
            place = f"{count(self.cursor + 1)} of {count(len(self.frozen))}"
            at = clock(self.frozen_at.isoformat())
            return above, f"‖ FROZEN {at} · {place} · {count(new)} new · space goes on"
        if not state.live:
            return above, "✖ not live"
        shown = min(self.size.height, len(self.lines))
        of = f"{count(len(self.lines))} match" if self.filter else count(state.newest)
        missing = f" · {short(state.unshown)} not shown" if state.unshown else ""
        return (
            above,
            f"▶ following · newest {shown} of {of} · {per_second(state.rate())}/s{missing}",
        )

    def paint(self, width: int, height: int) -> list[Row]:
        """Return the newest rows, the newest at the bottom, or the frozen page."""
        lines = self.lines
        if not lines:
            return [((self._empty(), "dim"),)]
        if self.frozen is not None:
            # The panel may have shrunk since the cursor moved: the detail opens below it. Or it has grown.
            last = max(0, len(self.frozen) - height)
            self._top = max(self.cursor - height + 1, min(self._top, self.cursor, last))
            focus = self.cursor - self._top
            rows = self._page(self.frozen[self._top : self._top + height], width)
            return [_marked(row) if y == focus else row for y, row in enumerate(rows)]
        return self._page(list(islice(reversed(lines), height))[::-1], width)

    def _page(self, page: Sequence[Line], width: int) -> list[Row]:
        """Return the rows of a page, and ask for the values of its changes if it can be read."""
        applied = [
            line.seq
            for line in page
            if isinstance(line, Event) and line.type == "change" and line.outcome == "applied"
        ]
        stays = self.state.rate() * READ_S <= self.size.height
        if self.frozen is not None or (width >= WIDE and stays):
            self.look_up(applied)
        known = (self.state.values.get(seq) for seq in applied)
        named = width >= NAMED_FROM and any(values is not None and values.name for values in known)
        style = RowStyle(width, self.state.now() if self.ages else None, mask=self.masking, named=named)
        return [self._row(line, style) for line in page]

    def _row(self, line: Line, style: RowStyle) -> Row:
        if not isinstance(line, Event):
            return event_row(line, style)
        return event_row(veiled(line, mask=style.mask), style, self.state.values.get(line.seq))

    def _empty(self) -> str:
        if self.filter:
            return f"0 of {count(len(self.state.ring))} match. esc clears the filter."
        status = self.state.status
        if status is None:
            return "Waiting for rtsd…"
        return "No events yet. Changes in Salesforce appear here as they arrive."

    @property
    def flows(self) -> bool:
        """Only frozen text can be selected."""
        return self.frozen is None and self.state.live

    # -- moving ----------------------------------------------------------------------------------

    def _freeze(self) -> list[Line]:
        if self.frozen is None:
            self.frozen = list(self.lines)
            self.frozen_at = self.state.now()
            self._frozen_from = self.state.newest
            self.cursor = max(0, len(self.frozen) - 1)
            self._top = max(0, len(self.frozen) - max(1, self.size.height))
        return self.frozen

    def _thaw(self) -> None:
        if self.frozen is not None:
            self.frozen = self.frozen_at = None
            self.post_message(EventChosen(None))

    def _go(self, index: int) -> None:
        lines = self._freeze()
        self.cursor = max(0, min(index, len(lines) - 1))
        self.post_message(EventChosen(self.chosen))
        self.tick()

    @property
    def chosen(self) -> Event | None:
        """The entry under the cursor, while frozen."""
        if not self.frozen:
            return None
        line = self.frozen[self.cursor]
        return line if isinstance(line, Event) else None

    def action_freeze(self) -> None:
        """Freeze the view, or go live again."""
        if self.frozen is None:
            self._go(len(self.lines) - 1)
        else:
            self.action_follow()

    def action_follow(self) -> None:
        """Go live: show the newest entries as they come."""
        self._thaw()
        self.tick()

    def action_move(self, by: int) -> None:
        """Move the cursor; the first move freezes."""
        if self.frozen is None and by > 0:
            return
        self._freeze()
        self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move by a screen."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_oldest(self) -> None:
        """Go to the oldest entry in the ring."""
        self._freeze()
        self._go(0)

    def action_trouble(self, by: int) -> None:
        """Go to the next entry about trouble."""
        self._seek(by, lambda event: event.type in TROUBLE_TYPES, "No more errors this way.")

    def jump(self, at: str) -> bool:
        """Go to the first entry at or after a moment of the wire; False if that may be one not here."""
        lines = self.lines
        place = _first_from(lines, at)
        if place is None:
            self.notify(f"Nothing has happened since {clock(at)}.", markup=False, timeout=4)
        elif self._is_first(lines, place, at):
            self._go(place)
        else:
            return False
        return True

    def _is_first(self, lines: Sequence[Line], place: int, at: str) -> bool:
        """Return whether no entry between a moment and the one at this place is left out."""
        if place > 0:
            return isinstance(lines[place - 1], Event)
        oldest = self.state.ring[0]
        return isinstance(oldest, Event) and (oldest.seq <= 1 or oldest.at < at)

    def show_past(self, page: Sequence[Event], at: str) -> None:
        """Freeze the view on a page of the journal, followed by the entries that are kept."""
        last = page[-1].seq
        kept = list(dropwhile(lambda line: isinstance(line, Gap) or line.seq <= last, self.state.ring))
        between = (kept[0].seq if kept and isinstance(kept[0], Event) else self.state.newest + 1) - last - 1
        lines: list[Line] = [*page, *([Gap(between, unloaded=True)] if between > 0 else ()), *kept]
        passing = [line for line in lines if not self.filter or isinstance(line, Gap) or self.filter(line)]
        self._freeze()
        self.frozen = passing
        self._go(_first_from(passing, at) or 0)

    def find(self, by: int) -> None:
        """Go to the next entry that matches the search."""
        if self.wanted_line:
            self._seek(by, self.wanted_line, f"No more of {self.wanted_line.text} this way.")
        else:
            self.notify("There is nothing to find yet: f searches.", markup=False, timeout=4)

    def _seek(self, by: int, wanted: Callable[[Event], bool], none: str) -> None:
        beyond = self.frozen is None and by < 0
        lines = self._freeze()
        index = self.cursor + (0 if beyond else by)
        while 0 <= index < len(lines):
            line = lines[index]
            if isinstance(line, Event) and wanted(line):
                self._go(index)
                return
            index += by
        self.notify(none, markup=False, timeout=2)
        self.tick()

    def hold(self) -> None:
        """Freeze, with the cursor on the newest entry unless the view is frozen already."""
        self._go(self.cursor if self.frozen is not None else len(self.lines) - 1)

    def action_open(self) -> None:
        """Open the record, or the entry in full."""
        self.hold()
        self.post_message(EventChosen(self.chosen, opened=True))

    def action_copy(self, json: bool = False) -> None:  # noqa: FBT001, FBT002 (an action's parameter)
        """Send the entry under the cursor to the terminal's clipboard."""
        self.hold()
        if self.chosen is not None:
            shown = veiled(self.chosen, mask=self.masking)
            style = RowStyle(1_000, mask=self.masking, named=True)
            text = msgspec.json.encode(shown).decode() if json else plain(self._row(shown, style)).strip()
            self.app.copy_to_clipboard(text)

    def export(self) -> tuple[str, str]:
        """Return every entry that passes the filter, one JSON document per line."""
        lines = [veiled(line, mask=self.masking) for line in self.lines if isinstance(line, Event)]
        return "jsonl", "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls, and scrolling up freezes."""
        event.stop()
        self.action_move(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scrolling past the newest entry goes live."""
        event.stop()
        if self.frozen is not None and self.cursor >= len(self.frozen) - 1:
            self.action_follow()
        else:
            self.action_move(3)

    def on_click(self, event: events.Click) -> None:
        """A double click opens the entry under the pointer."""
        if event.chain == 2 and self.lines:
            shown = min(self.size.height, len(self.lines))
            y = event.get_content_offset(self)
            if y is not None:
                self._freeze()
                self._go(min(self._top + y.y, self._top + shown - 1))
                self.post_message(EventChosen(self.chosen, opened=True))


class Pulse(Panel):
    """Entries per second as a line of blocks. In one style: a colour per block would cost bandwidth."""

    def titles(self) -> tuple[str, str]:
        """The scale: the time it covers, and the highest rate."""
        seconds = min(RATE_SECONDS, self.size.width or RATE_SECONDS)
        top = max(self.state.rates(seconds), default=0.0)
        return "Events per second", f"last {span(seconds)} · highest {short(top)}/s"

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The newest second on the right; nothing while the rate is unknown."""
        if not self.state.live:
            return [((UNKNOWN, "dim"),)]
        return [((spark(self.state.rates(min(width, RATE_SECONDS)), width), "busy"),)]


def _first_from(lines: Sequence[Line], at: str) -> int | None:
    """Return the place of the first entry at or after a moment of the wire."""
    return next(
        (place for place, line in enumerate(lines) if isinstance(line, Event) and line.at >= at), None
    )


def _marked(row: Row) -> Row:
    """Return a row as the cursor shows it."""
    return tuple((text, "cursor") for text, _ in row)
