"""Missed pushes: the spells without pushes, as `rtsd missed` lists them, and the changes of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from rtsd.control.protocol import Missed, MissedChange, Spell
from rtsd.core.figures import UNKNOWN, age, count, day_clock, zone_of
from rtsd.core.missed import STILL, outcome, pushes
from rtsd.core.plural import plural
from rtstui import documents, ranges
from rtstui.document_cache import CachedDocument
from rtstui.format import fit, right
from rtstui.meaning import source_sign
from rtstui.rows import Row
from rtstui.widgets.document_table import DocumentTable
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table

NARROW, WIDE = 60, 110
"""Widths in cells from which there is room for the end of a spell, and for its objects."""


class Spells(DocumentTable[Missed, Spell]):
    """One line per spell, the newest last: when, how many changes, whether a push was due, and why."""

    NEWEST_LAST = True
    hours: int = ranges.DAY

    def document(self) -> CachedDocument[Missed]:
        """The spells of the last day or week."""
        since = self.state.now() - timedelta(hours=self.hours)
        return self.load(documents.missed(self.hours, since.isoformat(timespec="seconds")))

    def entries_of(self, value: Missed) -> Mapping[str, Spell]:
        """The spells by their begins and reasons."""
        return {f"{spell.since} {spell.why} {sorted(spell.objects)}": spell for spell in value.spells}

    def nothing(self, value: Missed) -> str:
        """There are none."""
        return outcome(0, day_clock(value.since, self.state.now()))

    def titles(self) -> tuple[str, str]:
        """The span; how many changes came without a push that was due, and what became of them."""
        document = self.document()
        title = f"Missed pushes, {ranges.named(self.hours)}"
        if document.value is None:
            return title, ""
        found = document.value
        more = " · more than are counted" if found.truncated else ""
        missed = self._number(found)
        said = f"{plural(missed, 'change')} came without a push, all in the mirror"
        said = said if missed else "none missed"
        spells = self.part(self.keys()) + plural(len(found.spells), "spell")
        return self.dated(title), f"{documents.as_of(document, self.state)}{spells} · {said}{more}"

    def _number(self, found: Missed) -> int:
        """Return how many changes came without a push: of a day, the status's own figure, as stands above."""
        status = self.state.status
        return status.push.missed_24h if status is not None and self.hours == ranges.DAY else found.missed

    def header(self, width: int) -> Row | None:
        """The columns' names, of `rtsd missed`; without spells, or room for one, there are none."""
        if not self.keys() or self.size.height == 1:
            return None
        until = f" {'UNTIL':>14}" if width >= NARROW else ""
        objects = f"{fit('OBJECTS', 30)} " if width >= WIDE else ""
        return ((f"{'SINCE':>14}{until} {'CHANGES':>8}  {'PUSHES':<8} {objects}WHY", "head"),)

    def row(self, key: str, width: int) -> Row:
        """One spell."""
        spell = self.entries()[key]
        # What still goes on warns; of what is over, everything is in the mirror.
        mark, role = (" ", "dim") if not spell.missed else ("✔", "dim") if spell.until else ("▲", "warn")
        until = self._when(spell.until) if spell.until else STILL
        return (
            (right(self._when(spell.since), 14), ""),
            (f" {right(until, 14)}" if width >= NARROW else "", "" if spell.until else "bold"),
            (f"{mark:>2}", role),
            (right(count(spell.changes), 7) + "  ", "bold" if spell.missed else ""),
            (fit(pushes(is_missed=spell.missed), 8) + " ", role),
            (fit(_objects(spell), 30) + " " if width >= WIDE else "", ""),
            (spell.why, ""),
        )

    def _when(self, at: str) -> str:
        now = self.state.now()
        return age(at, now) if self.ages else day_clock(at, now, zone=False, seconds=True)


class Changes(Table):
    """The changes of a spell, in the order in which they were made."""

    def __init__(self, spell: Spell, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.spell = spell

    def find(self, key: str) -> MissedChange:
        """The change of a row."""
        return next(change for change in self.spell.first if str(change.seq) == key)

    def keys(self) -> Sequence[str]:
        """The numbers of their entries in the journal."""
        return [str(change.seq) for change in self.spell.first]

    def header(self, width: int) -> Row:  # noqa: ARG002
        """The columns' names."""
        made = f"MADE, {zone_of(self.state.now())}"
        return ((f"{right(made, 11)}  {fit('OBJECT', 20)} {fit('ID', 18)} {fit('OP', 8)} FOUND BY", "head"),)

    def row(self, key: str, width: int) -> Row:  # noqa: ARG002
        """One change."""
        change = self.find(key)
        sign = source_sign(change.source)
        return (
            (right(day_clock(change.made_at, self.state.now(), zone=False), 11) + "  ", "dim"),
            (fit(change.object, 20) + " ", "bold"),
            (fit(change.id, 18) + " ", ""),
            (fit(change.op, 8) + " ", ""),
            (sign.word, sign.role),
        )


def summary(spell: Spell, panel: Panel) -> list[str]:
    """Return a spell in words: when it was, what its changes are and how they were found, and why it was."""
    now = panel.state.now()
    until = day_clock(spell.until, now, seconds=True) if spell.until else STILL
    found = ", ".join(f"{count(number)} by {source_sign(by).word}" for by, number in spell.sources.items())
    due = pushes(is_missed=spell.missed)
    falls = ["A push that comes late takes its change off, and other sync conditions may."]
    return [
        f"{day_clock(spell.since, now, seconds=True)} to {until} · pushes {due} · {_objects(spell)}",
        f"Found {found or UNKNOWN}; all are in the mirror. Why no push: {spell.why}.",
        *(falls if spell.missed else []),
    ]


def _objects(spell: Spell) -> str:
    return ", ".join(f"{name} {count(number)}" for name, number in spell.objects.items())
