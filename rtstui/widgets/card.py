"""One entry of the journal in full."""

from __future__ import annotations

import msgspec

from rtsd.control.protocol import Event
from rtsd.core.figures import clock, millis
from rtstui.clean import clean, masked
from rtstui.event_row import changes
from rtstui.format import wrap
from rtstui.meaning import tag, veiled
from rtstui.rows import Row
from rtstui.widgets.panel import Panel


class EventCard(Panel):
    """The chosen entry with all its fields."""

    event: Event | None = None

    def titles(self) -> tuple[str, str]:
        """Its number and time."""
        if self.event is None:
            return "Event", ""
        return (
            f"Event {self.event.seq} · {clock(self.event.at, millis=True)}",
            "Y copies it as JSON · esc closes",
        )

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """A line or more for each field."""
        event = None if self.event is None else veiled(self.event, mask=self.masking)
        if event is None:
            return [(("No entry chosen.", "dim"),)]
        sign = tag(event)
        rows: list[Row] = [
            (
                (f"{sign.word}  ", sign.role),
                (f"{event.object or ''} ", "bold"),
                (f"{event.id or ''}  ", ""),
                (f"{event.op or ''}  ", ""),
                (event.outcome or "", "dim"),
            )
        ]
        if event.latency_ms is not None:
            rows.append((("arrived after  ", "dim"), (millis(event.latency_ms), "")))
        rows += self._changed(event, max(10, width - 15))
        rows += [((line, ""),) for line in wrap(event.message or "", width)]
        for name, value in (event.detail or {}).items():
            text = value if isinstance(value, str) else clean(msgspec.json.encode(value).decode())
            rows.append(((f"{name}  ", "dim"), (text, "")))
        return rows

    def _changed(self, event: Event, width: int) -> list[Row]:
        """Return the record's name, its changed fields, with values if they are known, and the editor."""
        values = self.state.values.get(event.seq)
        said: list[tuple[str, str]] = []
        if values is not None and values.name:
            said.append(("record", masked(values.name) if self.masking else values.name))
        if values is not None and values.changed:
            texts = changes(values, mask=self.masking)
            said += [("" if at else "changed", text) for at, text in enumerate(texts)]
        elif event.changed:
            said.append(("changed", ", ".join(event.changed)))
        if values is not None and values.by:
            said.append(("edited by", values.by))
        return [
            ((f"{'' if at else label:<15}", "dim"), (line, ""))
            for label, text in said
            for at, line in enumerate(wrap(text, width))
        ]
