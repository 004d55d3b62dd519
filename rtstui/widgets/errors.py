"""The error log and the dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from rtsd.control.protocol import DeadLetter, ErrorEntry
from rtsd.core.dead_letter import explanation
from rtsd.core.figures import age, count, day_clock
from rtsd.core.plural import plural
from rtstui.clean import masked
from rtstui.format import block, fit, right, wrap
from rtstui.rows import Row, Span
from rtstui.widgets.panel import SEPARATOR, Panel
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
        return f"▲ No errors, but {letters}." if (letters := self._unapplied()) else "✔ No errors."

    def empty_role(self) -> str:
        """That of a warning while changes were not applied."""
        return "warn" if self._unapplied() and self.state.errors is not None else super().empty_role()

    def _unapplied(self) -> str:
        """Return how many dead letters there are; nothing if there are none."""
        letters = self.state.status.dead_letters if self.state.status else 0
        return plural(letters, "dead letter") if letters else ""

    def titles(self) -> tuple[str, str]:
        """The number of errors in 24 hours, and of dead letters."""
        state = self.state
        below = f"{plural(state.status.errors_24h, 'error')} in 24 h" if state.status else ""
        above = self.dated("Errors") if self.keys() and self.size.width >= NARROW else "Errors"
        return above, SEPARATOR.join(filter(None, (below, self._unapplied())))

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
        Binding("R", "app.retry", "retry…", id="dead.retry"),
        Binding("D", "app.drop", "drop…", id="dead.drop"),
        Binding("space", "pick", "choose", id="dead.pick"),
        Binding("a", "pick_all", "all", id="dead.pick_all"),
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
            number, name = self._widths()
            return ((f"{'':4}{'ID':>{number}} {'AGE':>4}  {fit('OBJECT', name)} REASON", "head"),)
        return ((f"{'':4}{'ID':>6}  {'OBJECT':<14} {'RECORD':<18} {'TRIES':>5} {'AGE':>4}  REASON", "head"),)

    def row(self, key: str, width: int) -> Row:
        """One letter; a narrow panel leaves out record and tries."""
        letter = self._letters()[key]
        picked = key in self.picked
        box: Span = ("[x] " if picked else "[ ] ", "accent" if picked else "dim")
        when: Span = (right(age(letter.at, self.state.now()), 4) + "  ", "dim")
        last: Row = ((f"{letter.reason}: ", "error"), (self._message(letter), ""))
        if width < NARROW:
            number, name = self._widths()
            return (
                box,
                (right(key, number) + " ", ""),
                when,
                (fit(letter.object or "", name) + " ", "bold"),
                *last,
            )
        return (
            box,
            (right(key, 6) + "  ", ""),
            (fit(letter.object or "", 14) + " ", "bold"),
            (fit(letter.record or "", 18) + " ", "dim"),
            (right(str(letter.attempts), 5) + " ", ""),
            when,
            *last,
        )

    def paint(self, width: int, height: int) -> list[Row]:
        """The rows; in a narrow panel with room below them, also the whole message of the chosen one."""
        rows, letter = super().paint(width, height), self.find(self.cursor)
        if letter is None or width >= NARROW:
            return rows
        said = block(self._message(letter), width - 4, height - len(rows))
        return [*rows, *(((f"    {line}", "dim"),) for line in said)]

    def _widths(self) -> tuple[int, int]:
        """Return the cells that a narrow panel gives to ids and to objects."""
        letters = self._letters()
        names = (len(letter.object or "") for letter in letters.values())
        return max(2, *map(len, letters)), min(10, max(6, *names))

    def _message(self, letter: DeadLetter) -> str:
        return masked(letter.message) if self.masking else letter.message

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

    _table: ErrorLog | DeadLetters | None = None
    _key: str | None = None

    def show(self, table: ErrorLog | DeadLetters, key: str | None) -> None:
        """Show a row of a table, as it is now: a retry changes it."""
        self._table, self._key = table, key
        self.tick()

    @property
    def chosen(self) -> ErrorEntry | DeadLetter | None:
        """The error or the dead letter; None without a row, or when it is gone."""
        return self._table.find(self._key) if self._table is not None else None

    def titles(self) -> tuple[str, str]:
        """The error's name, or the letter's id and reason."""
        chosen = self.chosen
        if isinstance(chosen, ErrorEntry):
            return chosen.error, ""
        return (f"Dead letter {chosen.id}: {chosen.reason}", "") if chosen else ("Detail", "")

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Its facts, and the whole message."""
        chosen = self.chosen
        if chosen is None:
            return [(("Choose a row above: its whole text is shown here.", "dim"),)]
        about = _facts(chosen, self.state.now())
        said = masked(chosen.message) if self.masking else chosen.message
        rows: list[Row] = [((line, "dim"),) for line in wrap(SEPARATOR.join(about), width)]
        rows += [((line, ""),) for line in wrap(said, width)]
        if isinstance(chosen, DeadLetter):
            do = explanation(chosen.reason, chosen.object).do
            rows += [((line, "accent"),) for line in wrap(do, width)]
        return rows


def _facts(chosen: ErrorEntry | DeadLetter, now: datetime) -> list[str]:
    """Return when it was, what it is about, how often; of a letter the time of the loss, and the last try."""
    when = day_clock(chosen.at, now, seconds=True)
    if isinstance(chosen, ErrorEntry):
        times = [f"{count(chosen.count)} times"] if chosen.count > 1 else []
        return [when, chosen.object or "no object", *times]
    last = f", the last {day_clock(chosen.tried_at, now, seconds=True)}" if chosen.tried_at else ""
    tries = plural(chosen.attempts, "try") + last
    return [f"lost {when}", chosen.object or "no object", chosen.record or "no record", tries]
