"""The error log and the dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from rtsd.control.protocol import DeadLetter, ErrorEntry
from rtsd.core.figures import age, count, day_clock
from rtsd.core.plural import plural
from rtstui.clean import masked
from rtstui.format import fit, right, wrap
from rtstui.rows import Row
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table

NARROW = 60
"""Width in cells below which only the essential columns are shown."""


class ErrorLog(Table):
    """The errors, newest last."""

    NEWEST_LAST = True

    def _entries(self) -> dict[str, ErrorEntry]:
        return {str(entry.seq): entry for entry in reversed(self.state.errors or ())}

    def find(self, key: str | None) -> ErrorEntry | None:
        """The error of a row."""
        return self._entries().get(key or "")

    def keys(self) -> Sequence[str]:
        """The entries' numbers."""
        return list(self._entries())

    def empty(self) -> str:
        """There are none, or they cannot be read."""
        state = self.state
        if state.errors is None:
            return (
                f"The error log cannot be read: {state.log_error}" if state.log_error else "Waiting for rtsd…"
            )
        return "✔ No errors."

    def titles(self) -> tuple[str, str]:
        """The number of errors in 24 hours, and of dead letters."""
        state = self.state
        below = f"{plural(state.status.errors_24h, 'error')} in 24 h" if state.status else ""
        letters = state.status.dead_letters if state.status else 0
        above = self.dated("Errors") if self.keys() and self.size.width >= NARROW else "Errors"
        return above, f"{below} · {plural(letters, 'dead letter')}" if letters else below

    def _when(self, at: str, *, wide: bool) -> str:
        """Return the age of an error, or its time, with the date of an older day."""
        now = self.state.now()
        if self.ages or not wide:
            return f"{age(at, now):>4} "
        return f"{day_clock(at, now, zone=False):>11} "

    def row(self, key: str, width: int) -> Row:
        """One error: time, kind, count, object, message."""
        entry = self._entries()[key]
        times = f"{count(entry.count)}x" if entry.count > 1 else ""
        name = f"{entry.object} " if entry.object else ""
        wide = width >= NARROW
        return (
            (self._when(entry.at, wide=wide), "dim"),
            ("✖ ", "error"),
            (fit(entry.error, 20) + " " if wide else f"{entry.error} ", "error"),
            (right(times, 5) + " " if wide else f"{times} " if times else "", "bold"),
            (name, "bold"),
            (masked(entry.message) if self.masking else entry.message, ""),
        )


class DeadLetters(Table):
    """The dead letters, newest last; several can be chosen to be retried or dropped together."""

    NEWEST_LAST = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pick", "choose", id="dead.pick"),
        Binding("a", "pick_all", "all", id="dead.pick_all"),
        Binding("R", "app.retry", "retry…", id="dead.retry"),
        Binding("D", "app.drop", "drop…", id="dead.drop"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.picked: set[str] = set()

    def _letters(self) -> dict[str, DeadLetter]:
        return {str(letter.id): letter for letter in reversed(self.state.dead_letters or ())}

    def find(self, key: str | None) -> DeadLetter | None:
        """The dead letter of a row."""
        return self._letters().get(key or "")

    def keys(self) -> Sequence[str]:
        """The letters' ids."""
        return list(self._letters())

    def targets(self) -> list[int]:
        """The letters that an action takes: the chosen ones, else the one under the cursor."""
        picked = [int(key) for key in self.keys() if key in self.picked]
        return picked or ([int(self.cursor)] if self.cursor is not None else [])

    def empty(self) -> str:
        """There are none, or they are not read yet."""
        if self.state.dead_letters is None:
            return "" if self.state.log_error else "Waiting for rtsd…"
        return "✔ None. Pushes that cannot be applied stay here until they are retried or dropped."

    def titles(self) -> tuple[str, str]:
        """The number of letters, and of chosen ones."""
        letters = self._letters()
        chosen = len(self.picked & set(letters))
        below = f"{chosen} of {len(letters)} chosen" if chosen else plural(len(letters), "dead letter")
        return "Dead letters", below

    def header(self, width: int) -> Row | None:
        """The columns' names, if there are rows."""
        if not self._letters():
            return None
        if width < NARROW:
            return ((f"{'':4}{'ID':>6}  {'OBJECT':<10} REASON", "head"),)
        return ((f"{'':4}{'ID':>6}  {'OBJECT':<14} {'RECORD':<18} {'TRIES':>5} {'AGE':>4}  REASON", "head"),)

    def row(self, key: str, width: int) -> Row:
        """One letter; a narrow panel leaves out record, tries and age."""
        letter = self._letters()[key]
        picked = key in self.picked
        first: Row = (
            ("[x] " if picked else "[ ] ", "accent" if picked else "dim"),
            (right(key, 6) + "  ", ""),
            (fit(letter.object or "", 10 if width < NARROW else 14) + " ", "bold"),
        )
        said = masked(letter.message) if self.masking else letter.message
        last: Row = ((f"{letter.reason}: ", "error"), (said, ""))
        if width < NARROW:
            return first + last
        return (
            *first,
            (fit(letter.record or "", 18) + " ", "dim"),
            (right(str(letter.attempts), 5) + " ", ""),
            (right(age(letter.at, self.state.now()), 4) + "  ", "dim"),
            *last,
        )

    def action_pick(self) -> None:
        """Choose the row, or undo that, and go to the older one."""
        if self.cursor is not None:
            self.picked ^= {self.cursor}
            self.action_move(-1)

    def action_pick_all(self) -> None:
        """Choose all rows that pass the filter, or none of them if all are chosen."""
        keys = set(self.shown())
        self.picked = self.picked - keys if keys <= self.picked else self.picked | keys
        self.tick()


class TroubleCard(Panel):
    """The chosen error or dead letter in full."""

    chosen: ErrorEntry | DeadLetter | None = None

    def titles(self) -> tuple[str, str]:
        """The error's name, or the letter's id and reason."""
        if isinstance(self.chosen, ErrorEntry):
            return self.chosen.error, ""
        return (f"Dead letter {self.chosen.id}: {self.chosen.reason}", "") if self.chosen else ("Detail", "")

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Its facts, and the whole message."""
        if self.chosen is None:
            return [(("Choose a row above: its whole text is shown here.", "dim"),)]
        about = [day_clock(self.chosen.at, self.state.now()), self.chosen.object or "no object"]
        if isinstance(self.chosen, DeadLetter):
            about += [self.chosen.record or "no record", plural(self.chosen.attempts, "try")]
        elif self.chosen.count > 1:
            about.append(f"{count(self.chosen.count)} times")
        rows: list[Row] = [((" · ".join(about), "dim"),)]
        said = masked(self.chosen.message) if self.masking else self.chosen.message
        return rows + [((line, ""),) for line in wrap(said, width)]
