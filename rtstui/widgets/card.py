"""One entry of the journal in full."""

from __future__ import annotations

import msgspec

from rtsd.control.protocol import Event
from rtstui.clean import clean
from rtstui.format import clock, millis, wrap
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
        if event.changed:
            names = wrap(", ".join(event.changed), max(10, width - 15))
            rows += [
                (("changed        " if at == 0 else " " * 15, "dim"), (line, ""))
                for at, line in enumerate(names)
            ]
        rows += [((line, ""),) for line in wrap(event.message or "", width)]
        for name, value in (event.detail or {}).items():
            text = value if isinstance(value, str) else clean(msgspec.json.encode(value).decode())
            rows.append(((f"{name}  ", "dim"), (text, "")))
        return rows
