"""How busy the journal is: entries per second over the last minutes."""

from __future__ import annotations

from rtstui.format import UNKNOWN, short, span, spark
from rtstui.rows import Row
from rtstui.state import RATE_SECONDS
from rtstui.widgets.panel import Panel


class Pulse(Panel):
    """A line of blocks, one per second. In one style: a colour per block would cost bandwidth."""

    def titles(self) -> tuple[str, str]:
        """The scale: how far back and how high."""
        seconds = min(RATE_SECONDS, self.size.width or RATE_SECONDS)
        top = max(self.state.rates(seconds), default=0.0)
        return "Events per second", f"last {span(seconds)} · highest {short(top)}/s"

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The newest on the right; nothing is drawn while the truth is not known."""
        if not self.state.live:
            return [((UNKNOWN, "dim"),)]
        return [((spark(self.state.rates(min(width, RATE_SECONDS)), width), "busy"),)]
