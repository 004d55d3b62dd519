"""One record: its values, its history, and everything that touched it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtsd.control.protocol import History, MirrorRecord, Version, Why
from rtsd.core.figures import age, clock, day_clock, zone_of
from rtsd.core.plural import plural
from rtsd.core.schema import without_system_fields
from rtstui import documents
from rtstui.clean import LONGEST
from rtstui.document_cache import CachedDocument
from rtstui.format import fit, wrap
from rtstui.meaning import source_sign
from rtstui.rows import Row
from rtstui.value_text import change_text, text_of
from rtstui.verdict import sign_of
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table

LONGEST_PART = 200
"""Characters of a value in a sentence."""


@dataclass(slots=True)
class Subject:
    """The record that is shown, shared by the panels about it. `objects`: those it may belong to."""

    objects: tuple[str, ...] = ()
    record: str = ""
    compared: bool = False
    """True if the org was asked for it, too."""

    def history(self, panel: Panel) -> CachedDocument[History] | None:
        """The record's history."""
        return panel.load(documents.history(self.objects, self.record)) if self.record else None

    def name(self, panel: Panel) -> str:
        """The record's object, once it is known."""
        document = self.history(panel)
        if document is not None and document.value is not None:
            return document.value.object
        return self.objects[0] if len(self.objects) == 1 else ""

    def why(self, panel: Panel) -> CachedDocument[Why] | None:
        """Everything that touched the record."""
        name = self.name(panel)
        return panel.load(documents.why(name, self.record, ask_org=self.compared)) if name else None


