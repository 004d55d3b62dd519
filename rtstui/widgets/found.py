"""The records that a search has found in the mirror, or the reason why there are none to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rtsd.control.protocol import Found, FoundRecord
from rtsd.core.figures import UNKNOWN
from rtsd.core.plural import plural
from rtstui.clean import clean, masked
from rtstui.documents import PATIENCE_S
from rtstui.format import fit
from rtstui.rows import Row
from rtstui.value_text import text_of
from rtstui.widgets.table import Table

WIDE = 90
"""Width in cells from which there is room for long names of objects."""

NARROW = 60
"""Width in cells below which there is room for neither the id nor a word on the state."""

UNANSWERED = "\0"
"""In place of the text that was answered: no text is like it."""

ASKED = (
    "Type a part of a name, an address or a phone number, or an id. The mirror alone is searched: no API "
    "call is made."
)


@dataclass(slots=True)
class Search:
    """What is looked for, and what came of it. `found` is of the text `answered`."""

    text: str = ""
    answered: str = ""
    found: Found = field(default_factory=lambda: Found(records=[], truncated=False))
    hint: str = ""
    """What the daemon wants to be typed before it searches."""
    problem: str = ""
    waited_s: float = 0.0

    @property
    def pending(self) -> bool:
        """True until the answer is of the text that was typed last."""
        return self.text != self.answered


class FoundTable(Table, can_focus=False):
    """One line per record; the keys stay with the line above, so the cursor is always shown."""

    def __init__(self, search: Search, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.search = search

    @property
    def lit(self) -> bool:
        """The cursor is shown while keys are typed elsewhere."""
        return True

    def _records(self) -> Mapping[str, FoundRecord]:
        found = self.search.found.records if self.search.text else []
        return {f"{each.object} {each.id}": each for each in found}

    def find(self, key: str | None) -> FoundRecord | None:
        """The record of a row."""
        return self._records().get(key or "")

    def keys(self) -> Sequence[str]:
        """Object and id of each record."""
        return list(self._records())

    def empty(self) -> str:
        """What to type, or what came of it."""
        search = self.search
        if not search.text:
            return ASKED
        if not self.state.live:
            return "Unknown: rtsd is not connected. It is searched when rtsd is back; what you typed stays."
        if search.pending:
            return "Searching the mirror…" if search.waited_s >= PATIENCE_S else ""
        if search.problem:
            return f"✖ rtsd cannot search: {search.problem}"
        if search.hint:
            return f"Go on typing: {search.hint}."
        return (
            f'Nothing in the mirror has "{clean(search.text)}" in a name, an address, a phone number or '
            "as an id. Hashed and dropped values cannot be found."
        )

    def empty_role(self) -> str:
        """A failure looks like one."""
        return "error" if self.search.problem and not self.search.pending and self.state.live else "dim"

    def titles(self) -> tuple[str, str]:
        """The number of records, and whether there are others."""
        search, records = self.search, self._records()
        if not records:
            return "Found in the mirror", ""
        number = plural(len(records), "record")
        said = f"the first {number} of more: go on typing" if search.found.truncated else number
        if not self.state.live:
            said += " · rtsd is not connected"
        elif search.pending:
            said += f' · of "{search.answered}"'
        return "Found in the mirror", self.part(self.keys()) + said

    def header(self, width: int) -> Row | None:
        """The columns' names."""
        if not self._records():
            return None
        return ((" ".join(fit(*column) for column in zip(_NAMES, _widths(width), strict=True)), "head"),)

    def row(self, key: str, width: int) -> Row:
        """One record."""
        each = self._records()[key]
        first, name, what, record, state = _widths(width)
        called = each.name or UNKNOWN
        if self.masking and each.name:
            called = masked(each.name)
        gone = "✖ deleted"
        matched = each.field
        if each.field != "Id":  # ids are not hidden, and stand in a column of their own
            matched += f" {text_of(each.value, mask=self.masking)}"
        return (
            (fit(each.object, first) + " ", "bold"),
            (fit(called, name) + " ", ""),
            (fit(matched, what) + " ", ""),
            (fit(each.id, record) + " " if record else "", "dim"),
            (fit(gone[:state] if each.state == "deleted" else "", state), "warn"),
        )


_NAMES = ("OBJECT", "NAME", "MATCHED", "ID", "")


def _widths(width: int) -> tuple[int, int, int, int, int]:
    """Return the widths of object, name, match, id and state."""
    first = 20 if width >= WIDE else 10
    record, state = (18, 9) if width >= NARROW else (0, 1)
    left = max(12, width - first - record - state - 4)
    name = left * 2 // 5
    return first, name, left - name, record, state
