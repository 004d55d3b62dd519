"""The screen before the first status of a daemon: the state of the connection and what to do."""

from __future__ import annotations

from rtsd.core.figures import span
from rtstui.format import wrap
from rtstui.meaning import LINKS
from rtstui.rows import Row
from rtstui.state import Phase
from rtstui.widgets.panel import Panel


class Welcome(Panel):
    """The state of the connection in sentences, and the next steps."""

    DATED = False

    def titles(self) -> tuple[str, str]:
        """The keys that work here."""
        return "Welcome to rtstui", "r try now · ? help · q quit"

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The attempt, its outcome, the remedy, the next steps."""
        link = self.state.link
        sign = LINKS[link.phase]
        rows: list[Row] = [
            (),
            (("rtstui shows what rtsd does: Salesforce changes on their way to the mirror.", ""),),
            (),
            ((f"{sign.text}  ", sign.role), (self.state.socket, "bold")),
            (),
        ]
        if link.phase is Phase.CONNECTING:
            waited = (self.state.now() - link.since).total_seconds() if link.since else 0.0
            rows.append(((f"Asking rtsd for its status… {span(waited)}", ""),))
        rows += [((line, ""),) for line in wrap(link.message, width - 2)]
        rows += [((line, "accent"),) for line in wrap(link.do, width - 2)]
        rows += self._retry()
        rows += [
            (),
            (("Next steps", "bold"),),
            *(((f"  {number} ", "dim"), (text, "")) for number, text in enumerate(_STEPS, start=1)),
            (),
            (
                ("Just looking around?  ", ""),
                ("rtsd demo", "accent"),
                (" starts an org, rtsd and this dashboard.", ""),
            ),
        ]
        return rows

    def _retry(self) -> list[Row]:
        link = self.state.link
        if link.retry_at is None:
            return []
        left = (link.retry_at - self.state.now()).total_seconds()
        when = f"in {span(left)}" if left >= 1 else "now"
        return [
            (),
            (
                (f"Attempt {link.attempt} failed. Next try {when}; ", "dim"),
                ("r", "bold"),
                (" tries now.", "dim"),
            ),
        ]


_STEPS = (
    "rtsd answers here (`rtsd check` checks its configuration)",
    "rtsd logs in to Salesforce and reads the objects' fields",
    "the first full read fills the mirror through the Bulk API",
    "the Salesforce package pushes changes; quiet times cost no API call",
)