class Values(Table):
    """The fields of the record, and each one's last change in the journal."""

    def __init__(self, subject: Subject, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.subject = subject
        self._sparse = True

    def _record(self) -> MirrorRecord | None:
        document = self.subject.history(self)
        return document.value.now if document is not None and document.value is not None else None

    def values(self) -> dict[str, Any]:
        """The mirror's values by field; of a deleted record the last ones."""
        return {name: value for name, value in self._all().items() if value is not None or not self._sparse}

    def _all(self) -> dict[str, Any]:
        record = self._record()
        return record.values or {} if record else {}

    def keys(self) -> Sequence[str]:
        """The fields."""
        return list(self.values())

    def empty(self) -> str:
        """How to choose a record, or the reason why it has no values."""
        document = self.subject.history(self)
        if document is None:
            return (
                "Enter on an event, an error or a dead letter shows its record here; "
                "i types an id or a name; ctrl+f finds a record from every view."
            )
        if document.value is None:
            return documents.stand_in(document, self.state)
        return "Nothing is left of its values."

    def titles(self) -> tuple[str, str]:
        """The record's name, and its state in the mirror."""
        record = self._record()
        name = f"{self.subject.name(self)} {self.subject.record}".strip() or "Record"
        if record is None:
            return name, ""
        seen = day_clock(record.seen_at, self.state.now())
        if record.state == "deleted":
            merged = f", merged into {record.master}" if record.master else ""
            said = f"deleted {day_clock(record.deleted_at, self.state.now())}{merged}"
        else:
            said = f"in the mirror, by {record.source} {seen}"
        fields = self.part(self.keys()) + plural(len(self.keys()), "field")
        if empty := len(self._all()) - len(self.keys()):
            fields += f" · {empty} empty, e shows them"
        return name, f"{documents.as_of(self.subject.history(self), self.state)}{fields} · {said}"

    def header(self, width: int) -> Row | None:
        """The columns' names."""
        if not self.keys():
            return None
        field, changed = self._widths(width)
        return ((fit("FIELD", field) + " " + fit("VALUE", width - field - changed - 2) + " CHANGED", "head"),)

    @staticmethod
    def _widths(width: int) -> tuple[int, int]:
        return (18, 9) if width < 70 else (28, 14)

    def row(self, key: str, width: int) -> Row:
        """One field."""
        value = self.values()[key]
        field, last = self._widths(width)
        privacy = self.privacy().get(key)
        note = f" ({privacy})" if privacy else ""
        shown = text_of(value, mask=self.masking and key != "Id", grouped=True)
        return (
            (fit(key, field) + " ", "bold"),
            (fit(shown + note, width - field - last - 2) + " ", "dim" if value is None or privacy else ""),
            *self._changed(key),
        )

    def privacy(self) -> dict[str, str]:
        """The fields that a privacy rule made unreadable, each with the rule."""
        document = self.subject.why(self)
        return document.value.mirrored.privacy if document is not None and document.value is not None else {}

    def _changed(self, name: str) -> Row:
        document = self.subject.history(self)
        versions = document.value.versions if document is not None and document.value is not None else []
        for version in reversed(versions):
            if name in version.changed:
                sign = source_sign(version.source)
                return ((f"{age(version.at, self.state.now()):>4} ", "dim"), (sign.word, sign.role))
        return ()

    def full(self, key: str) -> list[Row]:
        """A value in full, and its past, the newest first."""
        value = text_of(self.values().get(key), mask=self.masking and key != "Id")
        document = self.subject.history(self)
        versions = document.value.versions if document is not None and document.value is not None else []
        past: list[Row] = [
            (
                (f"{day_clock(version.at, self.state.now(), seconds=True)} ", "dim"),
                (f"{source_sign(version.source).word:<6} ", source_sign(version.source).role),
                (change_text(key, version.changed[key], mask=self.masking), ""),
            )
            for version in reversed(versions)
            if key in version.changed
        ]
        return [((value, ""),), *([(), (("CHANGES", "head"),), *past] if past else [])]

    def action_sparse(self) -> None:
        """Hide the fields without a value, or show them."""
        self._sparse = not self._sparse
        self.tick()


class Versions(Table):
    """The record's changes, each with its time and source, newest last."""

    NEWEST_LAST = True

    def __init__(self, subject: Subject, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.subject = subject
        self.with_system_fields = False

    def versions(self) -> dict[str, Version]:
        """The versions by their number in the journal."""
        document = self.subject.history(self)
        found = document.value.versions if document is not None and document.value is not None else []
        return {str(version.seq): version for version in found}

    def keys(self) -> Sequence[str]:
        """Their numbers."""
        return list(self.versions())

    def empty(self) -> str:
        """It has not changed, or the history is not loaded."""
        document = self.subject.history(self)
        if document is None:
            return ""
        if document.value is None:
            return documents.stand_in(document, self.state)
        return "No change of it is in the journal."

    def titles(self) -> tuple[str, str]:
        """The number of changes, and which of their fields are shown."""
        keys = self.keys()
        if not keys:
            return "History", ""
        title = f"History, {zone_of(self.state.now())}"
        hint = "a hides system fields" if self.with_system_fields else "a shows system fields"
        return title, f"{self.part(keys)}{plural(len(keys), 'change')} · {hint}"

    def row(self, key: str, width: int) -> Row:  # noqa: ARG002
        """One change on a line."""
        version = self.versions()[key]
        sign = source_sign(version.source)
        return (
            (f"{day_clock(version.at, self.state.now(), zone=False, seconds=True):>14} ", "dim"),
            (sign.word.ljust(6) + " ", sign.role),
            (fit(version.op or "", 8) + " ", "bold" if version.op == "delete" else ""),
            (" · ".join(self._changes(version, whole=self.with_system_fields))[:LONGEST], ""),
        )

    def _changes(self, version: Version, *, whole: bool) -> list[str]:
        """Return what a version changed; without the fields of the system, unless it is `whole`."""
        names = list(version.changed) if whole else without_system_fields(version.changed)
        changes = [change_text(name, version.changed[name], mask=self.masking) for name in names]
        return [*changes, f"merged into {version.master}"] if version.master else changes

    def full(self, key: str) -> list[Row]:
        """A change in full, with the fields of the system."""
        version = self.versions()[key]
        about = f"{clock(version.at, millis=True)} · entry {version.seq} · {version.op} by {version.source}"
        return [((about, "dim"),), (), *(((change, ""),) for change in self._changes(version, whole=True))]


class WhyCard(Panel):
    """The reasons for the record's state: its object, pending work, the comparison with the org."""

    def __init__(self, subject: Subject, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.subject = subject

    def titles(self) -> tuple[str, str]:
        """The hint how to compare."""
        hint = "" if self.subject.compared or not self.subject.record else "c compares with the org…"
        return "Why", documents.as_of(self.subject.why(self), self.state) + hint

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """A sentence for each reason."""
        document = self.subject.why(self)
        if document is None:
            return []
        if document.value is None:
            return [((line, "dim"),) for line in wrap(documents.stand_in(document, self.state), width)]
        return [
            row
            for text, role in self._said(document.value)
            for row in [((line, role),) for line in wrap(text, width)]
        ]

    def _said(self, why: Why) -> list[tuple[str, str]]:
        now = self.state.now()
        said = [self._compared(why)]
        if why.to_be_fetched:
            said.append((f"◐ It waits to be fetched from Salesforce: {why.to_be_fetched}.", "busy"))
        if why.dead_letters:
            said.append((f"✖ {plural(why.dead_letters, 'dead letter')} about it: see 4.", "error"))
        counts: dict[str, int] = {}
        for event in why.events:
            if event.type == "change":
                word = f"{event.source} {event.outcome}"
                counts[word] = counts.get(word, 0) + 1
        touched = ", ".join(f"{number} {word}" for word, number in counts.items())
        said.append((f"Touched by: {touched or 'nothing that is still in the journal'}.", ""))
        proven = day_clock(why.mirrored.proven_at, now) if why.mirrored.proven_at else "never"
        said.append((f"Its object is {self._state_of(why)}, last proven {proven}.", ""))
        if why.mirrored.conditions:
            said.append((f"Only these fields make the org push: {', '.join(why.mirrored.conditions)}.", ""))
        if why.mirrored.where:
            said.append((f"Only rows where {why.mirrored.where} are mirrored.", ""))
        if why.mirrored.privacy:
            hidden = ", ".join(f"{name} ({how})" for name, how in why.mirrored.privacy.items())
            said.append((f"Unreadable here by a privacy rule: {hidden}.", "dim"))
        return said

    def _state_of(self, why: Why) -> str:
        """Return the state of the record's object, in the word of the view of objects."""
        objects = self.state.status.objects if self.state.status else []
        item = next((item for item in objects if item.name == why.object), None)
        return sign_of(item).word if item else why.mirrored.state

    def _part(self, value: Any) -> str:
        """Return a value as a part of a sentence; one that is long is read above, in full."""
        text = text_of(value, mask=self.masking)
        return text if len(text) <= LONGEST_PART else text[: LONGEST_PART - 1] + "…"

    def _compared(self, why: Why) -> tuple[str, str]:
        if why.org is None:
            return "○ Not compared with the org: c does, for one API call.", "off"
        if why.equal:
            return "✔ The org shows the same.", "ok"
        if not why.org.visible:
            return "▲ The org does not show it to the sync user.", "warn"
        if why.org.deleted:
            return "▲ The org has deleted it.", "warn"
        ours, theirs = (why.mirror.values or {}) if why.mirror else {}, why.org.values or {}
        differing = [name for name in theirs if ours.get(name) != theirs[name]]
        shown = "; ".join(
            f"{name}: {self._part(ours.get(name))} here, {self._part(theirs[name])} there"
            for name in differing
        )
        return f"▲ It differs from the org in {shown or 'being here'}. R fetches it again.", "warn"
